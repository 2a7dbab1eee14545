"""Defaults of a pod's spec: shared by pods and by everything that has a pod template.

In: PodSpec dicts, private. Out: the same, filled in. Called by: pod.py, podtemplate.py, the workloads' files.
Hot: a Pod's defaulting is on the way of every pod write, so the code tests membership and nothing else.
Source of the rules: the API reference's "defaults to" of every field.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.core import pod_resources

Spec = dict[str, Any]


def pod_spec(spec: Spec, *, template: bool = False) -> None:
    """In place, idempotent."""
    if spec.get("dnsPolicy") is None:
        spec["dnsPolicy"] = "ClusterFirst"
    if spec.get("restartPolicy") is None:
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if spec.get("schedulerName") is None:
        spec["schedulerName"] = "default-scheduler"
    if not template and spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("serviceAccountName") is None and spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    elif spec.get("serviceAccountName") and spec.get("serviceAccount") != spec["serviceAccountName"]:
        spec["serviceAccount"] = spec["serviceAccountName"]
    host_network = not template and spec.get("hostNetwork") is True
    for c in spec.get("containers") or ():
        _container(c, host_network, resources=not template)
    for c in spec.get("initContainers") or ():
        _container(c, host_network, resources=not template)
    for c in spec.get("ephemeralContainers") or ():
        _container(c, False, resources=False)
    if not template:
        pod_resources.defaults(spec)
    for v in spec.get("volumes") or ():
        _volume(v)
    for toleration in spec.get("tolerations") or ():
        if toleration.get("value") == "":
            del toleration["value"]


def _container(c: Spec, host_network: bool, *, resources: bool) -> None:
    if c.get("terminationMessagePath") is None:
        c["terminationMessagePath"] = "/dev/termination-log"
    if c.get("terminationMessagePolicy") is None:
        c["terminationMessagePolicy"] = "File"
    if c.get("imagePullPolicy") is None:
        c["imagePullPolicy"] = "Always" if _is_latest(c.get("image") or "") else "IfNotPresent"
    if ports := c.get("ports"):
        for p in ports:
            if p.get("protocol") is None:
                p["protocol"] = "TCP"
            if host_network and not p.get("hostPort"):
                p["hostPort"] = p.get("containerPort")
    if (r := c.get("resources")) is None:
        c["resources"] = {}
    elif resources and (limits := r.get("limits")):
        requests = r.get("requests")
        if requests is None:
            requests = r["requests"] = {}
        for name, amount in limits.items():
            if name not in requests:
                requests[name] = amount
    if env := c.get("env"):
        for e in env:
            if (source := e.get("valueFrom")) is not None:
                _reference(source)
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := c.get(key)) is not None:
            _probe(probe)
    if (lifecycle := c.get("lifecycle")) is not None:
        for hook in ("postStart", "preStop"):
            if (handler := lifecycle.get(hook)) is not None:
                _handler(handler)


def _is_latest(image: str) -> bool:
    """No tag and no digest, or the tag latest."""
    if "@" in image:
        return False
    tail = image.rpartition("/")[2]
    return ":" not in tail or tail.endswith(":latest")


def _probe(probe: Spec) -> None:
    if not probe.get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not probe.get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if not probe.get("failureThreshold"):
        probe["failureThreshold"] = 3
    _handler(probe)
    if (grpc := probe.get("grpc")) is not None and grpc.get("service") is None:
        grpc["service"] = ""


def _handler(handler: Spec) -> None:
    if (get := handler.get("httpGet")) is not None:
        if not get.get("path"):
            get["path"] = "/"
        if not get.get("scheme"):
            get["scheme"] = "HTTP"


_VOLUME_MODES = ("secret", "configMap", "downwardAPI", "projected")


def _volume(v: Spec) -> None:
    if len(v) == 1:
        v["emptyDir"] = {}
        return
    for key in _VOLUME_MODES:
        if (source := v.get(key)) is not None:
            if source.get("defaultMode") is None:
                source["defaultMode"] = 420
            if key == "downwardAPI":
                _items(source)
            elif key == "projected":
                _projected(source)
            return
    if (source := v.get("hostPath")) is not None:
        if source.get("type") is None:
            source["type"] = ""
    elif (source := v.get("ephemeral")) is not None:
        template = source.get("volumeClaimTemplate") or {}
        template.setdefault("metadata", {})
        claim = template.get("spec")
        if claim is not None and claim.get("volumeMode") is None:
            claim["volumeMode"] = "Filesystem"
    elif (source := v.get("image")) is not None:
        if not source.get("pullPolicy"):
            source["pullPolicy"] = "Always" if _is_latest(source.get("reference") or "") else "IfNotPresent"
    else:
        _old_volume(v)


def _old_volume(v: Spec) -> None:
    """iSCSI, RBD, Azure disk, ScaleIO: in-tree kinds that still have defaults."""
    for key, values in (
        ("iscsi", {"iscsiInterface": "default"}),
        ("rbd", {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),
        ("azureDisk", {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False}),
        ("scaleIO", {"storageMode": "ThinProvisioned", "fsType": "xfs"}),
    ):
        if (source := v.get(key)) is not None:
            for name, value in values.items():
                if source.get(name) is None:
                    source[name] = value


def _items(source: Spec) -> None:
    for item in source.get("items") or ():
        _reference(item)


def _reference(source: Spec) -> None:
    if (ref := source.get("fieldRef")) is not None and not ref.get("apiVersion"):
        ref["apiVersion"] = "v1"
    if (ref := source.get("resourceFieldRef")) is not None and ref.get("divisor") is None:
        ref["divisor"] = "0"  # as Go prints none
    if (ref := source.get("fileKeyRef")) is not None and ref.get("optional") is None:
        ref["optional"] = False


def _projected(source: Spec) -> None:
    for s in source.get("sources") or ():
        if (token := s.get("serviceAccountToken")) is not None:
            if token.get("expirationSeconds") is None:
                token["expirationSeconds"] = 3600
        elif (downward := s.get("downwardAPI")) is not None:
            _items(downward)


def pod_template(template: Spec | None) -> None:
    """The template inside a workload's spec."""
    if template is None:
        return
    if template.get("metadata") is None:
        template["metadata"] = {}
    if (spec := template.get("spec")) is None:
        spec = template["spec"] = {}
    pod_spec(spec, template=True)

