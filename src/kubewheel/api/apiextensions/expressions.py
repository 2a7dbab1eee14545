"""Regular expressions of schemas: RE2's, and what Go's parser says of those it does not take.

In: a pattern and where it stands. Out: FieldErrors. Called by: structural.py.
"""

from __future__ import annotations

import re

from kubewheel.api import errors
from kubewheel.api.cel import CelError
from kubewheel.api.cel.functions import regex
from kubewheel.api.errors import FieldError

# RE2's words, and Go's for the same.
_GO = {
    "missing )": "missing closing )", "missing ]": "missing closing ]",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator", "invalid repetition size": "invalid repeat count",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid named capture group": "invalid named capture", "trailing \\": "trailing backslash at end of expression"}
_TOLD = re.compile(r"""(?:error parsing regexp: )?b?(['"]?)(.*)\1""", re.DOTALL)


def check(pattern: str, path: str) -> list[FieldError]:
    try:
        regex(pattern)
    except CelError as e:
        return [errors.field_invalid(
            path, pattern, f"must be a valid regular expression, but isn't: error parsing regexp: {_told(str(e), pattern)}")]
    return []


def _told(text: str, pattern: str) -> str:
    """Go's words, with the part that does not parse between backticks: all of it where something is left open."""
    found = _TOLD.fullmatch(text)
    words, _, at = (found[2] if found else text).replace("\\\\", "\\").partition(": ")
    if words == "trailing \\":
        return f"{_GO[words]}: ``"
    return f"{_GO.get(words, words)}: `{pattern if words == 'missing )' else at}`"
