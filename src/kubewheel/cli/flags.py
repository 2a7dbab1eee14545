"""Upstream's kinds of flag values (pflag) on argparse: durations, lists, maps, `--flag` as well as `--flag=false`.

In: tables of Flag. Out: parsers. Called by: cli/components, cli/up.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def duration(text: str) -> float:
    """Seconds of a Go duration ("1h30m", "0"). ValueError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    if rest == "0":
        return 0.0
    parts = PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'invalid duration "{text}"')
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise ValueError(f'invalid boolean "{text}"')


def mapping(text: str) -> dict[str, str]:
    """`a=b,c=d`. ValueError."""
    out = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f'"{item}" must be formatted as key=value')
        out[key.strip()] = value.strip()
    return out


@dataclass(frozen=True, slots=True)
class Flag:
    """kind: str, int, float, bool, duration, list (commas, repeatable) or map (commas, repeatable)."""

    name: str
    kind: str = "str"
    default: Any = ""
    help: str = ""
    short: str = ""


KINDS: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": boolean, "duration": duration}


class _Add(argparse.Action):
    """Lists and maps: the first use replaces the default, later ones add (pflag's slices)."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        mark = f"_{self.dest}_given"
        before = getattr(namespace, self.dest) if getattr(namespace, mark, False) else type(self.default)()
        try:
            if isinstance(self.default, dict):
                after: Any = {**before, **mapping(values)}
            else:
                after = (*before, *filter(None, values.split(",")))
        except ValueError as e:
            parser.error(f"argument {option_string}: {e}")
        setattr(namespace, mark, True)
        setattr(namespace, self.dest, after)


def add(parser: argparse.ArgumentParser, flags: Iterable[Flag]) -> None:
    for flag in flags:
        names = [*([f"-{flag.short}"] if flag.short else []), f"--{flag.name}"]
        dest = flag.name.replace("-", "_").replace(".", "_")
        text = flag.help.replace("%", "%%")
        if flag.kind in ("list", "map"):
            default = flag.default or ({} if flag.kind == "map" else ())
            parser.add_argument(*names, dest=dest, action=_Add, default=default, help=text, metavar=flag.kind.upper())
        elif flag.kind == "bool":
            parser.add_argument(*names, dest=dest, type=boolean, nargs="?", const=True, default=bool(flag.default),
                                help=text, metavar="BOOL")
        else:
            default = duration(flag.default) if flag.kind == "duration" and flag.default else flag.default
            parser.add_argument(*names, dest=dest, type=KINDS[flag.kind], default=default, help=text,
                                metavar=flag.kind.upper())
