import signal
import subprocess

from kubewheel.run import pidfile


def test_a_process_is_known_by_pid_and_start_time(tmp_path):
    child = subprocess.Popen(["sleep", "60"])
    try:
        process = pidfile.of(child.pid, ("sleep", "60"))
        pidfile.write(tmp_path / "p.json", process)
        assert pidfile.read(tmp_path / "p.json") == process
        other = pidfile.Process(process.pid, process.started + 1)
        assert not pidfile.is_alive(other)
        assert not pidfile.send(other, signal.SIGKILL)
        assert child.poll() is None
        pidfile.stop(process, grace=5)
        assert child.wait() == -signal.SIGTERM
        assert pidfile.read(tmp_path / "p.json") is None
    finally:
        child.kill()
        child.wait()


def test_a_torn_or_missing_file_names_nobody(tmp_path):
    (tmp_path / "torn").write_text('{"pid": 1')
    assert pidfile.read(tmp_path / "torn") is None
    assert pidfile.read(tmp_path / "none") is None
