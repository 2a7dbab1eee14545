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
