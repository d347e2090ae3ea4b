"""The command line as a whole: quick, complete, and honest about errors."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import typer

from aurora.cli import COMMANDS, main
from aurora.errors import AuroraError, ConfigurationError, UsageError

HEAVY = ("aiohttp", "faiss", "kopf", "kubernetes", "numpy", "scipy", "sqlalchemy")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_it_starts_without_any_heavy_library(argument: str):
    program = (
        "import json, sys\n"
        "from aurora.cli import main\n"
        f"sys.argv = ['aurora', {argument!r}]\n"
        "try:\n    main()\n"
        "finally:\n    sys.stderr.write(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(HEAVY) & set(json.loads(done.stderr))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_help_is_what_the_command_says_of_itself(name: str):
    found = COMMANDS[name].load()
    if isinstance(found, typer.Typer):
        assert found.info.help == COMMANDS[name].help
        return
    assert (inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["aurora", name, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in {0, None}
    assert f"Usage: aurora {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(UsageError("wrong\x1b[2J"), 2, id="bad input"),
        pytest.param(ConfigurationError("wrong"), 2, id="a bad setting"),
        pytest.param(AuroraError("wrong"), 1, id="any other failure"),
    ],
)
@pytest.mark.parametrize(
    ("program", "prefix"), [("aurora", "aurora"), ("kubectl-aurora", "kubectl aurora")]
)
def test_an_error_is_one_clean_line_and_an_exit_code(
    *,
    error: AuroraError,
    code: int,
    program: str,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr("aurora.cli.app", fail)
    monkeypatch.setattr(sys, "argv", [f"/usr/local/bin/{program}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith(f"{prefix}: wrong")
    assert "\x1b" not in said
    assert said.count("\n") == 1


def test_an_unknown_command_is_exit_code_2():
    done = subprocess.run(
        [sys.executable, "-m", "aurora.cli", "nonsense"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr


def test_a_container_ends_when_it_is_told_to_while_its_command_still_loads():
    first_process = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.call([*first_process, "true"]):
        pytest.skip("this machine lets nobody make a PID namespace")
    program = (
        "import os, signal, sys\n"
        "from aurora import cli\n"
        "def load():\n    os.kill(1, signal.SIGTERM)\n    print('it went on')\n    sys.exit(0)\n"
        "cli.COMMANDS = {'slow': cli.Lazy('', load)}\n"
        "sys.argv = ['aurora', 'slow']\n"
        "cli.main()\n"
    )
    asked = [*first_process, sys.executable, "-c", program]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert done.returncode == 128 + signal.SIGTERM
