import asyncio
import random
import signal
import ssl
import urllib.error
import urllib.request

import alone_support
import pytest
import yaml

from kubewheel.api import errors
from kubewheel.cli import component_flags, components
from kubewheel.client.cache import Caches
from kubewheel.client.client import Client
from kubewheel.client.http import Http, load_kubeconfig
from kubewheel.lib.clock import RealClock
from kubewheel.node import simulated
from kubewheel.run import alone, config_files
from kubewheel.run.ended import Ended

FAST = ("--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1500ms", "--leader-elect-retry-period=300ms")


@pytest.fixture
def host(tmp_path):
    one = alone_support.Host(tmp_path)
    yield one
    one.aclose()


def get(url: str, token: str = "") -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read().decode()


def deployment(name: str, replicas: int) -> dict:
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}}


# -- processes ------------------------------------------------------------------------------------------------------
async def test_a_cluster_of_components_each_alone(host):
    """API server, controller manager (service account credentials), two schedulers, simulated nodes over HTTPS."""
    server = await asyncio.to_thread(host.apiserver)
    health = alone_support.free_port()
    manager = host.start(
        "controller-manager", f"--kubeconfig={host.kubeconfigs['controller-manager.conf']}",
        "--use-service-account-credentials", f"--root-ca-file={host.pki.cert('ca')}", "--concurrent-deployment-syncs=3",
        f"--service-account-private-key-file={host.pki.directory / 'sa.key'}", "--bind-address=127.0.0.1",
        f"--secure-port={health}", "--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16", *FAST)
    scheduler_flags = (f"--kubeconfig={host.kubeconfigs['scheduler.conf']}", "--secure-port=0", *FAST)
    schedulers = [host.start("scheduler", *scheduler_flags)]

    client = Client(Http(load_kubeconfig(host.admin)))
    caches = Caches(client)
    try:
        nodes = await simulated.fleet(client, caches, RealClock(), random.Random(1), count=2, prefix="node-")
        await client.create("deployments.apps", deployment("web", 3), namespace="default")
        await wait_ready(client, "web", 3)
        assert all(n["spec"]["podCIDR"].startswith("10.244.") for n in (await client.list("nodes"))["items"])
        first = await holder(client, "kube-scheduler")

        # a second scheduler waits; it takes over when the first is killed
        schedulers.append(host.start("scheduler", *scheduler_flags))
        assert await asyncio.to_thread(get, f"https://127.0.0.1:{health}/healthz") == (200, "ok")
        await check_metrics(host, health)
        assert await holder(client, "kube-scheduler") == first
        await asyncio.to_thread(host.end, schedulers[0], signal.SIGKILL)
        await client.patch("deployments.apps", "web", {"spec": {"replicas": 5}}, namespace="default")
        await wait_ready(client, "web", 5)
        assert await holder(client, "kube-scheduler") not in ("", first)

        # told to end, they end cleanly and give the Lease back
        assert await asyncio.to_thread(host.end, schedulers[1]) == 0
        assert await holder(client, "kube-scheduler") == ""
        assert await asyncio.to_thread(host.end, manager) == 0
        assert "not released" not in host.log(manager) + host.log(schedulers[1])
        assert "Traceback" not in host.log(manager), host.log(manager)
        accounts = {a["metadata"]["name"] for a in (await client.list(
            "serviceaccounts", namespace="kube-system"))["items"]}
        assert {"deployment-controller", "replicaset-controller", "generic-garbage-collector"} <= accounts
        for node in nodes:
            node.stop()
        await nodes[0]._kubelets.aclose()
    finally:
        await caches.aclose()
        await client.aclose()
    assert await asyncio.to_thread(host.end, server) == 0
    assert "Traceback" not in host.log(server), host.log(server)


