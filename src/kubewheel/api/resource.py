"""What a resource is: one value that says all the API server needs to know of a kind.

In: declarations (one file per resource under core/, apps/ …; CRDs build the same at run time).
Out: Resource values, listed in catalog.py. Called by: apiserver, client, discovery, kubectl Tables.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubewheel.api import errors
from kubewheel.api.schema import node
from kubewheel.lib import clock as clocks

Object = dict[str, Any]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Gvr(NamedTuple):
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Age(NamedTuple):
    """What the cell of an aging column comes from: the time since `began` (epoch seconds), between two texts."""

    began: float
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column (metav1.TableColumnDefinition) and how its cell is made."""

    name: str
    cell: Callable[[Object, float], Any]  # (object, now in epoch seconds) -> JSON scalar
    type: str = "string"  # string | integer | number | boolean | date
    format: str = ""  # "name" on the first column
    description: str = ""
    priority: int = 0  # > 0 shows with -o wide only
    # Of every column whose cell depends on now (columns.aging makes both): the Age to be filled in, or the text that stays.
    # Without it a cell is made once for each revision of an object, and kept.
    age: Callable[[Object], Age | str] | None = None


@dataclass(slots=True)
class PrepareContext:
    """What `prepare_*` and allocating hooks may use; clock and chance are injected."""

    now: float
    random: random.Random
    user: str = ""


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object. `status` and `scale` are served by the generic verbs; the rest names its handler
    in apiserver/subresources (by `name`)."""

    name: str  # "status", "scale", "binding", "eviction", "log", "exec", …
    kind: str  # of the body: "Deployment", "Scale", "Eviction", "PodExecOptions"
    group: str = ""  # of the body's kind, where it differs from the resource's
    version: str = ""
    verbs: tuple[str, ...] = ("get", "patch", "update")
    # The paths inside the object that writing this subresource may change; all else is taken from the stored
    # object. A write to the main resource keeps these. For status it is (("status",),).
    owns: tuple[tuple[str, ...], ...] = ()
    # (new, old, context): last changes before validation (e.g. pod status qosClass stays). In place.
    prepare: Callable[[Object, Object, PrepareContext], None] | None = None
    validate: Callable[[Object, Object], list[errors.FieldError]] | None = None


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where scale's replicas and selector live (JSON paths as tuples)."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")  # a LabelSelector, a map, or (CRD) a string
    selector_is_string: bool = False


def _nothing(*_: Any) -> None:
    return None


def _no_findings(*_: Any) -> list[errors.FieldError]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One served group-version-resource. Everything that differs between kinds is a field here.

    Order of a write: decode+schema check → `defaults` → `prepare_*` → admission (mutating) → `validate*`
    → admission (validating) → store. `obj` dicts passed to defaults/prepare are private and changed in place;
    `old` is shared and read-only.
    """

    group: str = ""
    version: str = "v1"
    kind: str
    plural: str
    singular: str = ""  # "" means kind.lower()
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    # The definition in the OpenAPI data ("io.k8s.api.apps.v1.Deployment"); the node is compiled lazily.
    definition: str = ""
    schema_node: node.Node | None = None  # CRDs: built from the structural schema
    # Upstream's etcd path below /registry, e.g. "deployments", "services/specs", "minions".
    registry: str = ""
    # Objects are stored in one version (the hub). Other versions name it and convert; same shape: identity.
    hub: Gvr | None = None
    to_hub: Callable[[Object], Object] | None = None
    from_hub: Callable[[Object], Object] | None = None
    subresources: tuple[Subresource, ...] = ()
    scale: ScalePaths | None = None
    # metadata.generation: set to 1 on create, raised when anything but metadata and `owns` of status changes.
    has_generation: bool = True
    # (new, old): whether an update raises it, where that is not the general rule; in place of it.
    raises_generation: Callable[[Object, Object], bool] | None = None
    # Fills absent fields with upstream's defaults (SetDefaults_*). In place, idempotent.
    defaults: Callable[[Object], None] = _nothing
    # Strategy PrepareForCreate/PrepareForUpdate: drop status on create, keep server-owned fields. In place.
    prepare_create: Callable[[Object, PrepareContext], None] = _nothing
    prepare_update: Callable[[Object, Object, PrepareContext], None] = _nothing  # (new, old, ctx)
    # Rules beyond the schema, and for updates the immutable fields. metadata is validated generically.
    validate: Callable[[Object], list[errors.FieldError]] = _no_findings
    validate_update: Callable[[Object, Object], list[errors.FieldError]] = _no_findings  # (new, old)
    # Of a version that is not the hub: its own rules for new objects (in the hub's form), in place of the hub's.
    validate_create_here: Callable[[Object], list[errors.FieldError]] | None = None
    validate_update_here: Callable[[Object, Object], list[errors.FieldError]] | None = None  # (new, old), likewise
    warnings: Callable[[Object], list[str]] = lambda obj: []
    # On updates of the main resource; None: the same as on create, where anything but metadata and status changed.
    warnings_update: Callable[[Object, Object], list[str]] | None = None  # (new, old)
    deprecated: str = ""  # told with every answer: the API itself is on its way out
    create_warnings: Callable[[Object], list[str]] = lambda obj: []  # said of a new object only, after `warnings`
    # How a name is checked: "" is DNS-1123 subdomain; see names.py for the others ("label", "path-segment", …).
    name_rule: str = ""
    columns: tuple[Column, ...] = ()  # () means NAME and AGE
    # fieldSelector: path -> value of it in an object. metadata.name and metadata.namespace come for all.
    selectable: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    # What is said of other labels; "" is "field label not supported: …". "{label}" stands for the label.
    selector_refusal: str = ""
    # Graceful deletion: seconds to wait given (object, DeleteOptions); 0 deletes at once. Pods only, upstream.
    grace_seconds: Callable[[Object, Object], int] | None = None
    # PUT to an absent name creates it (AllowCreateOnUpdate).
    create_on_update: bool = False
    # PUT without resourceVersion is accepted (AllowUnconditionalUpdate).
    unconditional_update: bool = True
    default_finalizers: tuple[str, ...] = ()  # e.g. orphan by default for batch/v1beta1; rarely used
    custom: Any = None  # CRDs: the CustomResource description (extension/crd)
    not_stored: bool = False  # *Review kinds: answered by subresources/<plural>, never stored

    @property
    def gvr(self) -> Gvr:
        return Gvr(self.group, self.version, self.plural)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def knows_meta_labels_only(self) -> bool:
        """No field label conversion of its own: name and namespace are known, also of what has no namespace."""
        return not self.selectable and not self.selector_refusal and self.custom is None

    def unselectable(self, label: str) -> str:
        if self.knows_meta_labels_only:
            return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        return (self.selector_refusal or "field label not supported: {label}").format(label=label)

    @property
    def list_kind(self) -> str:
        return getattr(self.custom, "list_kind", "") or self.kind + "List"

    @property
    def qualified(self) -> str:
        return errors.qualified(self.plural, self.group)

    def subresource(self, name: str) -> Subresource | None:
        for sub in self.subresources:
            if sub.name == name:
                return sub
        return None

    def node(self) -> node.Node:
        """The compiled schema. Loads the type data on first use."""
        if self.schema_node is not None:
            return self.schema_node
        from kubewheel.api import schema

        return schema.definition(self.definition)


def new_context(clock: clocks.Clock, rng: random.Random, *, user: str = "") -> PrepareContext:
    return PrepareContext(now=clock.now(), random=rng, user=user)
