"""How requests are labelled in apiserver_request_total, as upstream's apiextensions-apiserver 0.36 was seen to do it."""

import pytest

from kubewheel.apiserver import request_info, request_metrics
from kubewheel.client.transport import Request

WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
AGGREGATED = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
BY_NAME = {"fieldSelector": ["metadata.name=x"]}
# method, path, query, headers, custom: component, group, resource, scope, subresource, verb
SEEN = [
    ("GET", "/healthz", {}, {}, False, "  //- /healthz GET"),
    ("HEAD", "/livez", {}, {}, False, "  //- /livez GET"),
    ("POST", "/readyz", {}, {}, False, "  //- /readyz POST"),
    ("GET", "/statusz", {}, {}, False, "apiserver /statusz/-  GET"),
    ("GET", "/apis", {}, AGGREGATED, False, "apiserver //- apis GET"),
    ("GET", WIDGETS, {}, {}, True, "apiserver example.com/widgets/namespace  LIST"),
    ("GET", WIDGETS, BY_NAME, {}, True, "apiserver example.com/widgets/resource  GET"),
    ("GET", WIDGETS, BY_NAME, {}, False, "apiserver example.com/widgets/namespace  LIST"),
    ("GET", WIDGETS, {**BY_NAME, "watch": ["1"]}, {}, True, "apiserver example.com/widgets/resource  WATCH"),
    ("GET", WIDGETS, {**BY_NAME, "watch": ["1"]}, {}, False, "apiserver example.com/widgets/namespace  WATCH"),
    ("POST", WIDGETS, {}, {}, True, "apiserver example.com/widgets/resource  POST"),
    ("DELETE", WIDGETS, BY_NAME, {}, True, "apiserver example.com/widgets/namespace  DELETE"),
    ("DELETE", WIDGETS + "/x", {}, {}, False, "apiserver example.com/widgets/resource  DELETE"),
    ("PATCH", WIDGETS + "/x", {}, {"content-type": "application/apply-patch+yaml"}, False,
     "apiserver example.com/widgets/resource  APPLY"),
    ("PUT", WIDGETS + "/x/status", {}, {}, False, "apiserver example.com/widgets/resource status PUT"),
]


def seen(method, path, query, headers, *, custom):
    request = Request(method, path, query=dict(query), headers=dict(headers))
    return request_metrics.where(request, request_info.parse(request), custom=custom)


@pytest.mark.parametrize(("method", "path", "query", "headers", "custom", "wanted"), SEEN)
def test_labels(method, path, query, headers, custom, wanted):
    component, _, group, resource, scope, sub, verb, _ = seen(method, path, query, headers, custom=custom)
    assert f"{component} {group}/{resource}/{scope or '-'} {sub} {verb}".split() == wanted.split()


@pytest.mark.parametrize("path", ["/version", "/metrics", "/openapi/v2", "/openapi/v3", "/apis", "/apis/apps", "/apis/apps/v1",
                                  "/healthz/ping", "/nope", "/", "/debug/pprof/"])
def test_what_is_not_counted(path):
    assert seen("GET", path, {}, {}, custom=False) is None


def test_a_selector_names_nothing_that_is_deleted():
    """Who may delete one object by its name may not send a deletecollection with a field selector for it."""
    assert request_info.parse(Request("DELETE", WIDGETS, query=dict(BY_NAME))).name == ""
    assert request_info.parse(Request("GET", WIDGETS, query=dict(BY_NAME))).name == "x"
