"""Kubeconfig files: those of the components, and our context in the user's own file.

In: a Pki and the server's URL. Out: files (0600). `merge_context` changes nothing of the user's but what bears our
name; `remove_context` puts the former current-context back. Called by: run, cli.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from kubewheel.lib import tls
from kubewheel.run.certificates import Pki

Config = dict[str, Any]
NAME = "kubewheel"
# Where the former current-context is remembered: a preferences extension, so that client-go keeps it on rewrite.
EXTENSION = "kubewheel.previous-context"

# file -> (certificate below the PKI, user name)
FILES = {
    "admin.conf": ("admin", "kubernetes-admin"),
    "super-admin.conf": ("super-admin", "kubernetes-super-admin"),
    "controller-manager.conf": ("controller-manager", "system:kube-controller-manager"),
    "scheduler.conf": ("scheduler", "system:kube-scheduler"),
    "kubelet.conf": ("kubelet", ""),  # system:node:<name>
    "proxy.conf": ("kube-proxy", "system:kube-proxy"),
}


def render(*, server: str, ca: bytes, cert: bytes, key: bytes, user: str, cluster: str = "kubernetes",
           context: str = "") -> Config:
    """One cluster, one user, one context, all data inline."""
    context = context or f"{user}@{cluster}"
    return {
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": context,
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": _b64(ca)}}],
        "users": [{"name": user, "user": {"client-certificate-data": _b64(cert), "client-key-data": _b64(key)}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
    }


def write_all(directory: Path, pki: Pki, *, server: str) -> dict[str, Path]:
    """The components' kubeconfigs, which only hold what the PKI holds. File name -> path."""
    out = {}
    for file, (leaf, user) in FILES.items():
        pair = pki.pair(leaf)
        config = render(server=server, ca=pki.ca, cert=pair.cert, key=pair.key,
                        user=user or f"system:node:{pki.node_name}")
        out[file] = directory / file
        save(out[file], config)
    return out


def load(path: Path) -> Config:
    """A kubeconfig; the empty one where there is no file. ValueError if the file is something else."""
    if not path.exists() or not path.read_bytes().strip():
        return {"apiVersion": "v1", "kind": "Config", "preferences": {}, "clusters": [], "users": [], "contexts": [],
                "current-context": ""}
    try:
        config = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as e:
        raise ValueError(f"{path} is not a kubeconfig: {' '.join(str(e).split())}") from e
    if not isinstance(config, dict):
        raise ValueError(f"{path} is not a kubeconfig")
    return config


def save(path: Path, config: Config) -> None:
    data = yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False).encode()
    path = path.resolve()  # a link (dotfiles) is written through, not replaced
    if not (path.exists() and path.stat().st_mode & 0o777 == 0o600 and path.read_bytes() == data):
        tls.write_private(path, data)


def merge_context(path: Path, *, server: str, ca: bytes, cert: bytes, key: bytes, name: str = NAME,
                  make_current: bool = True) -> None:
    """Adds (or renews) cluster, user and context `name` and makes it current; keeps everything else."""
    config = load(path)
    ours = render(server=server, ca=ca, cert=cert, key=key, user=name, cluster=name, context=name)
    for section in ("clusters", "users", "contexts"):
        kept = [e for e in config.get(section) or [] if e.get("name") != name]
        config[section] = kept + ours[section]
    previous = config.get("current-context") or ""
    if make_current and previous != name:
        _remember(config, previous)
        config["current-context"] = name
    config.setdefault("apiVersion", "v1")
    config.setdefault("kind", "Config")
    save(path, config)


def remove_context(path: Path, *, name: str = NAME) -> None:
    """Takes out what merge_context added; the former context is current again if it is still there."""
    if not path.exists():
        return
    config = load(path)
    for section in ("clusters", "users", "contexts"):
        config[section] = [e for e in config.get(section) or [] if e.get("name") != name]
    previous = _recall(config)
    if config.get("current-context") == name:
        known = {e.get("name") for e in config["contexts"]}
        config["current-context"] = previous if previous in known else ""
    save(path, config)


def _remember(config: Config, context: str) -> None:
    preferences = config.get("preferences") or {}
    others = [e for e in preferences.get("extensions") or [] if e.get("name") != EXTENSION]
    entry = {"name": EXTENSION, "extension": {"context": context}}
    config["preferences"] = preferences | {"extensions": [*others, entry]}


def _recall(config: Config) -> str:
    """Takes the remembered context out of the config."""
    preferences = config.get("preferences") or {}
    extensions = preferences.get("extensions") or []
    found = next((e for e in extensions if e.get("name") == EXTENSION), None)
    if found is None:
        return ""
    others = [e for e in extensions if e is not found]
    preferences = {k: v for k, v in preferences.items() if k != "extensions"}
    config["preferences"] = preferences | ({"extensions": others} if others else {})
    return str((found.get("extension") or {}).get("context") or "")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
