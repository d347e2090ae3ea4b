"""Only processes that carry our mark are found and stopped."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.local import process
from aurora.local.errors import LocalError
from aurora.local.process import FOLDER_MARK, NAME_MARK, Running

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(60)""",
)


@pytest.fixture(autouse=True)
def cleanup(tmp_path: Path) -> Iterator[None]:
    yield
    process.stop(process.find(tmp_path), folder=tmp_path, grace_seconds=0.1)


def spawn(folder: Path, name: str = "etcd", argv: tuple[str, ...] = SLEEP) -> int:
    return process.spawn(name, argv, folder=folder, log=folder / f"{name}.log")


def test_a_spawned_process_is_found_by_folder_and_name(tmp_path: Path) -> None:
    pid = spawn(tmp_path)
    assert process.find(tmp_path) == [Running("etcd", pid)]
    assert process.find(tmp_path / "other") == []


def test_a_stopped_process_is_gone_and_reaped(tmp_path: Path) -> None:
    pid = spawn(tmp_path)
    assert process.stop([Running("etcd", pid)], folder=tmp_path, grace_seconds=5) == []
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    pid = spawn(tmp_path, argv=STUBBORN)
    deadline = time.monotonic() + 10
    while "ready" not in (tmp_path / "etcd.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.stop([Running("etcd", pid)], folder=tmp_path, grace_seconds=0.2) == []
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param({}, id="without a mark"),
        pytest.param({FOLDER_MARK: "/elsewhere", NAME_MARK: "etcd"}, id="of another folder"),
        pytest.param({FOLDER_MARK: "SAME", NAME_MARK: "kwok"}, id="of another component"),
    ],
)
def test_a_pid_that_now_belongs_to_a_process_is_left_alone(
    tmp_path: Path, marks: dict[str, str]
) -> None:
    environment = os.environ | {
        name: str(tmp_path) if mark == "SAME" else mark for name, mark in marks.items()
    }
    with subprocess.Popen(SLEEP, env=environment) as stranger:
        try:
            claimed = [Running("etcd", stranger.pid)]
            assert process.stop(claimed, folder=tmp_path, grace_seconds=0.2) == []
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_stopping_a_pid_that_is_gone_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert process.stop([Running("etcd", gone.pid)], folder=tmp_path, grace_seconds=0.1) == []


def test_the_exit_code_of_a_crash_is_seen_once_it_happened(tmp_path: Path) -> None:
    pid = spawn(tmp_path, argv=(sys.executable, "-c", "print('last words'); raise SystemExit(3)"))
    deadline = time.monotonic() + 10
    while (code := process.exit_code(pid)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert code == 3
    assert process.telling_line(tmp_path / "etcd.log") == "last words"


def test_a_program_that_cannot_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="etcd: cannot execute /no/such/program: No such file"):
        spawn(tmp_path, argv=("/no/such/program",))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], "", id="an empty log tells nothing"),
        pytest.param(["one", "two", ""], "two", id="else the last line"),
        pytest.param(
            ["F0102 fatal", "I0102 bye"], "F0102 fatal", id="a fatal line before the farewell"
        ),
        pytest.param(
            ["listen: bind: address already in use", "E0102 stopped"],
            "listen: bind: address already in use",
            id="a known cause before any other error",
        ),
        pytest.param(
            ["write: no space left on device", "panic: failed to create the log"],
            "write: no space left on device",
            id="a known cause before the panic that it led to",
        ),
    ],
)
def test_the_line_that_tells_most_is_picked(lines: list[str], expected: str) -> None:
    assert process.pick_line(lines) == expected
