"""Who is asked a second time because somebody after them changed the object (reinvocationPolicy IfNeeded).

In: Attributes and a plugin's name. Out: a Round: which of the plugin's webhooks or policies to leave out, what to note.
Called by: webhook, mutating_admission_policy; chain.py runs all mutating plugins once more where `attributes.reinvoke` is
set, so that what a webhook added gets its defaults and limits too. Source of the rule: "Reinvocation policy" in the
documentation of admission webhooks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Attributes


@dataclass(slots=True)
class State:
    """Of one plugin, kept between the two runs of one request."""

    asked: set[str] = field(default_factory=set)  # want to know of changes that come later
    due: set[str] = field(default_factory=set)  # to be asked again
    output: Object | None = None  # the object as the plugin left it


class Round:
    """One run of one plugin."""

    def __init__(self, attributes: Attributes, plugin: str) -> None:
        self._attributes = attributes
        self._state: State = attributes.rounds.setdefault(plugin, State())
        if attributes.again and self._state.output is not None and self._state.output != attributes.obj:
            self._require()  # somebody else changed it since

    def leaves_out(self, name: str) -> bool:
        return self._attributes.again and name not in self._state.due

    def note(self, name: str, policy: str | None, *, changed: bool) -> None:
        """`name` was asked; `policy` is its reinvocationPolicy."""
        if changed:
            self._require()
            self._attributes.reinvoke = True
        if policy == "IfNeeded":
            self._state.asked.add(name)

    def end(self) -> None:
        self._state.output = codec.copy(self._attributes.obj) if self._attributes.obj is not None else None

    def _require(self) -> None:
        self._state.due |= self._state.asked
        self._state.asked = set()
