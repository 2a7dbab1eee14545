import os
import socket
import subprocess
import sys

import pytest

from kubewheel.cli import component_flags, components, flags, main, up
from kubewheel.run import kubeconfigs, settings


def test_help_names_every_verb_and_imports_little():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "kubewheel.cli.main", "--help"],
                          capture_output=True, text=True, env=dict(os.environ), check=True)
    assert all(f"  {verb} " in done.stdout for verb in main.VERBS)
    assert not any(heavy in done.stderr for heavy in ("aiohttp", "asyncio", "yaml", "grpc", "numpy"))


def test_an_unknown_verb_is_refused(capsys):
    assert main.main(["nope"]) == 2
    assert "unknown verb 'nope'" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1h30m", 5400), ("1.5s", 1.5), ("100ms", 0.1), ("-2s", -2)])
def test_durations(text, seconds):
    assert flags.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1s2"])
def test_bad_durations(text):
    with pytest.raises(ValueError):
        flags.duration(text)


def test_flags_as_upstream_takes_them():
    options = components.parse("controller-manager", [
        "--controllers=*,-ttl", "--controllers", "job", "--leader-elect=false", "--allocate-node-cidrs",
        "--node_monitor_period=10s", "--feature-gates=WatchList=true,MemoryQoS=false",
        "--feature-gates=kube:NodeSwap=true"])
    assert options.controllers == ("*", "-ttl", "job")
    assert options.leader_elect is False and options.allocate_node_cidrs is True
    assert options.node_monitor_period == 10.0
    assert options.feature_gates == {"WatchList": True, "MemoryQoS": False, "NodeSwap": True}
    assert options.node_monitor_grace_period == 50.0


@pytest.mark.parametrize("verb", list(component_flags.TABLES))
def test_every_table_parses_with_no_flag(verb):
    assert components.parse(verb, []).v == 0


def test_an_unknown_flag_is_refused():
    with pytest.raises(SystemExit):
        components.parse("kubelet", ["--no-such-flag"])


@pytest.mark.parametrize(("content", "text"), [
    ("not: [yaml", "is not a kubeconfig: while parsing"), ("- 1", "is not a kubeconfig; name another"), (None, "Is a directory")])
def test_a_kubeconfig_that_is_none_is_told_in_one_line(tmp_path, content, text):
    path = tmp_path / "config"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(main.Failure, match=text) as failure, up.usable(path):
        kubeconfigs.load(path)
    assert str(path) in str(failure.value) and "\n" not in str(failure.value)


def test_ports_that_others_hold(tmp_path):
    with socket.socket() as held, socket.socket() as free:
        held.bind(("0.0.0.0", 0))
        free.bind(("0.0.0.0", 0))
        held.listen()
        taken, unused = held.getsockname()[1], free.getsockname()[1]
        free.close()
        chosen = settings.Settings(run_dir=tmp_path, secure_port=taken, kubelet_port=unused)
        assert up.ports_taken(chosen) == [(taken, "--secure-port")]


def test_a_reader_that_went_away_is_no_fault(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([sys.executable, "-m", "kubewheel.cli.main", "status", "--node-ip=127.0.0.1",
                               *(f"--{name}-dir={tmp_path}" for name in ("run", "data", "log"))], stdout=writer, stderr=subprocess.PIPE, text=True, env=dict(os.environ), check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
