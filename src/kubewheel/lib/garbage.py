"""The cycle collector, set for processes that hold many long-lived dicts and make few cycles.

In: nothing. Out: fewer collections. Called by: run (every long-lived process), benchmarks of the same.
"""

from __future__ import annotations

import gc

# Decoding one object makes hundreds of dicts, so that the default (a young collection every 700) runs several times
# per request and finds nothing: reference counting has freed all but cycles. Measured: a fifth more pods are bound.
YOUNG, MIDDLE, OLD = 50_000, 20, 20


def collect_rarely() -> None:
    gc.set_threshold(YOUNG, MIDDLE, OLD)
