"""Upstream's kinds of flag values (pflag) on argparse: durations, lists, maps, `--flag` as well as `--flag=false`.

In: tables of Flag. Out: parsers; help in upstream's groups; upstream's words for bad flags. Called by: cli/components,
cli/up.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from kubewheel.api import features

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


class FlagError(Exception):
    """A flag cannot be used; the text is upstream's. (No ValueError: argparse would put words of its own around it.)"""


def duration(text: str) -> float:
    """Seconds of a Go duration ("1h30m", "0"). ValueError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    if rest == "0":
        return 0.0
    parts = PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        missing = rest.replace(".", "", 1).isdigit()
        raise ValueError(f'time: missing unit in duration "{text}"' if missing else f'time: invalid duration "{text}"')
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    if text in ("true", "TRUE", "True", "t", "T", "1"):
        return True
    if text in ("false", "FALSE", "False", "f", "F", "0"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(text: str) -> int:
    try:
        return int(text, 10)
    except ValueError as e:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from e


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError as e:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from e


def address(text: str) -> str:
    """An IP address, or none."""
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as e:
        raise ValueError(f'failed to parse IP: "{text}"') from e


def mapping(text: str) -> dict[str, str]:
    """`a=b,c=d`; of thresholds also `a<b`. ValueError."""
    out = {}
    for item in filter(None, text.split(",")):
        key, sign, value = re.fullmatch(r"([^=<]*)([=<]?)(.*)", item, re.DOTALL).groups()  # type: ignore[union-attr]
        if not sign:
            raise ValueError(f"malformed pair, expect string=string, got {item}")
        out[key.strip()] = value.strip()
    return out


def gates(text: str) -> dict[str, bool]:
    """Feature gates. ValueError."""
    pairs = {}
    for item in filter(None, text.split(",")):
        key, sign, value = item.partition("=")
        if not sign:
            raise ValueError(f"missing bool value for {key.strip()}")
        pairs[key.strip()] = value.strip()
    return features.parse(pairs)


def switches(text: str) -> dict[str, bool]:
    """`a=true,b`: no value means true. ValueError."""
    out = {}
    for item in filter(None, text.split(",")):
        key, sign, value = item.partition("=")
        out[key.strip()] = boolean(value.strip()) if sign and value.strip() else True
    return out


MAPS: dict[str, Callable[[str], dict[str, Any]]] = {"MAP": mapping, "GATES": gates, "SWITCHES": switches}


@dataclass(frozen=True, slots=True)
class Flag:
    """kind: str, ip, int, float, bool, duration; list and map (commas, repeatable), words (repeatable, commas stay); gates
    (a map of known feature gates) and switches (a map to booleans)."""

    name: str
    kind: str = "str"
    default: Any = ""
    help: str = ""
    short: str = ""
    group: str = "Misc"
    has_effect: bool = True  # False: taken, so that upstream's command lines work, but nothing comes of it


def grouped(group: str, *flags: Flag) -> tuple[Flag, ...]:
    return tuple(replace(flag, group=group) for flag in flags)


def without_effect(*flags: Flag) -> tuple[Flag, ...]:
    return tuple(replace(flag, has_effect=False) for flag in flags)


KINDS: dict[str, Callable[[str], Any]] = {"str": str, "int": integer, "float": number, "bool": boolean,
                                         "duration": duration, "ip": address}


class Help(argparse.HelpFormatter):
    """Lines of a flag's help stay lines."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return [line for part in text.split("\n") for line in super(Help, self)._split_lines(part, width)]


class Parser(argparse.ArgumentParser):
    """Bad flags end the process with 1, as cobra does, not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        if found := re.fullmatch(r"argument (?:-\w/)?(--[\w-]+): expected one argument", message):
            message = f"flag needs an argument: {found[1]}"
        print(f"Error: {message}\n\nSee '{self.prog} --help'.", file=sys.stderr)
        raise SystemExit(1)

    def parse_strictly(self, args: list[str]) -> argparse.Namespace:
        """FlagErrors and unknown flags end in `error`."""
        try:
            options, rest = self.parse_known_args(args)
        except FlagError as e:
            self.error(str(e))
        for arg in rest:
            if arg.startswith("--"):
                self.error(f"unknown flag: {arg.partition('=')[0]}")
            if arg.startswith("-") and len(arg) > 1:
                self.error(f"unknown shorthand flag: '{arg[1]}' in {arg}")
        if rest:
            quoted = " ".join(f'"{arg}"' for arg in rest)
            self.error(f"{self.prog} does not take any arguments, got [{quoted}]")
        return options


def _invalid(text: str, flag: str, why: object, *, short: str = "") -> FlagError:
    named = f"-{short}, --{flag}" if short else f"--{flag}"
    return FlagError(f'invalid argument "{text}" for "{named}" flag: {why}')


class _Add(argparse.Action):
    """Lists and maps: the first use replaces the default, later ones add (pflag's slices)."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        mark = f"_{self.dest}_given"
        before = getattr(namespace, self.dest) if getattr(namespace, mark, False) else type(self.default)()
        try:
            if isinstance(self.default, dict):
                after: Any = {**before, **MAPS[self.metavar](values)}  # type: ignore[index]
            elif self.metavar == "WORDS":
                after = (*before, values)
            else:
                after = (*before, *filter(None, values.split(",")))
        except ValueError as e:
            raise _invalid(values, self.option_strings[-1].lstrip("-"), e) from e
        setattr(namespace, mark, True)
        setattr(namespace, self.dest, after)


def _typed(flag: Flag) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return KINDS[flag.kind](text)
        except ValueError as e:
            raise _invalid(text, flag.name, e, short=flag.short) from e

    return read


def add(parser: argparse.ArgumentParser, flags: Iterable[Flag]) -> None:
    groups: dict[str, Any] = {}
    for flag in flags:
        group = groups.get(flag.group)
        if group is None:
            group = groups[flag.group] = parser.add_argument_group(f"{flag.group} flags")
        names = [*([f"-{flag.short}"] if flag.short else []), f"--{flag.name}"]
        dest = flag.name.replace("-", "_").replace(".", "_")
        text = flag.help.replace("%", "%%") + ("" if flag.has_effect else " (accepted; no effect here)")
        if flag.kind in ("list", "words", "map", "gates", "switches"):
            default = flag.default or (() if flag.kind in ("list", "words") else {})
            group.add_argument(*names, dest=dest, action=_Add, default=default, help=text, metavar=flag.kind.upper())
        elif flag.kind == "bool":
            group.add_argument(*names, dest=dest, type=_typed(flag), nargs="?", const=True,
                               default=bool(flag.default), help=text, metavar="BOOL")
        else:
            default = duration(flag.default) if flag.kind == "duration" and flag.default else flag.default
            group.add_argument(*names, dest=dest, type=_typed(flag), default=default, help=text,
                               metavar=flag.kind.upper())
