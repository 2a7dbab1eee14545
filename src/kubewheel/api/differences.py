"""What differs between two objects, as upstream ends some refusals: a unified diff of their indented JSON.

In: JSON values. Out: texts. Called by: the update rules of core kinds.
Upstream prints its internal types, every field of them; here are the fields that are there, by their Go names.
"""

from __future__ import annotations

import difflib
from typing import Any

import orjson

_WORDS = {"tty": "TTY", "httpGet": "HTTPGet", "tcpSocket": "TCPSocket", "grpc": "GRPC", "os": "OS", "csi": "CSI", "nfs": "NFS",
          "iscsi": "ISCSI", "fc": "FC", "rbd": "RBD", "cephfs": "CephFS", "uid": "UID", "apiGroup": "APIGroup",
          "apiVersion": "APIVersion", "seLinuxOptions": "SELinuxOptions", "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig",
          "iqn": "IQN", "ip": "IP"}


def unified(old: Any, new: Any) -> str:
    """Lines of both with three lines around each, as `diff -u` without the names of files."""
    lines = list(difflib.unified_diff(_lines(old), _lines(new), n=3))[2:]
    return "".join(lines)


def _lines(value: Any) -> list[str]:
    text = orjson.dumps(_as_go(value), option=orjson.OPT_INDENT_2).decode()
    return [" " * ((len(line) - len(line.lstrip(" "))) // 2) + line.lstrip(" ") + "\n" for line in text.split("\n")]


def _as_go(value: Any, *, names: bool = True) -> Any:
    if isinstance(value, list):
        return [_as_go(v) for v in value]
    if not isinstance(value, dict):
        return value
    # The keys of maps are the user's; those of structs are Go's.
    return {_go_name(k) if names else k: _as_go(v, names=k not in _MAPS) for k, v in value.items()}


_MAPS = frozenset(("nodeSelector", "limits", "requests", "labels", "annotations", "matchLabels", "options", "volumeAttributes",
                   "overhead", "capacity"))


def _go_name(name: str) -> str:
    return _WORDS.get(name) or name[:1].upper() + name[1:]
