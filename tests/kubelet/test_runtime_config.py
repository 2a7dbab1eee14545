"""The builders of runtime configuration: environment, names, security, resources, credentials, log lines."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubewheel.kubelet import eviction, handlers, images, logs, status
from kubewheel.kubelet.backoff import Backoff, duration_text
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime import env, names, resources, security
from kubewheel.kubelet.static_pods import static_pod
from kubewheel.kubelet.status_manager import difference

Object = dict[str, Any]

OPTIONS = Options(node_name="n1", cluster_dns=("10.96.0.10",))
POD: Object = {"metadata": {"name": "web-0", "namespace": "ns", "uid": "u", "labels": {"a": 'x"y', "b": "2"}},
               "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}}}], "nodeName": "n1"},
               "status": {"podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}]}}


@pytest.mark.parametrize(("text", "expected"), [
    ("$(A)-$(B)", "1-$(B)"), ("$$(A)", "$(A)"), ("$(A", "$(A"), ("$A", "$A"), ("a$$b", "a$b")])
def test_expansion(text: str, expected: str) -> None:
    assert env.expand(text, {"A": "1"}) == expected


def test_environment_from_everywhere() -> None:
    container = {
        "name": "c", "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}],
        "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "$(ONE)$(P_k)"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y", "optional": True}}}]}
    objects = {("ConfigMap", "cm"): {"data": {"k": "v"}},
               ("Secret", "s"): {"data": {"pw": base64.b64encode(b"geheim").decode()}}}
    service = {"metadata": {"name": "my-db"}, "spec": {"clusterIP": "10.96.0.7", "ports": [
        {"name": "sql", "port": 5432, "protocol": "TCP"}]}}
    made = dict(env.build(POD, container, services=env.service_env([service]), allocatable={"memory": "4Mi"},
                          get_object=lambda kind, name: objects.get((kind, name))))
    assert made["TWO"] == "1v"
    assert (made["IP"], made["CPU"], made["MEM"], made["S"]) == ("10.0.0.5", "2", "4", "geheim")
    assert "NONE" not in made
    assert made["MY_DB_SERVICE_HOST"] == "10.96.0.7"
    assert made["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert made["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.7:5432"


@pytest.mark.parametrize(("source", "message"), [
    ({"configMapKeyRef": {"name": "cm", "key": "k"}}, 'configmap "cm" not found'),
    ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret ns/s")])
def test_what_is_missing_is_named(source: Object, message: str) -> None:
    container = {"name": "c", "env": [{"name": "X", "valueFrom": source}]}
    with pytest.raises(env.ConfigError) as caught:
        env.build(POD, container, services={}, allocatable={},
                  get_object=lambda kind, name: {"data": {}} if kind == "Secret" else None)
    assert str(caught.value) == message


def test_labels_as_a_downward_api_file() -> None:
    assert env.field_value(POD, "metadata.labels") == 'a="x\\"y"\nb="2"'


def test_dns_by_policy() -> None:
    host = "nameserver 8.8.8.8\nsearch example.com\noptions timeout:1\n"
    made = names.dns_config(POD, OPTIONS, host)
    assert made == {"servers": ["10.96.0.10"], "options": ["ndots:5"],
                    "searches": ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"]}
    on_host = {**POD, "spec": {**POD["spec"], "hostNetwork": True}}
    assert names.dns_config(on_host, OPTIONS, host)["servers"] == ["8.8.8.8"]
    custom = {**POD, "spec": {**POD["spec"], "dnsPolicy": "None", "dnsConfig": {
        "nameservers": ["1.1.1.1"], "searches": ["s"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}}
    assert names.dns_config(custom, OPTIONS, host) == {
        "servers": ["1.1.1.1"], "searches": ["s"], "options": ["ndots:2", "edns0"]}


def test_hosts_file() -> None:
    wanted = {**POD, "spec": {**POD["spec"], "subdomain": "web", "hostAliases": [
        {"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}]}}
    text = names.hosts_file(wanted, OPTIONS, ips=["10.0.0.5"], host_file="")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.5\tweb-0.web.ns.svc.cluster.local\tweb-0\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n")


def test_run_as_non_root_is_verified() -> None:
    def made(context: Object, uid: int | None = None, user: str = "") -> Object:
        return security.container_context(POD, {"name": "c", "securityContext": context}, OPTIONS, image_uid=uid,
                                          image_user=user)

    assert made({"runAsNonRoot": True, "runAsUser": 7})["run_as_user"] == {"value": 7}
    for context, uid, user, words in (
            ({"runAsNonRoot": True}, 0, "", "container has runAsNonRoot and image will run as root"),
            ({"runAsNonRoot": True, "runAsUser": 0}, None, "", "container's runAsUser breaks non-root policy"),
            ({"runAsNonRoot": True}, None, "app", "image has non-numeric user (app)")):
        with pytest.raises(env.ConfigError, match=words.replace("(", r"\(").replace(")", r"\)")):
            made(context, uid, user)
    assert made({"privileged": True}).get("masked_paths") is None
    assert made({"allowPrivilegeEscalation": False})["no_new_privs"] is True


def test_sysctls() -> None:
    def wanted(name: str) -> Object:
        return {"spec": {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}}}

    assert security.forbidden_sysctl(wanted("kernel.shm_rmid_forced"), OPTIONS) == ""
    assert security.forbidden_sysctl(wanted("kernel.msgmax"), OPTIONS) == "kernel.msgmax"


def test_cgroup_numbers() -> None:
    made = resources.linux({"name": "c", "resources": {
        "requests": {"cpu": "100m"}, "limits": {"cpu": "250m", "memory": "64Mi"}}}, oom=5)
    assert (made["cpu_shares"], made["cpu_quota"], made["memory_limit_in_bytes"]) == (102, 25000, 64 << 20)
    assert resources.oom_score_adj(POD, {"name": "c", "resources": {"requests": {"memory": "1Gi"}}}, "Burstable",
                                   4 << 30) == 750
    assert resources.weight(1024) == 39


def test_backoff_doubles_and_is_forgotten() -> None:
    backoff = Backoff()
    assert backoff.remaining("k", 0, 0) == 0
    assert [backoff.next("k", t) for t in (0, 20, 60, 120, 250, 500)] == [10, 20, 40, 80, 160, 300]
    assert backoff.remaining("k", 500, 600) == 200
    assert backoff.next("k", 500 + 601) == 10
    assert [duration_text(s) for s in (10, 80, 300)] == ["10s", "1m20s", "5m0s"]


def test_pull_credentials_of_the_fitting_registry() -> None:
    config = {"auths": {"reg.example.com": {"auth": base64.b64encode(b"u:p").decode()},
                        "reg.example.com/team": {"username": "t", "password": "q"},
                        "https://index.docker.io/v1/": {"username": "hub", "password": "h"}}}
    secret = {"data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}}
    found = images.credentials([secret], "reg.example.com/team/app:1")
    assert [a["username"] for a in found] == ["t", "u"]
    assert [a["username"] for a in images.credentials([secret], "nginx")] == ["hub"]
    assert images.credentials([secret], "other.example.com/app") == []


@pytest.mark.parametrize(("image", "policy"), [
    ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1", "IfNotPresent"), ("r:5000/nginx", "Always"),
    ("nginx@sha256:0", "IfNotPresent")])
def test_default_pull_policy(image: str, policy: str) -> None:
    assert images.pull_policy({"image": image}) == policy


async def test_log_files(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(b"2026-01-01T00:00:%02d.5Z stdout F line %d\n" % (i, i) for i in range(10))
                     + b"2026-01-01T00:00:10Z stdout P part\n2026-01-01T00:00:11Z stderr F ial\n")

    async def read(**options: Any) -> bytes:
        return b"".join([c async for c in logs.read(str(path), logs.LogOptions(**options), is_running=lambda: False)])

    assert (await read(tail=3)) == b"line 9\npartial\n"
    assert (await read(tail=0)) == b""
    assert (await read(limit_bytes=10)) == b"line 0\nlin"
    assert (await read(since=1767225608.0)).startswith(b"line 8\n")
    assert (await read(stream="stderr")) == b"ial\n"
    assert (await read(timestamps=True)).startswith(b"2026-01-01T00:00:00.5Z line 0\n")


def test_only_what_changed_is_written() -> None:
    ready = {"type": "Ready", "status": "True"}
    old = {"phase": "Pending", "conditions": [ready, {"type": "X", "status": "True"}], "podIPs": [{"ip": "1"}]}
    new = {"phase": "Running", "conditions": [ready, {"type": "Y", "status": "True"}], "podIPs": [{"ip": "2"}]}
    assert difference(old, new) == {
        "phase": "Running", "podIPs": [{"ip": "2"}, {"$patch": "replace"}],
        "conditions": [{"type": "Y", "status": "True"}, {"type": "X", "$patch": "delete"}]}
    assert difference(old, old) == {}


def test_eviction_order() -> None:
    def wanted(name: str, priority: int, request: str) -> Object:
        return {"metadata": {"name": name}, "spec": {"priority": priority, "containers": [
            {"name": "c", "resources": {"requests": {"memory": request}}}]}}

    pods = [(wanted("within", 0, "1Gi"), 100), (wanted("over-important", 10, "1Mi"), 50 << 20),
            (wanted("over", 0, "1Mi"), 10 << 20), (wanted("far-over", 0, "1Mi"), 90 << 20)]
    assert [p["metadata"]["name"] for p in eviction.rank(pods)] == ["far-over", "over", "over-important", "within"]


def test_static_pod() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i}]}\n"
    made = static_pod(text, "/m/web.yaml", "n1", 0.0)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("web-n1", "default")
    assert made["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
    with pytest.raises(ValueError, match="holds no Pod"):
        static_pod("kind: Service", "/m/x", "n1", 0.0)


@pytest.mark.parametrize(("image", "wrong"), [
    ("nginx", ""), ("r:5000/a/b_c.d:V1.0", ""), ("localhost/x@sha256:" + "a" * 64, ""), ("x:1@sha256:" + "0" * 64, ""),
    ("busyBOX", "invalid reference format: repository name (library/busyBOX) must be lowercase"),
    ("reg.io/a/B:1", "invalid reference format: repository name (a/B) must be lowercase"),
    ("x:y:z", "invalid reference format"), ("UPPER/x:y:z", "invalid reference format"), (":tag", "invalid reference format"),
    ("https://x/y", "invalid reference format"), ("x@sha256:1", "invalid reference format"), ("a//b", "invalid reference format")])
def test_names_of_images(image: str, wrong: str) -> None:
    assert images.name_error(image) == wrong


def test_a_probes_port_by_name() -> None:
    spec = {"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}
    assert [handlers.port_number(p, spec) for p in ("web", "81", 82)] == [8080, 81, 82]
    with pytest.raises(ValueError, match='^strconv.Atoi: parsing "nope": invalid syntax$'):
        handlers.port_number("nope", spec)


def test_local_storage_over_its_limits() -> None:
    def pod(*limits: str | None, size: str | None = None) -> Object:
        return {"spec": {"containers": [{"name": f"c{i}", "resources": {"limits": {"ephemeral-storage": x} if x else {}}}
                                        for i, x in enumerate(limits)],
                         "volumes": [{"name": "v", "emptyDir": {"sizeLimit": size} if size else {}},
                                     {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}}]}}

    mi = 1 << 20
    assert eviction.local_excess(pod(None, size="5Mi"), {"v": 6 * mi}, {}) == (
        'Usage of EmptyDir volume "v" exceeds the limit "5Mi". ')
    assert eviction.local_excess(pod("10Mi"), {"v": 6 * mi}, {"c0": 5 * mi}) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ")
    assert eviction.local_excess(pod("10Mi", "20Mi"), {"v": 0}, {"c0": 11 * mi, "c1": 0}) == (
        'Container c0 exceeded its local ephemeral storage limit "10Mi". ')
    assert not eviction.local_excess(pod("10Mi", "20Mi"), {"v": 9 * mi}, {"c0": 10 * mi, "c1": 11 * mi})
    assert not eviction.local_excess(pod(None), {"v": 1 << 40}, {"c0": 1 << 40})


def test_layers_by_pod_and_container() -> None:
    stats = [{"attributes": {"labels": {"io.kubernetes.pod.uid": "u", "io.kubernetes.container.name": "c"}},
              "writable_layer": {"used_bytes": {"value": 7}}}, {"attributes": {"labels": {}}}]
    assert eviction.layer_sizes(stats) == {("u", "c"): 7, ("", ""): 0}


def test_a_rejected_pod_says_since_when() -> None:
    found = status.rejected({**POD, "status": {}}, ("SysctlForbidden", "no"), started="2026-01-01T00:00:00Z")
    assert (found["phase"], found["reason"], found["startTime"]) == ("Failed", "SysctlForbidden", "2026-01-01T00:00:00Z")


async def test_a_probe_by_https_of_a_server_without_tls() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await handlers.run_http(url, [], 5) == (
            handlers.FAILURE, f'Get "{url}": http: server gave HTTP response to HTTPS client')
