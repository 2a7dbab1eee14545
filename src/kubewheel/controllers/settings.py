"""Reading flags of the controller manager (upstream's names) out of Context.options.

In: Context. Out: values with upstream's defaults. Called by: controllers/*.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kubewheel.reconcile.controller import Context

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def get(context: Context, name: str, default: Any) -> Any:
    value = context.options.get(name)
    return default if value is None or value == "" else value


def seconds(context: Context, name: str, default: float) -> float:
    """A Go duration ("1m30s") or a number of seconds."""
    return duration(get(context, name, default))


def duration(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    parts = re.findall(r"([0-9]*\.?[0-9]+)(h|ms|us|µs|ns|m|s)", value)
    if not parts or "".join(n + u for n, u in parts) != value.removeprefix("-").removeprefix("+"):
        if value == "0":
            return 0.0
        raise ValueError(f'time: invalid duration "{value}"')
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    return -total if value.startswith("-") else total


def pem(context: Context, name: str) -> str:
    """The PEM text of `name` (handed over as it is, by an assembly without files), or of the file that the
    flag
    `<name>-file` names. "" without one."""
    value = context.options.get(name)
    if value:
        return value.decode() if isinstance(value, bytes) else str(value)
    path = get(context, name + "-file", "")
    return Path(path).read_text() if path else ""
