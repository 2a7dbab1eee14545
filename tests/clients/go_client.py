"""Requests as client-go makes them: raw HTTPS with a client certificate or a token, protobuf bodies, its Accepts, its
User-Agents, its watches. So upstream's components can be replayed call by call, and their answers read as bytes."""

import contextlib
import gzip
import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.protobuf import kinds
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

PROTOBUF = "application/vnd.kubernetes.protobuf"
TYPED = f"{PROTOBUF},application/json"
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
AGGREGATED = ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
              "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
VERSION = "v1.36.0 (linux/amd64) kubernetes/0123456"
FOREVER = {"allowWatchBookmarks": "true", "timeoutSeconds": "431", "watch": "true"}
WATCH_LIST = FOREVER | {"resourceVersionMatch": "NotOlderThan", "sendInitialEvents": "true"}
PATIENCE = 20.0


def metadata_only(kind="PartialObjectMetadata"):
    """The Accept of the metadata client."""
    return ",".join(f"{form};as={kind};g=meta.k8s.io;v=v1" for form in (PROTOBUF, "application/json"))


def encoded(obj):
    """What client-go's protobuf serializer writes of a typed object."""
    return protobuf.encode(obj, kinds.known(obj["apiVersion"], obj["kind"]))


def decoded(body, content_type):
    if content_type.startswith(PROTOBUF):
        return protobuf.decode(body)
    return json.loads(body) if content_type.startswith("application/json") else body.decode()


class Answer:
    def __init__(self, response):
        self.status, self.type = response.status, response.headers.get("content-type", "")
        body = response.read()
        self.zipped = response.headers.get("content-encoding") == "gzip"
        self.body = gzip.decompress(body) if self.zipped else body
        self.obj = decoded(self.body, self.type) if self.body else None


class Refused(AssertionError):
    """The answer had another status than it should; the Status is in the text."""


class GoClient:
    """`agent` is the program (and its part, after "/"); an identity is a user with groups, a token, or a key pair."""

    def __init__(self, served, agent, user="", *groups, token="", pair=None, folder: Path):
        name, _, part = agent.partition("/")
        self.agent, self.token = f"{name}/{VERSION}" + (f"/{part}" if part else ""), token
        self._port = urlsplit(served.url).port
        authority = served.cluster.authority()
        self._tls = ssl.create_default_context(cadata=authority.cert.decode())
        if user:
            pair = tls.issue(authority, user, organizations=groups, now=clocks.RealClock().now(), client=True)
        if pair is not None:
            (folder / "client.pem").write_bytes(pair.cert + pair.key)
            self._tls.load_cert_chain(folder / "client.pem")
        self._kept = self._connection()

    def _connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=PATIENCE, context=self._tls)

    def close(self):
        self._kept.close()

    def _headers(self, accept, content_type, body):
        out = {"User-Agent": self.agent, "Accept": accept, "Accept-Encoding": "gzip"}
        if self.token:
            out["Authorization"] = f"Bearer {self.token}"
        return out | ({"Content-Type": content_type} if body is not None else {})

    def raw(self, method, path, body=None, *, query=None, accept=TYPED, content_type=PROTOBUF):
        """The Answer, whatever its status. `body` is an object (protobuf, or JSON where the content type says so) or bytes."""
        if isinstance(body, dict | list):
            body = encoded(body) if content_type == PROTOBUF else json.dumps(body, separators=(",", ":")).encode()
        url = path + ("?" + urlencode(query) if query else "")
        self._kept.request(method, url, body, self._headers(accept, content_type, body))
        return Answer(self._kept.getresponse())

    def call(self, method, path, body=None, *, status=None, **how):
        """The object of the answer, which has `status` (200, or 201 of a POST) and the form that was asked for."""
        got = self.raw(method, path, body, **how)
        wanted = status or (201 if method == "POST" else 200)
        if got.status != wanted:
            raise Refused(f"{method} {path}: {got.status} instead of {wanted}: {got.obj}")
        if "accept" not in how:
            assert got.type == PROTOBUF, (path, got.type)
        return got.obj

    def get(self, path, *, status=200, **how):
        return self.call("GET", path, status=status, **how)

    def post(self, path, body, *, status=201, **how):
        return self.call("POST", path, body, status=status, **how)

    def put(self, path, body, *, status=200, **how):
        return self.call("PUT", path, body, status=status, **how)

    def patch(self, path, body, content_type=STRATEGIC, *, status=200, **how):
        return self.call("PATCH", path, body, content_type=content_type, status=status, **how)

    def delete(self, path, options=None, *, status=200, **how):
        """`options` is of DeleteOptions, {} for none set: client-go always sends a body."""
        return self.call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **(options or {})}, status=status, **how)

    def informer(self, path, *, accept=TYPED, **query):
        return Informer(self, path, accept, query)

    def watch(self, path, *, accept=TYPED, **query):
        return Watch(self, path, accept, FOREVER | query)


class Watch(contextlib.AbstractContextManager):
    """A stream of events on a connection of its own; to be closed."""

    def __init__(self, client, path, accept, query):
        self._connection = client._connection()
        self._connection.request("GET", f"{path}?{urlencode(query)}", headers=client._headers(accept, "", None))
        self._response = self._connection.getresponse()
        self.type = self._response.headers.get("content-type", "")
        if self._response.status != 200:
            refusal = Answer(self._response).obj
            self.close()
            raise Refused(f"watch {path} {query}: {refusal}")
        assert self._response.headers.get("content-encoding") is None and self.type == f"{PROTOBUF};stream=watch", self.type

    def event(self):
        """(type, object) of the next one."""
        size = int.from_bytes(self._exactly(4))
        return protobuf.read_event(self._exactly(size))

    def _exactly(self, size):
        out = b""
        while len(out) < size:
            more = self._response.read(size - len(out))
            assert more, "the watch has ended"
            out += more
        return out

    def until(self, condition):
        """The first (type, object) of which it holds; bookmarks are passed over."""
        while True:
            kind, obj = self.event()
            assert kind != "ERROR", obj
            if kind != "BOOKMARK" and condition(kind, obj):
                return obj

    def close(self):
        self._response.close()
        self._connection.close()

    def __exit__(self, *_):
        self.close()


class Informer(Watch):
    """A reflector with WatchList: what there is comes first, and a bookmark says that it was all."""

    def __init__(self, client, path, accept, query):
        super().__init__(client, path, accept, WATCH_LIST | query)
        self.items = {}
        while True:
            kind, obj = self.event()
            if kind == "BOOKMARK":
                break
            assert kind == "ADDED", (path, kind, obj)
            self.items[obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, (path, obj)
        self.version = obj["metadata"]["resourceVersion"]
        assert int(self.version) > 0

    @property
    def names(self):
        return sorted(name for _, name in self.items)
