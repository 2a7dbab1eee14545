"""Which warnings an answer carries: each once, none with control characters, and not more than clients can take.

In: texts in the order they were given. Out: the texts of the Warning headers. Called by: http.
Source of the rule: KEP-1693; when all are longer than TOTAL characters together, each is cut to ITEM, and what comes after
TOTAL is left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

TOTAL, ITEM = 4 * 1024, 256


def told(warnings: Iterable[str]) -> list[str]:
    texts = [w for w in dict.fromkeys(warnings) if w]
    out: list[str] = []
    written, seen = 0, []
    cutting = False
    for text in texts:
        if cutting and written >= TOTAL:
            break
        seen.append(text)
        shown = text[:ITEM] if cutting else text
        if _has_controls(shown):
            continue
        if cutting or written + len(shown) <= TOTAL:
            written += len(shown)
            out.append(shown)
            continue
        cutting = True
        out = [t[:ITEM] for t in seen if not _has_controls(t[:ITEM])]
        written = sum(map(len, out))
    return out


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(c) == "Cc" for c in text)
