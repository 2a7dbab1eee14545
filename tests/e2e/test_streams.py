"""logs, exec, attach, cp, port-forward."""

import subprocess
import time
import urllib.request

from tests.e2e.support import IMAGE, SLEEP, pod, web


def test_logs(kubectl):
    kubectl.apply(pod("talk", "sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.3; done; sleep 100"))
    kubectl.ready("talk")
    kubectl.until(lambda: "line 3" in kubectl("logs", "talk"), what="three lines")
    assert kubectl("logs", "talk", "--tail=1").strip() == "line 3"
    assert kubectl("logs", "talk", "--since=1h").splitlines() == ["line 1", "line 2", "line 3"]
    assert kubectl("logs", "talk", "--timestamps").startswith("20")


def test_logs_follow_ends_with_the_container(kubectl):
    kubectl.apply(pod("count", "sh", "-c", "for i in $(seq 5); do echo $i; sleep 0.5; done", restartPolicy="Never"))
    kubectl.until(lambda: kubectl.run("logs", "count").returncode == 0, what="the log exists")
    assert kubectl("logs", "-f", "count", timeout=60).split() == ["1", "2", "3", "4", "5"]


def test_exec(kubectl):
    kubectl.apply(pod("x", *SLEEP))
    kubectl.ready("x")
    assert kubectl("exec", "x", "--", "echo", "hello").strip() == "hello"
    done = kubectl.run("exec", "x", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (7, "out\n", "err")
    assert kubectl("exec", "-i", "x", "--", "cat", stdin="piped\n" * 1000) == "piped\n" * 1000
    size = 3_000_000
    sent = kubectl.run("exec", "-i", "x", "--", "sh", "-c", "cat | wc -c", stdin="a" * size)
    assert sent.stdout.strip() == str(size)


def test_exec_with_a_terminal(kubectl):
    kubectl.apply(pod("x", *SLEEP))
    kubectl.ready("x")
    argv = subprocess.list2cmdline(kubectl.argv("exec", "-it", "x", "--", "sh", "-c", "tty; sleep 1; stty size"))
    done = subprocess.run(["script", "-qec", f"stty cols 93 rows 31; {argv}", "/dev/null"], capture_output=True, text=True, timeout=60)
    assert "/dev/pts/" in done.stdout and "31 93" in done.stdout, done.stdout


def test_attach(kubectl):
    kubectl.apply(pod("a", "sh", "-c", "while read l; do echo got $l; done", container={"stdin": True, "stdinOnce": True}, restartPolicy="Never"))
    kubectl.ready("a")
    done = kubectl.run("attach", "-i", "a", stdin="one\ntwo\n", timeout=60)
    assert "got one" in done.stdout and "got two" in done.stdout


def test_cp_both_ways(kubectl, tmp_path):
    kubectl.apply(pod("x", *SLEEP))
    kubectl.ready("x")
    (tmp_path / "in").write_text("content" * 10000)
    kubectl("cp", str(tmp_path / "in"), f"{kubectl.namespace}/x:/tmp/in")
    kubectl("cp", f"{kubectl.namespace}/x:/tmp/in", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "content" * 10000


def test_port_forward(kubectl):
    kubectl.apply(web("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    process = subprocess.Popen(kubectl.argv("port-forward", "deployment/web", ":8080"), stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = line.split("127.0.0.1:")[1].split(" ")[0]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                assert answer.read().decode().startswith("web-")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_run_and_wait_for_the_end(kubectl):
    started = time.monotonic()
    done = kubectl.run("run", "once", f"--image={IMAGE}", "--restart=Never", "--rm", "-i", "--", "sh", "-c", "cat; exit 0", stdin="hello\n", timeout=90)
    assert "hello" in done.stdout, (done.stdout, done.stderr, time.monotonic() - started)
