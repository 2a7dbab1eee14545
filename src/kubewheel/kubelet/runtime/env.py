"""A container's environment: $(VAR) expansion, sources, service links, the downward API.

In: pod, container, the objects it refers to (already fetched). Out: ordered (name, value) pairs; ConfigError with
upstream's words. Pure. Called by: runtime/container.py, volumes/ (downward API fields).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubewheel.api import quantity

Object = dict[str, Any]


class ConfigError(Exception):
    """The container cannot be configured (waiting reason CreateContainerConfigError)."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """$(NAME) becomes its value, $$ a dollar; an unknown name stays as written."""
    out: list[str] = []
    i = 0
    while i < len(text):
        if text[i] == "$" and i + 1 < len(text):
            follower = text[i + 1]
            if follower == "$":
                out.append("$")
                i += 2
                continue
            if follower == "(":
                end = text.find(")", i + 2)
                if end >= 0:
                    name = text[i + 2:end]
                    out.append(variables[name] if name in variables else text[i:end + 1])
                    i = end + 1
                    continue
        out.append(text[i])
        i += 1
    return "".join(out)


def service_env(services: list[Object]) -> dict[str, str]:
    """`REDIS_SERVICE_HOST`, `REDIS_PORT_6379_TCP` … of every Service with a cluster IP."""
    out: dict[str, str] = {}
    for service in services:
        ip = service["spec"].get("clusterIP")
        ports = service["spec"].get("ports") or ()
        if not ip or ip == "None" or not ports:
            continue
        prefix = service["metadata"]["name"].upper().replace("-", "_")
        address = f"[{ip}]" if ":" in ip else ip
        out[f"{prefix}_SERVICE_HOST"] = ip
        out[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                out[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for i, port in enumerate(ports):
            protocol = port.get("protocol") or "TCP"
            url = f"{protocol.lower()}://{address}:{port['port']}"
            if i == 0:
                out[f"{prefix}_PORT"] = url
            head = f"{prefix}_PORT_{port['port']}_{protocol}"
            out |= {head: url, f"{head}_PROTO": protocol.lower(), f"{head}_PORT": str(port["port"]),
                    f"{head}_ADDR": ip}
    return out


def field_value(pod: Object, path: str) -> str:
    """fieldRef's text (also labels and annotations as downward API files show them)."""
    meta, status = pod["metadata"], pod.get("status") or {}
    for kind in ("labels", "annotations"):
        head = f"metadata.{kind}['"
        if path.startswith(head) and path.endswith("']"):
            return (meta.get(kind) or {}).get(path[len(head):-2], "")
        if path == f"metadata.{kind}":
            items = sorted((meta.get(kind) or {}).items())
            return "\n".join(f"{k}={go_quote(v)}" for k, v in items)
    simple = {
        "metadata.name": meta.get("name", ""), "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""), "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""), "status.podIP": status.get("podIP", ""),
        "status.hostIPs": ",".join(i["ip"] for i in status.get("hostIPs") or ()),
        "status.podIPs": ",".join(i["ip"] for i in status.get("podIPs") or ()),
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return simple[path]


def go_quote(text: str) -> str:
    """Go's %q for what labels and annotations hold."""
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{out}"'


def resource_value(pod: Object, container_name: str, ref: Object, allocatable: Object) -> str:
    """resourceFieldRef: limits default to what the node has to give."""
    name = ref.get("containerName") or container_name
    everyone = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    container = next((c for c in everyone if c["name"] == name), None)
    if container is None:
        raise ConfigError(f"container {name} not found")
    kind, _, resource = ref["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(resource)
    if amount is None and kind == "limits":
        amount = allocatable.get(resource)
    return str(in_units(amount or "0", ref.get("divisor"), cpu=resource == "cpu"))


def in_units(amount: str, divisor: Any, *, cpu: bool) -> int:
    """The quantity in units of the divisor ("0" or absent means 1), rounded up."""
    if divisor is None or quantity.nano(divisor) == 0:
        divisor = "1"
    read = quantity.milli if cpu else quantity.value
    return -(-read(amount) // read(divisor))


def build(pod: Object, container: Object, *, services: Mapping[str, str], allocatable: Object,
          get_object: Callable[[str, str], Object | None]) -> list[tuple[str, str]]:
    """The container's variables in order. `get_object("ConfigMap"|"Secret", name)` gives what was fetched."""
    from_sources: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            ref = source.get(key)
            if ref is None:
                continue
            data = _data_of(get_object, kind, ref["name"], optional=bool(ref.get("optional")))
            from_sources |= {prefix + k: v for k, v in data.items()}
    explicit: dict[str, str] = {}
    for variable in container.get("env") or ():
        known = {**services, **from_sources, **explicit}
        if variable.get("valueFrom"):
            value = _value_from(pod, container, variable, allocatable, get_object)
            if value is None:
                continue
        else:
            value = expand(variable.get("value") or "", known)
        explicit[variable["name"]] = value
    merged = {**explicit, **{k: v for k, v in from_sources.items() if k not in explicit}}
    merged |= {k: v for k, v in services.items() if k not in merged}
    return list(merged.items())


def _value_from(pod: Object, container: Object, variable: Object, allocatable: Object,
                get_object: Callable[[str, str], Object | None]) -> str | None:
    source = variable["valueFrom"]
    if ref := source.get("fieldRef"):
        return field_value(pod, ref["fieldPath"])
    if ref := source.get("resourceFieldRef"):
        return resource_value(pod, container["name"], ref, allocatable)
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if ref := source.get(key):
            optional = bool(ref.get("optional"))
            data = _data_of(get_object, kind, ref["name"], optional=optional)
            if ref["key"] in data:
                return data[ref["key"]]
            if optional:
                return None
            raise ConfigError(f"couldn't find key {ref['key']} in {kind} {pod['metadata']['namespace']}/{ref['name']}")
    raise ConfigError(f"env {variable['name']}: unsupported valueFrom {sorted(source)}")


def _data_of(get_object: Callable[[str, str], Object | None], kind: str, name: str, *,
             optional: bool) -> dict[str, str]:
    obj = get_object(kind, name)
    if obj is None:
        if optional:
            return {}
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    if kind == "ConfigMap":
        return dict(obj.get("data") or {})
    return {k: secret_bytes(v).decode(errors="replace") for k, v in (obj.get("data") or {}).items()}


def secret_bytes(text: str) -> bytes:
    import base64

    return base64.b64decode(text or "")


def references(pod: Object, container: Object) -> set[tuple[str, str]]:
    """("ConfigMap"|"Secret", name) of every object the container's environment needs."""
    out = set()
    for source in container.get("envFrom") or ():
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if source.get(key):
                out.add((kind, source[key]["name"]))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if source.get(key):
                out.add((kind, source[key]["name"]))
    return out
