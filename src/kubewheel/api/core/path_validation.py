"""Rules of paths, of files on a node and of files in volumes.

In: texts. Out: FieldError lists. Called by: env_validation.py, container_validation.py, volume_validation.py,
persistentvolume.py.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.errors import FieldError


def no_backsteps(text: str, path: str) -> list[FieldError]:
    return [errors.field_invalid(path, text, "must not contain '..'")] if ".." in text.split("/") else []


def local(text: str, path: str) -> list[FieldError]:
    """A path below a volume's root."""
    out = [errors.field_invalid(path, text, "must be a relative path")] if text.startswith("/") else []
    return out + no_backsteps(text, path)


def local_and_free(text: str, path: str) -> list[FieldError]:
    """Below the volume's root, and no name of the kubelet's own ("..data")."""
    out = local(text, path)
    if text.startswith("..") and not text.startswith("../"):
        out.append(errors.field_invalid(path, text, "must not start with '..'"))
    return out
