"""`aurora local` as typed: exit codes, one line per error, lines that a shell can read."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aurora.local.cli import app, env_lines
from aurora.local.controlplane import Endpoints
from aurora.local.progress import PlainReporter


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--nodes", "0"], "--nodes 0 is out of range: use 1 to 1000", id="no node"),
        pytest.param(["--base-port", "80"], "use 1024 to 65530", id="a privileged port"),
        pytest.param(["--scrape-interval", "0"], "use 1 to 300 seconds", id="no interval"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, _, stderr = run("up", "--state-dir", str(tmp_path / "state"), *arguments)
    assert code == 2
    assert message in stderr
    assert len(stderr.splitlines()) == 1


def test_down_where_nothing_was_started_succeeds(tmp_path: Path) -> None:
    code, stdout, _ = run("down", "--state-dir", str(tmp_path / "state"))
    assert code == 0
    assert "nothing to stop" in stdout
    assert list(tmp_path.iterdir()) == []


def test_status_where_nothing_was_started_fails_and_says_how_to_start(tmp_path: Path) -> None:
    code, stdout, _ = run("status", "--state-dir", str(tmp_path / "state"))
    assert code == 1
    assert "aurora local up" in stdout


def test_env_where_nothing_was_started_fails_and_prints_nothing_to_evaluate(
    tmp_path: Path,
) -> None:
    code, stdout, stderr = run("env", "--state-dir", str(tmp_path / "state"))
    assert code == 2
    assert stdout == ""
    assert "aurora local up" in stderr


def test_a_state_folder_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, stderr = run("up", "--state-dir", str(tmp_path / "file" / "state"))
    assert code == 2
    assert "choose another with --state-dir" in stderr
    assert len(stderr.splitlines()) == 1


def test_the_env_lines_survive_a_shell_whatever_the_folder_is_called(tmp_path: Path) -> None:
    root = tmp_path / "it's $HOME; echo oops"
    endpoints = Endpoints(
        kubeconfig=root / "kubeconfig",
        context="aurora-local",
        apiserver_url="https://127.0.0.1:1",
        prometheus_url="http://127.0.0.1:2",
        file_sd=root,
        bin_dir=root / "bin",
    )
    script = f'{env_lines(endpoints)}\nprintf "%s\\n" "$KUBECONFIG" "${{PATH%%:*}}"'
    answer = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == [str(root / "kubeconfig"), str(root / "bin")]


def test_plain_progress_speaks_each_ten_percent_or_fifteen_seconds() -> None:
    lines: list[str] = []
    now = 0.0
    reporter = PlainReporter(lines.append, clock=lambda: now)
    for done in range(21):
        reporter.advance("building x", done=done, total=100, detail="")
    assert [line.split()[2] for line in lines] == ["0", "10", "20"]
    now = 15.0
    reporter.advance("building x", done=21, total=100, detail="pkg")
    assert lines[-1] == "building x: 21 % (21 of 100) pkg"
    reporter.finish("building x")
    assert lines[-1] == "building x: done"
