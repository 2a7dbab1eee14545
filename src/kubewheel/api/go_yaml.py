"""YAML as Go's library writes it: what would be read as something else than a string is put in double quotes, several lines
are a literal block.

In: JSON values. Out: bytes. Called by: apiserver/render.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

# What YAML 1.1 takes for a boolean, and for a number in base 60.
_OLD = re.compile(r"(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)\Z")


class _Dumper(yaml.CSafeDumper):
    pass


_RESOLVER = yaml.resolver.Resolver()
_STRING = "tag:yaml.org,2002:str"


@lru_cache(4096)
def _style(text: str) -> str | None:
    if "\n" in text:
        return "|"
    return '"' if _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)) != _STRING or _OLD.match(text) else None


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar(_STRING, text, style=_style(text))


_Dumper.add_representer(str, _text)


def dump(value: Any) -> bytes:
    """Keys sorted, as Go writes maps."""
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True).encode()
