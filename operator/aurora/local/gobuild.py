"""Build a program from its Go module, with progress by package."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aurora.local.errors import BinaryError, DiskFullError
from aurora.local.progress import Reporter
from aurora.local.tools import Tool

MODULES = Path(__file__).parent / "gomod"

TAGS = "netgo,remove_all_sd,enable_static_sd,enable_file_sd"
"""Prometheus without the cloud discoveries; no resolver of the C library."""

_DOWNLOADING = "go: downloading "


def build(tool: Tool, *, go: Path, out: Path, reporter: Reporter) -> None:
    """Write the program of `tool` to `out`.

    Go's own build cache keeps every finished package, so a build that was killed goes on where
    it stopped. Raises BinaryError, or DiskFullError, with Go's own last line.
    """
    task = f"building {tool.name} {tool.version}"
    total = len(_stale_packages(tool, go=go, task=task, reporter=reporter))
    built = 0

    def on_line(line: str) -> None:
        nonlocal built
        if line.startswith(_DOWNLOADING):
            reporter.advance(task, done=built, total=total, detail=line)
            return
        if " " not in line:  # `go build -v` prints each finished package on a line of its own
            built += 1
            detail = "linking" if built >= total else line
            reporter.advance(task, done=min(built, total), total=total, detail=detail)

    reporter.advance(task, done=0, total=total, detail="compiling")
    _run(build_argv(tool, go=go, out=out), module=tool.module, on_line=on_line)
    reporter.finish(task)


def build_argv(tool: Tool, *, go: Path, out: Path) -> list[str]:
    """The `go build` command line."""
    flags = "-s -w"
    if tool.version_variable:
        flags += f" -X {tool.version_variable}{tool.version}"
    return [
        *(str(go), "build", "-v", "-buildvcs=false", "-tags", TAGS),
        *("-ldflags", flags, "-o", str(out), tool.package),
    ]


def _stale_packages(tool: Tool, *, go: Path, task: str, reporter: Reporter) -> list[str]:
    """The packages that `go build` will compile; fetches the modules on the way."""
    fetched = 0

    def on_line(line: str) -> None:
        nonlocal fetched
        if line.startswith(_DOWNLOADING):
            fetched += 1
            name = line.removeprefix(_DOWNLOADING)
            reporter.advance(task, done=0, total=None, detail=f"module {fetched}: {name}")

    argv = [
        *(str(go), "list", "-deps", "-buildvcs=false", "-tags", TAGS),
        *("-f", "{{if .Stale}}{{.ImportPath}}{{end}}", tool.package),
    ]
    return _run(argv, module=tool.module, on_line=on_line)


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment of the Go tool: exactly our versions, never another toolchain."""
    return {
        **base,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "GO111MODULE": "on",
    }


def _run(argv: Sequence[str], *, module: str, on_line: Callable[[str], None]) -> list[str]:
    """Run Go in a module's folder; `on_line` gets what it writes to stderr, we get stdout."""
    said: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as stdout,  # a pipe that nobody reads would block it
        subprocess.Popen(
            argv,
            cwd=MODULES / module,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            _follow(process, said, on_line)
        except BaseException:
            process.terminate()
            raise
        if process.wait() != 0:
            raise _failure(argv, said)
        stdout.seek(0)
        return [line for line in stdout.read().splitlines() if line]


def _follow(
    process: "subprocess.Popen[str]", said: list[str], on_line: Callable[[str], None]
) -> None:
    for raw in process.stderr or ():
        line = raw.rstrip()
        said.append(line)
        on_line(line)


def _failure(argv: Sequence[str], said: Sequence[str]) -> BinaryError | DiskFullError:
    text = "\n".join(said)
    if "no space left on device" in text or "disk quota exceeded" in text:
        return DiskFullError(
            "the disk is full while building: free 6 GB, or point GOCACHE, GOMODCACHE and "
            "XDG_CACHE_HOME to a larger disk, and start again: what is built is kept"
        )
    reasons = [line for line in said if " " in line and not line.startswith(_DOWNLOADING)]
    reason = reasons[-1] if reasons else "no reason given"
    hint = ""
    if "dial tcp" in text or "i/o timeout" in text or "proxyconnect" in text:
        hint = ": check the network or set GOPROXY, and start again: what is built is kept"
    return BinaryError(f"go {argv[1]} {argv[-1]} failed: {reason}{hint}")
