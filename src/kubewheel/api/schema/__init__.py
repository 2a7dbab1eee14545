"""The type system as data: what a kind looks like, and objects held against it.

In: the packed OpenAPI data (built-ins) or structural schemas (CRDs). Out: Nodes and the walkers on them.
Called by: apiserver (decode, defaults, OpenAPI), merge.

- `definition(name)` the Node of a built-in definition
- `check(node, obj)` Go's decoding, in place; `DecodeError`
- `duplicates(raw, node)` the duplicate keys of a body
- `apply_defaults(node, obj)` schema defaults, in place
- `resource_facts()` plural, scope, verbs, subresources of the built-ins
"""

from kubewheel.api.schema.compile import definition
from kubewheel.api.schema.data import resource_facts
from kubewheel.api.schema.decode import DecodeError, check
from kubewheel.api.schema.defaulting import apply_defaults
from kubewheel.api.schema.strict import duplicates

__all__ = ["DecodeError", "apply_defaults", "check", "definition", "duplicates", "resource_facts"]
