"""Find every program: on PATH, in the cache, as an official download, or built from source."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aurora.local import download, gobuild, golang
from aurora.local.errors import from_os_error
from aurora.local.progress import Reporter
from aurora.local.tools import SERVERS, TOOLS, Tool, Version, parse_version


@dataclass(frozen=True, slots=True)
class Binaries:
    """How programs are found.

    Attributes:
        cache: folder that is shared by all control planes of this user.
        reporter: told what is fetched or built and how far it is.
        search_path: the PATH to look in; None means the environment's.
        sources: where releases are published.
    """

    cache: Path
    reporter: Reporter
    search_path: str | None = None
    sources: download.Sources = field(default_factory=download.Sources)

    @property
    def folder(self) -> Path:
        """Where programs are kept."""
        return self.cache / "bin"

    def resolve(self) -> dict[str, Path]:
        """The path of every program of TOOLS.

        Raises BinaryError, DiskFullError or StateFolderError when one cannot be had.
        """
        found = from_path(self.search_path)
        wanted = [tool for name, tool in TOOLS.items() if name not in found]
        missing = [tool for tool in wanted if not self._is_cached(tool)]
        if missing:
            self._obtain_all(missing)
        return found | {tool.name: self.folder / tool.name for tool in wanted}

    def _is_cached(self, tool: Tool) -> bool:
        note = self.folder / f"{tool.name}.version"
        try:
            same = note.read_text(encoding="utf-8") == tool.version
        except OSError:
            return False
        return same and os.access(self.folder / tool.name, os.X_OK)

    def _obtain_all(self, missing: list[Tool]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder / ".lock", self.reporter.say):
                # Another process may have brought them while we waited for the lock.
                self._obtain([tool for tool in missing if not self._is_cached(tool)])
        except OSError as error:
            raise from_os_error(error, path=self.folder) from error

    def _obtain(self, missing: list[Tool]) -> None:
        left = self._download_all(missing)
        if not left:
            return
        go = golang.find_or_install(
            cache=self.cache, search_path=self.search_path, reporter=self.reporter
        )
        names = ", ".join(tool.name for tool in left)
        self.reporter.say(f"building from source: {names} (once, then cached in {self.folder})")
        for tool in left:
            partial = self._partial(tool)
            gobuild.build(tool, go=go, out=partial, reporter=self.reporter)
            self._keep(tool, partial)

    def _download_all(self, missing: list[Tool]) -> list[Tool]:
        """Download what can be downloaded; returns the rest."""
        hosts = {self.sources.host(tool) for tool in missing}
        closed = sorted(host for host in hosts if not download.reachable(host))
        if closed:
            self.reporter.say(f"not reachable: {', '.join(closed)}; building from source instead")
        return [
            tool
            for tool in missing
            if self.sources.host(tool) in closed or not self._download(tool)
        ]

    def _download(self, tool: Tool) -> bool:
        task = f"downloading {tool.name} {tool.version}"

        def on_progress(done: int, total: int | None) -> None:
            detail = f"{done >> 20} MiB"
            self.reporter.advance(task, done=done, total=total, detail=detail)

        partial = self._partial(tool)
        try:
            download.fetch(tool, out=partial, sources=self.sources, on_progress=on_progress)
        except download.DownloadError as error:
            self.reporter.say(f"{error}; building {tool.name} from source instead")
            return False
        self.reporter.finish(task)
        self._keep(tool, partial)
        return True

    def _partial(self, tool: Tool) -> Path:
        return self.folder / f".{tool.name}.partial"

    def _keep(self, tool: Tool, partial: Path) -> None:
        """Put a finished program in its place, whole or not at all."""
        note = self.folder / f"{tool.name}.version"
        note.unlink(missing_ok=True)
        partial.chmod(0o755)
        partial.replace(self.folder / tool.name)
        note.write_text(tool.version, encoding="utf-8")


def from_path(search_path: str | None) -> dict[str, Path]:
    """The programs on PATH that are new enough and fit together."""
    found = {name: path for name in TOOLS if (path := shutil.which(name, path=search_path))}
    versions = {name: version_of(Path(path)) for name, path in found.items()}
    chosen = choose({name: version for name, version in versions.items() if version})
    return {name: Path(found[name]) for name in chosen}


def choose(versions: Mapping[str, Version]) -> set[str]:
    """Which of the programs on PATH to use, by their versions.

    The Kubernetes servers come all from PATH and of one minor version, or none does. kubectl
    may differ from them by one minor (the version skew policy of Kubernetes).
    """
    new = {name: one for name, one in versions.items() if one >= TOOLS[name].minimum}
    servers = {new[name] for name in SERVERS if name in new}
    complete = len(servers) == 1 and all(name in new for name in SERVERS)
    server = servers.pop() if complete else parse_version(TOOLS["kube-apiserver"].version)
    chosen = set(new) if complete else set(new) - set(SERVERS)
    if server is None or "kubectl" not in new or _skew(new["kubectl"], server) > 1:
        chosen.discard("kubectl")
    return chosen


def _skew(one: Version, other: Version) -> float:
    return abs(one.minor - other.minor) if one.major == other.major else float("inf")


def version_of(program: Path) -> Version | None:
    """What a program says about its version; None when it cannot be told."""
    argument = ["version", "--client"] if program.name == "kubectl" else ["--version"]
    try:
        answer = subprocess.run(
            [program, *argument], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout + answer.stderr)


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is fetching the same programs: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