async def wait_ready(client, name, replicas):
    async with asyncio.timeout(25):
        while True:
            found = await client.get("deployments.apps", name, namespace="default")
            if (found.get("status") or {}).get("readyReplicas") == replicas:
                return
            await asyncio.sleep(0.05)


async def holder(client, name):
    lease = await client.get("leases.coordination.k8s.io", name, namespace="kube-system")
    return lease["spec"].get("holderIdentity") or ""


async def check_metrics(host, port):
    """Open only to whom the API server lets in."""
    url = f"https://127.0.0.1:{port}/metrics"
    status, text = await asyncio.to_thread(get, url)
    assert status == 403 and 'User \\"system:anonymous\\" cannot get path \\"/metrics\\"' in text
    assert (await asyncio.to_thread(get, url, "nonsense"))[0] == 401
    create = ("create", "clusterrolebinding", "m", "--clusterrole=system:monitoring",
              "--serviceaccount=default:default")
    await asyncio.to_thread(host.kubectl, *create)
    token = (await asyncio.to_thread(host.kubectl, "create", "token", "default")).strip()
    status, text = await asyncio.to_thread(get, url, token)
    assert status == 200 and 'leader_election_master_status{name="kube-controller-manager"} 1' in text


async def test_kill_9_of_the_apiserver_loses_no_acknowledged_write(host):
    server = await asyncio.to_thread(host.apiserver)
    client = Client(Http(load_kubeconfig(host.admin)))
    caches = Caches(client)
    acknowledged: dict[str, str] = {}
    seen: set[str] = set()
    try:
        watched = caches.get("configmaps", namespace="default")
        watched.subscribe(lambda old, new: seen.add((new or old)["metadata"]["name"]))
        await watched.wait_synced()

        async def write(worker: int) -> None:
            for number in range(10_000):
                name = f"c{worker}-{number}"
                made = await client.create("configmaps", {"metadata": {"name": name}, "data": {"n": name}},
                                           namespace="default")
                acknowledged[name] = made["metadata"]["resourceVersion"]

        writers = [asyncio.ensure_future(write(worker)) for worker in range(8)]
        async with asyncio.timeout(20):
            while len(acknowledged) < 200:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(host.end, server, signal.SIGKILL)  # in the middle of writes
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert all(isinstance(r, (OSError, TimeoutError, errors.StatusError)) for r in results), results

        server = await asyncio.to_thread(host.apiserver)
        listed = await client.list("configmaps", namespace="default")
        there = {c["metadata"]["name"]: c["metadata"]["resourceVersion"] for c in listed["items"]}
        lost = {name for name, version in acknowledged.items() if there.get(name) != version}
        assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes lost"

        # the watcher follows again: what it missed, what is new; nothing it showed has vanished
        await client.create("configmaps", {"metadata": {"name": "after"}}, namespace="default")
        async with asyncio.timeout(20):
            while "after" not in seen:
                await asyncio.sleep(0.02)
        assert {c["metadata"]["name"] for c in watched.list()} == {*there, "after"}
    finally:
        await caches.aclose()
        await client.aclose()
    assert await asyncio.to_thread(host.end, server) == 0


def test_an_apiserver_with_next_to_no_flags(host):
    """Self-signed certificate and key in --cert-dir, memory store, static tokens; kubectl speaks to it."""
    tokens = host.directory / "tokens.csv"
    tokens.write_text('secret,root,1,"system:masters"\n')
    port = alone_support.free_port()
    server = host.start("apiserver", "--etcd-servers=memory", f"--secure-port={port}",
                        f"--cert-dir={host.directory}/made", "--bind-address=127.0.0.1", f"--token-auth-file={tokens}",
                        "--anonymous_auth=false")
    url = f"https://127.0.0.1:{port}"
    kubectl = ("--kubeconfig=/dev/null", f"--server={url}", "--token=secret",
               f"--certificate-authority={host.directory}/made/apiserver.crt")
    alone_support.until(lambda: server.poll() is None and "default" in host.kubectl(*kubectl, "get", "ns", check=False))
    assert get(f"{url}/api")[0] == 401
    taken = host.start("apiserver", "--etcd-servers=memory", f"--secure-port={port}", "--bind-address=127.0.0.1",
                       f"--cert-dir={host.directory}/made")
    assert taken.wait(15) == 1
    assert f"failed to listen on 127.0.0.1:{port}: address already in use" in host.log(taken), host.log(taken)
    assert host.end(server) == 0


