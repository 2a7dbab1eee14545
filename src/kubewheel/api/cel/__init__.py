"""CEL, the Common Expression Language, with Kubernetes' libraries and limits.

In: expressions and JSON dicts. Out: values. Called by: apiserver (CRD rules, admission policies, match conditions).

`lexer → parser → ast`, then `check` (what is known of types) and `build` (closures); `program` is the front door.
Functions are declared in `functions`, `strings`, `library`, `net`, `authorizer`.

- `compile(source, variables)` a Program; `ParseError`
- `estimate(source, kinds)` what it may cost at worst
- `Program.run(values, budget)` (value, budget left); `CelError`, `CostExceeded`
"""

from kubewheel.api.cel.check import Kind
from kubewheel.api.cel.estimate import UNBOUNDED, estimate
from kubewheel.api.cel.parser import ParseError
from kubewheel.api.cel.program import BUDGET, CALL_LIMIT, Program, compile, measured
from kubewheel.api.cel.values import CelError, CostExceeded, Fields, to_json

__all__ = ["BUDGET", "CALL_LIMIT", "UNBOUNDED", "CelError", "CostExceeded", "Fields", "Kind", "ParseError", "Program",
           "compile", "estimate", "measured", "to_json"]
