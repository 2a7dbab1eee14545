"""Quantities, selectors, names, validation messages."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubewheel.api import catalog, codec, errors, intstr, names, quantity, selectors, validation
from kubewheel.api.core import qos


@pytest.mark.parametrize(("text", "canonical"), [
    ("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("100Ki", "100Ki"), ("1e3", "1e3"),
    ("512", "512"), ("0", "0"), ("1000k", "1M"), (".5", "500m"), ("-5", "-5"), ("0.1n", "1n"), ("1.2Ki", "1228800m"),
])
def test_canonical(text: str, canonical: str):
    assert quantity.canonical(text) == canonical


def test_bad_quantity():
    for text in ("", "1x", "abc", "1.2.3", "e-10", "1 Gi"):
        assert not quantity.is_valid(text)


SUFFIXES = {"n": Fraction(1, 10**9), "m": Fraction(1, 1000), "": 1, "k": 1000, "M": 10**6, "Ki": 1024, "Gi": 2**30}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SUFFIXES)))
def test_value_is_kept(number: int, suffix: str):
    text = f"{number}{suffix}"
    assert Fraction(quantity.nano(text), quantity.NANO) == number * SUFFIXES[suffix]
    assert quantity.compare(quantity.canonical(text), text) == 0
    assert quantity.compare(quantity.sub(quantity.add(text, "1"), "1"), text) == 0


LABEL = st.from_regex(r"[a-z]([a-z0-9]{0,5})", fullmatch=True)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(LABEL, LABEL, max_size=4), st.dictionaries(LABEL, LABEL, max_size=4))
def test_equality_selector(wanted: dict, labels: dict):
    parsed = selectors.parse_label(",".join(f"{k}={v}" for k, v in wanted.items()))
    expected = all(labels.get(k) == v for k, v in wanted.items())
    assert parsed.matches(labels) is expected
    assert selectors.from_label_selector({"matchLabels": wanted}).matches(labels) is expected
    assert selectors.parse_label(str(parsed)).matches(labels) is expected


def test_set_selectors():
    s = selectors.parse_label("a in (x,y), b notin (z), c, !d, e!=f, n>5")
    assert s.matches({"a": "x", "c": "", "n": "6"})
    assert not s.matches({"a": "x", "c": "", "n": "5"})
    assert not s.matches({"a": "x", "c": "", "d": "1", "n": "6"})
    assert not selectors.from_label_selector(None).matches({})
    assert selectors.from_label_selector({}).matches({"a": "b"})
    assert selectors.to_text({"matchLabels": {"b": "2", "a": "1"}}) == "a=1,b=2"
    assert selectors.to_text({"app": "x"}) == "app=x"


@pytest.mark.parametrize(("text", "said"), [
    ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ("!!", "unable to parse requirement: found '!', expected: identifier"),
    ("a=b,", "found '', expected: identifier after ','"),
    ("a=b,=c", "found '=', expected: identifier after ','"),
    ("=x", "found '=', expected: !, identifier, or 'end of string'"),
    ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ("a in (b", "unable to parse requirement: "),
    ("a/b/c=d", "unable to parse requirement: "),
    ("a=-", "unable to parse requirement: "),
])
def test_bad_selectors(text: str, said: str):
    with pytest.raises(errors.StatusError) as e:
        selectors.parse_label(text)
    assert e.value.code == 400
    assert e.value.message == said if not said.endswith(" ") else e.value.message.startswith(said)


def test_field_selectors():
    s = selectors.parse_field(r"status.phase!=Running,spec.x=a\,b")
    assert [tuple(t) for t in s.terms] == [("status.phase", "!=", "Running"), ("spec.x", "=", "a,b")]
    assert str(s) == r"status.phase!=Running,spec.x=a\,b"
    with pytest.raises(errors.StatusError):
        selectors.parse_field("nonsense")


def test_intstr():
    assert intstr.scaled("25%", 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=False) == 2
    assert intstr.scaled(4, 10, round_up=True) == 4


def test_names():
    assert names.subdomain("a.b-c") == []
    assert names.label("A") == [names.LABEL_TEXT]
    assert names.qualified("example.com/A_b") == []
    assert names.port_name("http") == [] and names.port_name("-") != []
    meta = {"name": "A", "namespace": "ns"}
    assert [f"{f.field}: {f.body}" for f in validation.validate_meta(meta, namespaced=True)] == [
        f'metadata.name: Invalid value: "A": {names.SUBDOMAIN_TEXT}']


def texts(kind: str, obj: dict, old: dict | None = None) -> list[str]:
    r = catalog.resource(kind)
    r.defaults(obj)
    found = r.validate(obj) if old is None else r.validate_update(obj, old)
    return [f"{f.field}: {f.body}" for f in found]


POD = {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}


def test_pod_messages():
    pod = codec.copy(POD)
    pod["spec"]["containers"].append({"name": "c", "image": "", "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                                      "ports": [{"containerPort": 70000}],
                                      "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})
    assert texts("pods", pod) == [
        "spec.containers[1].image: Required value",
        "spec.containers[1].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        'spec.containers[1].volumeMounts[0].name: Not found: "v"',
        'spec.containers[1].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        'spec.containers[1].name: Duplicate value: "c"',
    ]


def test_pod_update():
    old = codec.copy(POD)
    catalog.resource("pods").defaults(old)
    image = codec.copy(old)
    image["spec"]["containers"][0]["image"] = "x:2"
    assert texts("pods", image, old) == []
    moved = codec.copy(old)
    moved["spec"]["hostNetwork"] = True
    found = texts("pods", moved, old)
    assert len(found) == 1
    assert found[0].startswith("spec: Forbidden: pod updates may not change fields other than "
                               "`spec.containers[*].image`,`spec.initContainers[*].image`,")


def deployment(label: str) -> dict:
    return {"metadata": {"name": "a", "namespace": "ns"}, "spec": {
        "selector": {"matchLabels": {"app": label}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": codec.copy(POD["spec"])}}}


def test_deployment_messages():
    assert texts("deployments.apps", deployment("b")) == [
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`']
    old = deployment("b")
    catalog.resource("deployments.apps").defaults(old)
    assert texts("deployments.apps", deployment("a"), old) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"a"}}: field is immutable']


def test_immutable_config_map():
    old = {"metadata": {"name": "a"}, "immutable": True, "data": {"a": "b"}}
    assert texts("configmaps", {**old, "data": {}}, old) == [
        "data: Forbidden: field is immutable when `immutable` is set"]


@pytest.mark.parametrize(("resources", "expected"), [
    ({}, "BestEffort"), ({"requests": {"cpu": "1"}}, "Burstable"),
    ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}, "Guaranteed"),
])
def test_qos(resources: dict, expected: str):
    assert qos.of_spec({"containers": [{"resources": resources}]}) == expected


def test_grace():
    pods = catalog.resource("pods")
    assert pods.grace_seconds is not None
    bound = {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 7}}
    assert pods.grace_seconds(bound, {}) == 7
    assert pods.grace_seconds(bound, {"gracePeriodSeconds": 0}) == 0
    assert pods.grace_seconds({"spec": {}}, {}) == 0


def test_hpa_versions_convert_there_and_back():
    v1 = catalog.lookup(catalog.Gvr("autoscaling", "v1", "horizontalpodautoscalers"))
    assert v1 is not None and v1.to_hub is not None and v1.from_hub is not None
    obj = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
           "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}
    assert v1.from_hub(v1.to_hub(obj)) == obj
