"""Regular expressions of schemas: RE2's, and what Go's parser says of those it does not take.

In: a pattern and where it stands. Out: FieldErrors. Called by: structural.py.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.cel import CelError
from kubewheel.api.cel.functions import regex
from kubewheel.api.errors import FieldError


def check(pattern: str, path: str) -> list[FieldError]:
    try:
        regex(pattern)
    except CelError as e:
        return [errors.field_invalid(path, pattern, f"must be a valid regular expression, but isn't: {e}")]
    return []
