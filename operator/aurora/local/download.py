"""Official release downloads, each checked against its published SHA-256."""

import hashlib
import http.client
import json
import platform
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aurora.local.errors import BinaryError
from aurora.local.tools import Tool

PROBE_SECONDS = 4.0
_READ_SECONDS = 10.0
_CHUNK_BYTES = 1 << 18
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class DownloadError(BinaryError):
    """A release could not be fetched or is not what was published."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where releases are published."""

    kubernetes: str = "https://dl.k8s.io"
    github: str = "https://github.com"
    github_api: str = "https://api.github.com"

    def host(self, tool: Tool) -> str:
        """The site that serves this tool."""
        return self.kubernetes if tool.repository is None else self.github


@dataclass(frozen=True, slots=True)
class Release:
    """One file to fetch; `member` is the program's path when it is an archive."""

    asset: str
    url: str
    member: str | None = None


def architecture() -> str:
    """Go's name of this machine's processor; raises DownloadError when nothing is published."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise DownloadError(f"no official binaries for {machine}")
    return _ARCHITECTURES[machine]


def release(tool: Tool, *, arch: str, sources: Sources) -> Release:
    """Name and address of the release file of `tool` for Linux on `arch`."""
    if tool.repository is None:
        url = f"{sources.kubernetes}/v{tool.version}/bin/linux/{arch}/{tool.name}"
        return Release(tool.name, url)
    base = f"{sources.github}/{tool.repository}/releases/download/v{tool.version}"
    if tool.name == "kwok":
        return Release(f"kwok-linux-{arch}", f"{base}/kwok-linux-{arch}")
    folder = {
        "etcd": f"etcd-v{tool.version}-linux-{arch}",
        "prometheus": f"prometheus-{tool.version}.linux-{arch}",
    }[tool.name]
    asset = f"{folder}.tar.gz"
    return Release(asset, f"{base}/{asset}", member=f"{folder}/{tool.name}")


def reachable(url: str, *, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the site answers at all within `seconds`, name resolution included."""
    answered = threading.Event()

    def probe() -> None:
        try:
            _open(url, method="HEAD", seconds=seconds).close()
        except urllib.error.HTTPError as error:
            error.close()  # an answer, whatever it says
        except (OSError, http.client.HTTPException):
            return
        answered.set()

    # A thread, because resolving a name has no time limit of its own.
    threading.Thread(target=probe, daemon=True).start()
    return answered.wait(seconds)


def fetch(
    tool: Tool,
    *,
    out: Path,
    sources: Sources,
    on_progress: Callable[[int, int | None], None],
) -> None:
    """Write the program of `tool` to `out`.

    Args:
        tool: what to fetch.
        out: the file to write; it is complete and checked when this returns.
        sources: where from.
        on_progress: told the bytes that arrived and, when known, all bytes.

    Raises:
        DownloadError: not reachable, not published, or the SHA-256 differs.
    """
    wanted = release(tool, arch=architecture(), sources=sources)
    expected = _published_digest(tool, wanted, sources)
    part = out.with_name(f"{out.name}.part")
    try:
        actual = _save(wanted.url, part, on_progress)
        if actual != expected:
            raise DownloadError(f"{wanted.url} has SHA-256 {actual}, published is {expected}")
        _unpack(part, wanted.member, out)
    finally:
        part.unlink(missing_ok=True)


def _published_digest(tool: Tool, wanted: Release, sources: Sources) -> str:
    if tool.repository is None:
        return _read(f"{wanted.url}.sha256").decode("ascii", errors="replace").split()[0]
    url = f"{sources.github_api}/repos/{tool.repository}/releases/tags/v{tool.version}"
    assets = json.loads(_read(url)).get("assets", [])
    for asset in assets:
        if asset.get("name") == wanted.asset and asset.get("digest"):
            return str(asset["digest"]).removeprefix("sha256:")
    raise DownloadError(f"no SHA-256 is published for {wanted.asset}")


def _save(url: str, path: Path, on_progress: Callable[[int, int | None], None]) -> str:
    digest = hashlib.sha256()
    done = 0
    try:
        with _open(url, method="GET", seconds=_READ_SECONDS) as answer, path.open("wb") as file:
            total = answer.headers.get("Content-Length")
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                on_progress(done, int(total) if total else None)
    except (urllib.error.URLError, TimeoutError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}") from error
    return digest.hexdigest()


def _read(url: str) -> bytes:
    try:
        with _open(url, method="GET", seconds=_READ_SECONDS) as answer:
            return bytes(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}") from error


def _open(url: str, *, method: str, seconds: float) -> Any:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own addresses
    return urllib.request.urlopen(request, timeout=seconds)  # noqa: S310


def _unpack(part: Path, member: str | None, out: Path) -> None:
    if member is None:
        part.replace(out)
        return
    try:
        with tarfile.open(part) as archive:
            source = archive.extractfile(member)
            _copy(source, member, out)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(f"{member} is not in the release archive") from error


def _copy(source: IO[bytes] | None, member: str, out: Path) -> None:
    if source is None:
        raise DownloadError(f"{member} in the release archive is not a file")
    with out.open("wb") as file:
        shutil.copyfileobj(source, file)
