"""Errors of the local control plane.

    LocalError                 exit code 1 on a command line
      BinaryError              a needed program could not be found, downloaded or built
      ComponentCrashError      a started program stopped by itself
      NotReadyError            a program runs and did not become ready in time
      DiskFullError            no room for the state folder
      LocalUsageError          exit code 2: the caller's choice is at fault
        PortInUseError         something else listens on a port we need
        StateFolderError       the state folder is not writable or not ours
        UnsupportedError       this operating system cannot run it

A message is one line and says what to do.
"""

import errno
from pathlib import Path

from aurora.errors import AuroraError, UsageError


class LocalError(AuroraError):
    """Base of every error of this package."""


class BinaryError(LocalError):
    """A needed program could not be found, downloaded or built."""


class ComponentCrashError(LocalError):
    """A program that we started stopped by itself."""


class NotReadyError(LocalError):
    """A program runs but did not become ready in time."""


class DiskFullError(LocalError):
    """There is no room left where the state folder or the cache lives."""


class LocalUsageError(LocalError, UsageError):
    """The caller's choice is at fault."""


class PortInUseError(LocalUsageError):
    """Another process listens on a port that we need."""


class StateFolderError(LocalUsageError):
    """The state folder cannot be written or belongs to something else."""


class UnsupportedError(LocalUsageError):
    """This machine cannot run the control plane."""


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WRONG_PATH = frozenset({errno.ENOTDIR, errno.EEXIST, errno.ENOENT})


def from_os_error(error: OSError, *, path: Path) -> LocalError:
    """The most specific error for a failed file operation on or below `path`."""
    if error.errno in _NO_ROOM:
        return DiskFullError(
            f"no space left on the disk of {path}: free some space or choose another folder "
            "with --state-dir (binaries: XDG_CACHE_HOME)"
        )
    if error.errno in _NO_RIGHT:
        return StateFolderError(
            f"no permission to write {error.filename or path}: "
            "choose a folder of yours with --state-dir (binaries: XDG_CACHE_HOME)"
        )
    if error.errno in _WRONG_PATH:
        return StateFolderError(
            f"{path} cannot be a folder ({error.strerror}): choose another with --state-dir"
        )
    return LocalError(f"{path}: {error.strerror or error}")


def from_crash(*, component: str, exit_code: int, last_line: str) -> LocalError:
    """The most specific error for a program that stopped, read from its last log line.

    Args:
        component: the program's name.
        exit_code: as the shell would show it; negative is the signal that ended it.
        last_line: the line of its log that tells most.
    """
    text = last_line.lower()
    if "address already in use" in text:
        return PortInUseError(
            f"{component} could not listen: {last_line}: "
            "stop the other program or choose other ports with --base-port"
        )
    if "no space left on device" in text or "disk quota exceeded" in text:
        return DiskFullError(
            f"{component} has no space left on the disk of the state folder: "
            "free some space or choose another folder with --state-dir"
        )
    how = f"killed by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    return ComponentCrashError(
        f"{component} stopped at start ({how}): {last_line or 'it wrote nothing to its log'}"
    )