def test_a_kubelet_alone_waits_for_its_runtime(host):
    process = host.start("kubelet", f"--kubeconfig={host.kubeconfigs['kubelet.conf']}", "--hostname-override=node-a",
                         f"--container-runtime-endpoint=unix://{host.directory}/none.sock", "--node-ip=127.0.0.1",
                         f"--root-dir={host.directory}/kubelet", "--port=0", "--healthz-port=0")
    alone_support.until(lambda: "waiting for the container runtime" in host.log(process), what="it waits")
    assert host.end(process) == 0 and "Traceback" not in host.log(process), host.log(process)


# -- flags ----------------------------------------------------------------------------------------------------------
def test_help_is_in_upstreams_groups():
    text = alone_support.run("apiserver", "--help").stdout
    for group in ("Generic", "Secure serving", "Authentication", "Authorization", "Misc", "Logs"):
        assert f"\n{group} flags:" in text
    assert "--service-cluster-ip-range" in text


@pytest.mark.parametrize(("args", "error"), [
    (("apiserver", "--nope"), "unknown flag: --nope"),
    (("apiserver", "--etcd-servers=http://127.0.0.1:1"), "--etcd-servers=http://127.0.0.1:1: etcd is not in kube"),
    (("controller-manager", "--kubeconfig=/nowhere"), "invalid configuration: error loading config file '/nowhere'"),
])
def test_bad_flags_end_the_process_with_1(args, error):
    done = alone_support.run(*args)
    assert done.returncode == 1 and f"Error: {error}" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(("verb", "args", "error"), [
    ("apiserver", ["--secure-port=x"],
     'invalid argument "x" for "--secure-port" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    ("apiserver", ["--event-ttl=5"], 'invalid argument "5" for "--event-ttl" flag: time: missing unit in duration "5"'),
    ("apiserver", ["--anonymous-auth=maybe"], 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    ("apiserver", ["--secure-port"], "flag needs an argument: --secure-port"),
    ("apiserver", ["--oidc-issuer-url=https://x"], "--oidc-issuer-url is known to kube-apiserver but not supported by kubewheel: tokens of OpenID"),
    ("scheduler", ["surplus"], 'kubewheel scheduler does not take any arguments, got ["surplus"]'),
    ("kubelet", ["-x"], "unknown shorthand flag: 'x' in -x"),
    ("kubelet", ["--node-labels=a"], 'invalid argument "a" for "--node-labels" flag: malformed pair'),
])
def test_bad_flags_have_upstreams_words(capsys, verb, args, error):
    with pytest.raises(SystemExit) as ended:
        components.parse(verb, args)
    assert ended.value.code == 1 and error in capsys.readouterr().err


def test_a_flag_is_known_or_absent_never_both():
    for verb, table in component_flags.TABLES.items():
        names = [flag.name for flag in table]
        assert len(names) == len(set(names)), verb
        assert not component_flags.ABSENT[verb].keys() & set(names), verb


@pytest.mark.parametrize(("verb", "args", "error"), [
    ("apiserver", ["--storage-backend=etcd3"], "--storage-backend=etcd3 is not in kubewheel"),
    ("apiserver", [], "--storage-path must be specified"),
    ("apiserver", ["--goaway-chance=0.5"], "--goaway-chance can not be less than 0 or greater than 0.02"),
    ("apiserver", ["--max-requests-inflight=-1"], "--max-requests-inflight can not be negative value"),
    ("apiserver", ["--secure-port=0"], "--secure-port 0 must be between 1 and 65535, inclusive"),
    ("apiserver", ["--watch-cache=false"], "--watch-cache=false is not in kubewheel"),
    ("apiserver", ["--etcd-servers=memory", "--runtime-config=nope.example.com/v1=true"],
     "unknown api groups nope.example.com"),
    ("apiserver", ["--etcd-servers=memory", "--enable-admission-plugins=Nope"], 'enable-admission-plugins plugin "Nope" is unknown'),
    ("apiserver", ["--etcd-servers=memory", "--tls-min-version=VersionTLS9"], 'unknown tls version "VersionTLS9"'),
    ("apiserver", ["--etcd-servers=memory", "--tls-cipher-suites=NOPE"], "Cipher suite NOPE not supported or doesn't exist"),
    ("apiserver", ["--service-node-port-range=5-1"], "unable to parse port range"),
    ("apiserver", ["--service-cluster-ip-range=x"], "is not a valid CIDR"),
    ("apiserver", ["--client-ca-file=/nowhere"], "--client-ca-file: open /nowhere: no such file or directory"),
    ("controller-manager", ["--controllers=nope"], '"nope" is not in the list of known controllers'),
    ("controller-manager", ["--leader-elect-lease-duration=1s"], "LeaseDuration must be greater than RenewDeadline"),
    ("controller-manager", ["--concurrent-job-syncs=0"], "concurrent-job-syncs must be greater than 0"),
    ("scheduler", ["--leader-elect-resource-lock=endpoints"], 'resourceLock value must be "leases"'),
    ("kubelet", [], "--kubeconfig must be specified"),
    ("kubelet", ["--kubeconfig=x", "--register-with-taints=a=b"], "invalid taint spec: a=b"),
    ("proxy", ["--proxy-mode=ipvs"], "--proxy-mode=ipvs is not in kubewheel: only nftables is"),
    ("proxy", ["--cluster-cidr=x"], "must be a valid CIDR"),
])
async def test_what_cannot_be_done_is_refused(tmp_path, verb, args, error):
    options = components.parse(verb, args)
    if verb == "apiserver":
        options.cert_dir = str(tmp_path)
    with pytest.raises(Ended, match=error.replace("[", r"\[")):
        await alone.COMPONENTS[verb](options)


def test_apiserver_flags_become_options(tmp_path):
    (tmp_path / "sa.key").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    options = alone.apiserver.server_options(components.parse("apiserver", [
        f"--service-account-signing-key-file={tmp_path}/sa.key", "--service-account-issuer=https://a",
        "--service-account-issuer=https://b", "--service-node-port-range=30000+100", "--bind-address=127.0.0.9",
        "--authorization-mode=AlwaysAllow", "--event-ttl=2h", "--endpoint-reconciler-type=none"]))
    assert (options.service_account_issuer, options.service_account_other_issuers) == ("https://a", ("https://b",))
    assert options.service_node_port_range == (30000, 30100) and options.advertise_address == "127.0.0.9"
    assert not options.anonymous_auth and options.event_ttl == 7200 and not options.publish_kubernetes_service


# -- configuration files --------------------------------------------------------------------------------------------
def written(tmp_path, **doc):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(doc))
    return str(path)


def kubelet_file(tmp_path, **doc):
    return written(tmp_path, apiVersion="kubelet.config.k8s.io/v1beta1", kind="KubeletConfiguration", **doc)


def test_kubelet_configuration_with_flags_over_it(tmp_path):
    path = kubelet_file(
        tmp_path, authentication={"anonymous": {"enabled": True}, "webhook": {"cacheTTL": "0s", "enabled": True},
                                  "x509": {"clientCAFile": "/ca.crt"}},
        authorization={"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "0s"}}, clusterDNS=["10.96.0.10"],
        syncFrequency="0s", maxPods=42, port=10350, healthzPort=0, evictionHard={"memory.available": "1Gi"},
        containerLogMaxSize="1Mi", registerWithTaints=[{"key": "a", "effect": "NoSchedule"}], logging={}, memorySwap={},
        crashLoopBackOff={}, rotateCertificates=True, serializeImagePulls=False, fileCheckFrequency="1m30s")
    options = alone.kubelet.kubelet_options(components.parse("kubelet", [
        f"--config={path}", "--kubeconfig=x", "--hostname-override=node-a", "--port=10351", f"--root-dir={tmp_path}",
        "--node-labels=tier=front", "--node-ip=127.0.0.1"]))
    assert (options.node_name, options.node_ip, options.port, options.max_pods) == ("node-a", "127.0.0.1", 10351, 42)
    assert options.anonymous_auth and options.client_ca_file == "/ca.crt" and options.cluster_dns == ("10.96.0.10",)
    assert options.sync_frequency == 60 and options.file_check_frequency == 90 and options.healthz_port == -1
    assert options.eviction_hard == {"memory.available": "1Gi"} and options.container_log_max_size == 1 << 20
    assert options.register_with_taints == ({"key": "a", "effect": "NoSchedule"},)
    assert options.node_labels == {"tier": "front"} and not options.serialize_image_pulls
    assert (tmp_path / "pki" / "kubelet.crt").exists()


@pytest.mark.parametrize(("doc", "error"), [
    ({"maxPod": 1}, 'strict decoding error: unknown field "maxPod"'),
    ({"authentication": {"anonymous": {"on": True}}}, 'unknown field "authentication.anonymous.on"'),
    ({"syncFrequency": "soon"}, 'KubeletConfiguration.syncFrequency: time: invalid duration "soon"'),
])
def test_kubelet_configuration_is_strict(tmp_path, doc, error):
    with pytest.raises(Ended, match=error):
        config_files.kubelet(kubelet_file(tmp_path, **doc))


def test_a_repeated_field_or_another_kind_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nport: 1\nport: 2\n")
    with pytest.raises(Ended, match='line 4: key "port" already set in map'):
        config_files.kubelet(str(path))
    with pytest.raises(Ended, match='no kind "KubeletConfiguration" is registered'):
        config_files.proxy(str(path.with_name("other.yaml").write_text(path.read_text().replace("port: 2\n", "")) and
                               path.with_name("other.yaml")))


def test_proxy_configuration(tmp_path):
    path = written(tmp_path, apiVersion="kubeproxy.config.k8s.io/v1alpha1", kind="KubeProxyConfiguration",
                   mode="nftables", clusterCIDR="10.244.0.0/16", metricsBindAddress="127.0.0.1:1",
                   conntrack={"min": None},
                   clientConnection={"kubeconfig": "/k", "qps": 5}, nftables={"syncPeriod": "10s"})
    values = alone.proxy.proxy_values(components.parse("proxy", [f"--config={path}", "--hostname-override=n"]))
    assert (values["hostname_override"], values["cluster_cidr"], values["kubeconfig"]) == ("n", "10.244.0.0/16", "/k")
    assert values["sync_period"] == 10
    assert config_files.endpoint(values["metrics_bind_address"], port=9) == ("127.0.0.1", 1)
    assert config_files.endpoint("", port=9) == ("", 0) and config_files.endpoint("::1", port=9) == ("::1", 9)


def test_scheduler_configuration(tmp_path):
    path = written(tmp_path, apiVersion="kubescheduler.config.k8s.io/v1", kind="KubeSchedulerConfiguration",
                   leaderElection={"leaderElect": False, "leaseDuration": "20s"}, profiles=[{"schedulerName": "mine"}])
    options, document = config_files.scheduler(path)
    assert options == {"leader_elect": False, "leader_elect_lease_duration": 20.0}
    assert document["profiles"] == [{"schedulerName": "mine"}]
