"""Pieces of printer columns: how `kubectl get` shows an object.

In: paths and small functions. Out: Column values and cells. Called by: the resource files.
A description that begins with "." is a path into the kind's schema, looked up when the Table is made (table.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubewheel.api import durations
from kubewheel.api.resource import Age, Column, Object
from kubewheel.lib import clock

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"


def dig(obj: Any, *path: str) -> Any:
    """The value at a path, None where something is absent."""
    for step in path:
        if obj is None:
            return None
        obj = obj.get(step)
    return obj


def at(*path: str, default: Any = "") -> Callable[[Object, float], Any]:
    def cell(obj: Object, now: float) -> Any:
        value = dig(obj, *path)
        return default if value is None else value

    return cell


def number(*path: str) -> Callable[[Object, float], Any]:
    return at(*path, default=0)


def since(text: str | None, *, default: str = UNKNOWN) -> Age | str:
    """The age of a timestamp."""
    return Age(clock.parse_time(text)) if text else default


def ago(*path: str, default: str = UNKNOWN) -> Callable[[Object], Age | str]:
    return lambda obj: since(dig(obj, *path), default=default)


def aging(name: str, age: Callable[[Object], Any], **more: Any) -> Column:
    """A column whose cell depends on now. `age`: what of the object it comes from; whatever is no Age stays as it is."""

    def cell(obj: Object, now: float) -> Any:
        found = age(obj)
        if isinstance(found, Age):
            return f"{found.before}{durations.human(now - found.began)}{found.after}"
        return found

    return Column(name, cell, age=age, **more)


def adapted(column: Column, convert: Callable[[Object], Object]) -> Column:
    """The column of another version: its cell is written for what `convert` makes."""
    age = column.age
    return dataclasses.replace(column, cell=lambda obj, now: column.cell(convert(obj), now),
                               age=None if age is None else lambda obj: age(convert(obj)))


def labels(values: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, sorted; `<none>` for nothing."""
    if not values:
        return NONE
    return ",".join(f"{k}={values[k]}" for k in sorted(values))


def label_selector(selector: Mapping[str, Any] | None) -> str:
    """metav1.FormatLabelSelector: sorted requirements, `<none>` for an empty one."""
    if not selector:
        return NONE
    parts = [(k, f"{k}={v}") for k, v in (selector.get("matchLabels") or {}).items()]
    for e in selector.get("matchExpressions") or ():
        key, values = e["key"], ",".join(sorted(e.get("values") or ()))
        text = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})",
                "Exists": key, "DoesNotExist": f"!{key}"}.get(e["operator"], "<error>")
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts)) or NONE


def containers(spec: Mapping[str, Any] | None) -> str:
    return ",".join(c.get("name", "") for c in (spec or {}).get("containers") or ())


def images(spec: Mapping[str, Any] | None) -> str:
    return ",".join(c.get("image", "") for c in (spec or {}).get("containers") or ())


def joined(values: Iterable[str] | None, empty: str = "") -> str:
    return ",".join(values or ()) or empty


NAME = Column("Name", lambda obj, now: obj["metadata"].get("name", ""), format="name",
              description=".metadata.name")
AGE = aging("Age", ago("metadata", "creationTimestamp"), description=".metadata.creationTimestamp")


def template(*path: str) -> tuple[Column, Column]:
    """CONTAINERS and IMAGES of a pod template, shown with -o wide."""
    return (
        Column("Containers", lambda obj, now: containers(dig(obj, *path)), priority=1,
               description="Names of each container in the template."),
        Column("Images", lambda obj, now: images(dig(obj, *path)), priority=1,
               description="Images referenced by each container in the template."),
    )


def selector(*path: str) -> Column:
    return Column("Selector", lambda obj, now: label_selector(dig(obj, *path)), priority=1,
                  description="." + ".".join(path))
