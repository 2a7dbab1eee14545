import json
import platform
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from kubewheel.run import images, oci, pause, system_image
from kubewheel.run.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, run_dir=tmp_path, log_dir=tmp_path, node_ip="127.0.0.1")


def test_equal_content_has_an_equal_digest_and_the_tar_is_an_oci_layout(settings, tmp_path):
    first, second = images.pause_image(settings), images.pause_image(settings)
    assert first == second
    with tarfile.open(first.path) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = json.load(tar.extractfile("blobs/" + first.digest.replace(":", "/")))
        assert {m["annotations"]["io.containerd.image.name"] for m in index["manifests"]} == set(images.PAUSE_NAMES)
        layer = tar.extractfile("blobs/" + manifest["layers"][0]["digest"].replace(":", "/"))
        with tarfile.open(fileobj=layer) as files:
            assert files.getmember("pause").mode == 0o755


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the amd64 program")
def test_pause_waits_and_ends_by_sigterm(tmp_path):
    path = tmp_path / "pause"
    path.write_bytes(pause.executable("amd64"))
    path.chmod(0o755)
    process = subprocess.Popen([path])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.send_signal(signal.SIGCHLD)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.terminate()
    assert process.wait(5) == 0


def test_layers_have_parents_and_are_sorted(tmp_path):
    with (tmp_path / "l.tar").open("wb") as out:
        oci.write_layer([oci.Entry("b/c/d", b"x"), oci.Entry("a", b"y")], out)
    with tarfile.open(tmp_path / "l.tar") as tar:
        assert [(m.name, m.isdir(), m.mtime) for m in tar] == [
            ("a", False, 0), ("b", True, 0), ("b/c", True, 0), ("b/c/d", False, 0)]


def test_the_system_image_holds_us_the_interpreter_and_their_libraries():
    contents = system_image.Contents.of_this_process()
    paths = {file.path for file in contents.files}
    assert {"usr/local/bin/python3", "app/kubewheel/cli/main.py", "app/aiohttp/__init__.py"} <= paths
    assert not any(path.startswith(("app/numpy", "app/grpc", "app/kubectl")) for path in paths)
    assert contents.fingerprint() == system_image.Contents.of_this_process().fingerprint()
    libraries = system_image.shared_libraries([system_image.interpreter()])
    assert "libc.so.6" in libraries and all(Path(path).exists() for path in libraries.values())


@pytest.mark.parametrize(("given", "full"), [
    ("nginx", "docker.io/library/nginx:latest"), ("nginx:1", "docker.io/library/nginx:1"),
    ("me/app", "docker.io/me/app:latest"), ("r.example:5000/app:2", "r.example:5000/app:2")])
def test_names_are_completed_as_docker_does(given, full):
    assert images.completions(given) == [full]
