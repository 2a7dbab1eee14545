"""Flags of the components: sections, defaults, and what is said of bad, absent and unknown ones."""

import pytest

from kubewheel.cli import component_flags, components, flags

SECTIONS = {
    "apiserver": ["Generic", "Etcd", "Secure serving", "Features", "Authentication", "Authorization", "API enablement",
                  "Admission", "Logs", "Misc"],
    "controller-manager": ["Debugging", "Leader election", "Generic", "Cronjob controller", "Nodelifecycle controller",
                           "Secure serving", "Authentication", "Authorization", "Logs", "Misc"],
    "scheduler": ["Misc", "Secure serving", "Authentication", "Authorization", "Deprecated", "Leader election", "Logs"],
}


@pytest.mark.parametrize("verb", list(SECTIONS))
def test_help_has_upstreams_sections(capsys, verb):
    with pytest.raises(SystemExit) as ended:
        components.parse(verb, ["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    places = [text.index(f"\n{section} flags:") for section in SECTIONS[verb]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("verb", list(component_flags.TABLES))
def test_version(capsys, verb):
    with pytest.raises(SystemExit) as ended:
        components.parse(verb, ["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("Kubernetes v1.")


@pytest.mark.parametrize("verb", list(component_flags.TABLES))
def test_absent_flags_say_why(capsys, verb):
    for name, why in component_flags.ABSENT[verb].items():
        assert why and not why.endswith("."), name
    name, why = next(iter(component_flags.ABSENT[verb].items()))
    with pytest.raises(SystemExit) as ended:
        components.parse(verb, [f"--{name}=x"])
    upstream = "kubelet" if verb == "kubelet" else f"kube-{verb}"
    assert ended.value.code == 1
    assert f"Error: --{name} is known to {upstream} but not supported by kubewheel: {why}" in capsys.readouterr().err


@pytest.mark.parametrize(("args", "said"), [
    (["--feature-gates=Nonsense=true"],
     'invalid argument "Nonsense=true" for "--feature-gates" flag: unrecognized feature gate: Nonsense'),
    (["--feature-gates=WatchList"], "missing bool value for WatchList"),
    (["--feature-gates=NodeSwap=false"], "cannot set feature gate NodeSwap to false, feature is locked to true"),
    (["--runtime-config=api/all=maybe"], 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    (["--nonsense=1"], "unknown flag: --nonsense"),
])
def test_bad_values(capsys, args, said):
    with pytest.raises(SystemExit) as ended:
        components.parse("apiserver", args)
    assert ended.value.code == 1 and said in capsys.readouterr().err


def test_what_is_in_effect_is_shown_as_upstream_does():
    shown = components.parse("apiserver", [
        "--request-timeout=90s", "--runtime-config=api/beta=false", "--runtime-config=v1", "--tls-sni-cert-key=a.crt,a.key",
        "--tls-sni-cert-key=b.crt,b.key:*.b.example.com"]).flagz
    assert shown["request-timeout"] == "1m30s" and shown["event-ttl"] == "1h0m0s" and shown["anonymous-auth"] == "true"
    assert shown["runtime-config"] == "api/beta=false,v1=true"
    assert shown["tls-sni-cert-key"] == "[a.crt,a.key,b.crt,b.key:*.b.example.com]"
    assert shown["requestheader-username-headers"] == "[X-Remote-User]"


def test_every_default_reads_as_a_value():
    for table in component_flags.TABLES.values():
        for flag in table:
            if flag.kind == "duration" and flag.default:
                assert flags.duration(flag.default) >= 0


@pytest.mark.parametrize(("flag", "said"), [  # as upstream's generic API server 0.36 says it
    ("--nope", "unknown flag: --nope"), ("-x", "unknown shorthand flag: 'x' in -x"),
    ("--livez-grace-period=abc", 'invalid argument "abc" for "--livez-grace-period" flag: time: invalid duration "abc"'),
    ("--request-timeout=1", 'invalid argument "1" for "--request-timeout" flag: time: missing unit in duration "1"'),
    ("--max-requests-inflight=x",
     'invalid argument "x" for "--max-requests-inflight" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    ("--profiling=maybe", 'invalid argument "maybe" for "--profiling" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
    ("--bind-address=foo", 'invalid argument "foo" for "--bind-address" flag: failed to parse IP: "foo"'),
    ("--v=abc", 'invalid argument "abc" for "-v, --v" flag: strconv.ParseInt: parsing "abc": invalid syntax'),
    ("--livez-grace-period", "flag needs an argument: --livez-grace-period")])
def test_bad_flags_are_refused_in_upstreams_words(flag, said, capsys):
    with pytest.raises(SystemExit) as ended:
        components.parse("apiserver", [flag])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"Error: {said}\n")


@pytest.mark.parametrize(("flags", "said"), [
    ("--max-requests-inflight=-1 --livez-grace-period=-1s",
     "[--livez-grace-period can not be a negative value, --max-requests-inflight can not be negative value]"),
    ("--goaway-chance=1", "--goaway-chance can not be less than 0 or greater than 0.02"),
    ("--storage-initialization-timeout=-1s", "--storage-initialization-timeout can not be negative value"),
    ("--secure-port=70000", "--secure-port 70000 must be between 1 and 65535, inclusive. It cannot be turned off with 0")])
def test_values_out_of_range_are_told_together(flags, said):
    from kubewheel.run.alone import apiserver
    from kubewheel.run.ended import Ended

    with pytest.raises(Ended) as ended:
        apiserver.check(components.parse("apiserver", flags.split()))
    assert str(ended.value) == said


@pytest.mark.parametrize(("config", "said"), [
    ({"api/all": False}, "invalid runtime-config with only api/all=false"), ({"nope/v1": True}, "unknown api groups nope/v1"),
    ({"x": True}, "runtime-config invalid key x")])
def test_a_runtime_config_that_is_none(config, said):
    from kubewheel.api import catalog
    from kubewheel.apiserver import runtime_config

    with pytest.raises(ValueError, match=f"^{said}$"):
        runtime_config.check(catalog.RESOURCES, config)
