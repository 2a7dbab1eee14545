import argparse
import asyncio
import signal
from pathlib import Path

from kubewheel.run import pidfile, supervisor
from kubewheel.run.settings import Settings


def child(tmp_path: Path, *argv: str) -> supervisor.Child:
    return supervisor.Child("c", argv or ("sleep", "60"), tmp_path / "c.log", grace=2)


async def until(condition):
    async with asyncio.timeout(5):
        while not (value := condition()):  # noqa: ASYNC110 - polls another process
            await asyncio.sleep(0.01)
        return value


async def test_restarts_adopts_replaces_and_stops(tmp_path):
    pid_file = tmp_path / "c.json"
    keeper = supervisor.Keeper(child(tmp_path), pid_file)
    task = asyncio.create_task(keeper.keep())
    first = await until(lambda: pidfile.read(pid_file))
    pidfile.send(first, signal.SIGKILL)
    second = await until(lambda: (p := pidfile.read(pid_file)) and p.pid != first.pid and p)
    task.cancel()  # as if the supervisor had died: the child goes on

    heir = supervisor.Keeper(child(tmp_path), pid_file)
    task2 = asyncio.create_task(heir.keep())
    await until(lambda: heir.process)
    assert heir.process == second
    task2.cancel()

    other = supervisor.Keeper(child(tmp_path, "sleep", "61"), pid_file)
    task3 = asyncio.create_task(other.keep())
    third = await until(lambda: other.process)
    assert third.argv == ("sleep", "61") and not pidfile.is_alive(second)
    task3.cancel()
    await asyncio.gather(task, task2, task3, return_exceptions=True)
    await other.stop()
    keeper._popen.wait()
    assert not pidfile.is_alive(third) and not pid_file.exists()


def test_rotation_keeps_some_and_empties_the_live_log(tmp_path):
    log = tmp_path / "x.log"
    for text in ("a" * 20, "b" * 20, "c" * 20):
        log.write_text(text)
        assert supervisor.rotate(log, limit=10, kept=2)
    assert log.read_text() == ""
    assert (tmp_path / "x.log.1").read_text() == "c" * 20
    assert (tmp_path / "x.log.2").read_text() == "b" * 20
    assert not supervisor.rotate(log, limit=10)


def test_settings_go_through_flags_unchanged(tmp_path):
    settings = Settings(data_dir=tmp_path, node_name="n", node_ip="192.0.2.7", secure_port=7443)
    parser = argparse.ArgumentParser()
    supervisor.add_settings_flags(parser)
    assert supervisor.settings_of(parser.parse_args(supervisor.settings_flags(settings))) == settings
