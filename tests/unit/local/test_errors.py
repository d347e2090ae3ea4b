"""Every failure becomes one line that says what to do, of the kind that sets the exit code."""

import errno
from pathlib import Path

import pytest

from aurora.local import errors

FOLDER = Path("/state")


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        pytest.param(errno.ENOSPC, errors.DiskFullError, "free some space", id="full disk"),
        pytest.param(errno.EDQUOT, errors.DiskFullError, "free some space", id="quota used up"),
        pytest.param(errno.EACCES, errors.StateFolderError, "--state-dir", id="no permission"),
        pytest.param(errno.EROFS, errors.StateFolderError, "--state-dir", id="read-only disk"),
        pytest.param(errno.ENOTDIR, errors.StateFolderError, "--state-dir", id="below a file"),
        pytest.param(errno.EIO, errors.LocalError, "Input/output", id="anything else"),
    ],
)
def test_a_file_error_says_what_to_do(
    number: int, kind: type[errors.LocalError], advice: str
) -> None:
    import os

    found = errors.from_os_error(OSError(number, os.strerror(number)), path=FOLDER)
    assert type(found) is kind
    assert advice in str(found)
    assert str(FOLDER) in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        pytest.param(
            "listen tcp 127.0.0.1:1: bind: address already in use",
            errors.PortInUseError,
            id="port taken between check and start",
        ),
        pytest.param(
            "write /state/etcd: no space left on device", errors.DiskFullError, id="full disk"
        ),
        pytest.param("panic: runtime error", errors.ComponentCrashError, id="a bug of its own"),
        pytest.param("", errors.ComponentCrashError, id="silent end"),
    ],
)
def test_a_crash_is_told_apart_by_its_last_words(line: str, kind: type[errors.LocalError]) -> None:
    found = errors.from_crash(component="etcd", exit_code=1, last_line=line)
    assert type(found) is kind
    assert "etcd" in str(found)


def test_a_signal_is_named_as_a_signal() -> None:
    found = errors.from_crash(component="kwok", exit_code=-9, last_line="")
    assert "killed by signal 9" in str(found)


@pytest.mark.parametrize(
    "kind", [errors.PortInUseError, errors.StateFolderError, errors.UnsupportedError]
)
def test_what_the_caller_can_cure_is_a_usage_error(kind: type[Exception]) -> None:
    from aurora.errors import UsageError

    assert issubclass(kind, UsageError)
    assert issubclass(kind, errors.LocalError)
