"""Which program is used: from PATH only when new enough and fitting, else cached, else fetched."""

import hashlib
import http.server
import io
import json
import os
import platform
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.local import binaries, download, gobuild, golang
from aurora.local.binaries import Binaries
from aurora.local.errors import BinaryError, DiskFullError
from aurora.local.progress import PlainReporter
from aurora.local.tools import TOOLS, Version, parse_version

SERVERS = {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}


def servers(minor: int) -> dict[str, Version]:
    return {name: Version(1, minor) for name in SERVERS}


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        pytest.param({}, set(), id="nothing on PATH"),
        pytest.param(servers(31), SERVERS, id="three servers of one minor"),
        pytest.param(servers(29), set(), id="servers that are too old"),
        pytest.param(
            servers(31) | {"kube-scheduler": Version(1, 32)}, set(), id="servers that differ"
        ),
        pytest.param({"kube-apiserver": Version(1, 36)}, set(), id="one server alone"),
        pytest.param(
            servers(31) | {"kubectl": Version(1, 32)}, SERVERS | {"kubectl"}, id="kubectl one off"
        ),
        pytest.param(servers(31) | {"kubectl": Version(1, 33)}, SERVERS, id="kubectl two off"),
        pytest.param({"kubectl": Version(1, 32)}, set(), id="kubectl far from the built servers"),
        pytest.param({"kubectl": Version(1, 35)}, {"kubectl"}, id="kubectl near the built servers"),
        pytest.param({"etcd": Version(3, 4), "kwok": Version(0, 8)}, {"kwok"}, id="an old etcd"),
    ],
)
def test_programs_on_path_are_used_when_they_fit(
    versions: dict[str, Version], chosen: set[str]
) -> None:
    assert binaries.choose(versions) == chosen


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.36.3", Version(1, 36)),
        ("etcd Version: 3.6.8\nGo Version: go1.26.8", Version(3, 6)),
        ("kwok version v0.8.0 go1.26.8 (linux/amd64)", Version(0, 8)),
        ("prometheus, version 3.15.0 (branch: HEAD)", Version(3, 15)),
        ("Client Version: v1.32.4-dispatcher", Version(1, 32)),
        ("prometheus, version  (branch: , revision: unknown)", None),
    ],
)
def test_a_version_is_read_from_what_the_program_prints(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.6 linux/amd64", (1, 26)),
        ("go version go1.9 linux/amd64", (1, 9)),
        ("not found", (0, 0)),
    ],
)
def test_a_go_version_is_read(text: str, version: tuple[int, int]) -> None:
    assert golang.parse_version(text) == version


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_the_go_module_builds_the_version_that_is_downloaded(tool: object) -> None:
    assert isinstance(tool, type(TOOLS["etcd"]))
    module = (gobuild.MODULES / tool.module / "go.mod").read_text()
    assert tool.package in module
    # Prometheus numbers its module 0.315.0 for the release 3.15.0.
    version = re.sub(r"^3\.(\d+)\.(\d+)$", r"0.3\1.\2", tool.version)
    wanted = version if tool.name == "prometheus" else tool.version
    assert re.search(rf"\sv{re.escape(wanted)}\s", module)
    assert (gobuild.MODULES / tool.module / "go.sum").stat().st_size > 0


# --- downloads, from a real HTTP server on loopback


class Site(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    do_HEAD = do_GET  # noqa: N815 - the name that the library looks for

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), Handler) as server:
        server.files = {}
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sources(site: Site) -> download.Sources:
    url = f"http://127.0.0.1:{site.server_port}"
    return download.Sources(kubernetes=url, github=url, github_api=f"{url}/api")


def publish(site: Site, name: str, content: bytes, *, digest: str | None = None) -> None:
    """Put the release of a tool on the site, with the digest where each project keeps it."""
    tool = TOOLS[name]
    base = download.Sources(kubernetes="", github="", github_api="")
    wanted = download.release(tool, arch=download.architecture(), sources=base)
    body = archive(wanted.member, content) if wanted.member else content
    checksum = digest or hashlib.sha256(body).hexdigest()
    site.files[wanted.url] = body
    if tool.repository is None:
        site.files[f"{wanted.url}.sha256"] = f"{checksum}\n".encode()
        return
    assets = {"assets": [{"name": wanted.asset, "digest": f"sha256:{checksum}"}]}
    path = f"/api/repos/{tool.repository}/releases/tags/v{tool.version}"
    site.files[path] = json.dumps(assets).encode()


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="nothing published")
@pytest.mark.parametrize("name", ["kube-apiserver", "etcd", "kwok", "prometheus"])
def test_a_release_is_downloaded_checked_and_unpacked(
    site: Site, tmp_path: Path, name: str
) -> None:
    publish(site, name, b"program")
    seen: list[int] = []
    download.fetch(
        TOOLS[name],
        out=tmp_path / name,
        sources=sources(site),
        on_progress=lambda done, _: seen.append(done),
    )
    assert (tmp_path / name).read_bytes() == b"program"
    assert seen
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["kubectl", "kwok", "etcd"])
def test_a_release_with_another_checksum_is_refused(site: Site, tmp_path: Path, name: str) -> None:
    publish(site, name, b"program", digest="0" * 64)
    with pytest.raises(download.DownloadError, match="published is 0000"):
        download.fetch(
            TOOLS[name], out=tmp_path / name, sources=sources(site), on_progress=lambda *_: None
        )
    assert list(tmp_path.iterdir()) == []


def test_a_release_without_a_checksum_is_refused(site: Site, tmp_path: Path) -> None:
    publish(site, "kwok", b"program")
    site.files["/api/repos/kubernetes-sigs/kwok/releases/tags/v0.8.0"] = b'{"assets": []}'
    with pytest.raises(download.DownloadError, match="no SHA-256 is published"):
        download.fetch(
            TOOLS["kwok"], out=tmp_path / "x", sources=sources(site), on_progress=lambda *_: None
        )


def test_a_site_is_reachable_even_when_it_answers_404(site: Site) -> None:
    assert download.reachable(f"http://127.0.0.1:{site.server_port}")


def test_a_site_that_refuses_connections_is_not_reachable() -> None:
    assert not download.reachable("http://127.0.0.1:9", seconds=1)


def test_every_program_is_downloaded_once_and_then_cached(site: Site, tmp_path: Path) -> None:
    for name in TOOLS:
        publish(site, name, f"program {name}".encode())
    lines: list[str] = []
    finder = Binaries(
        cache=tmp_path,
        reporter=PlainReporter(lines.append),
        search_path="/nowhere",
        sources=sources(site),
    )
    found = finder.resolve()
    assert {name: path.read_text() for name, path in found.items()} == {
        name: f"program {name}" for name in TOOLS
    }
    assert all(os.access(path, os.X_OK) for path in found.values())
    site.files.clear()
    lines.clear()
    assert finder.resolve() == found
    assert lines == []


def test_a_cached_program_of_another_version_is_replaced(site: Site, tmp_path: Path) -> None:
    for name in TOOLS:
        publish(site, name, b"new")
    finder = Binaries(
        cache=tmp_path,
        reporter=PlainReporter(lambda _: None),
        search_path="/nowhere",
        sources=sources(site),
    )
    finder.resolve()
    (tmp_path / "bin" / "etcd").write_text("old")
    (tmp_path / "bin" / "etcd.version").write_text("3.5.0")
    assert finder.resolve()["etcd"].read_text() == "new"


# --- building, with a stand-in for the go command


def fake_go(folder: Path, script: str) -> Path:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    return go


GOOD_GO = """
case "$1" in
version) echo "go version go1.26.0 linux/amd64";;
list) echo "go: downloading example.org/dep v1.0.0" >&2; echo example.org/a; echo example.org/b;;
build) echo example.org/a >&2; echo example.org/b >&2
  while [ "$1" != -o ]; do shift; done; echo program > "$2";;
esac
"""


def test_a_build_names_the_program_and_how_far_it_is(tmp_path: Path) -> None:
    lines: list[str] = []
    gobuild.build(
        TOOLS["kwok"],
        go=fake_go(tmp_path, GOOD_GO),
        out=tmp_path / "kwok",
        reporter=PlainReporter(lines.append),
    )
    assert (tmp_path / "kwok").read_text() == "program\n"
    assert "building kwok 0.8.0: 0 % module 1: example.org/dep v1.0.0" in lines
    assert "building kwok 0.8.0: 50 % (1 of 2) example.org/a" in lines
    assert lines[-1] == "building kwok 0.8.0: done"


@pytest.mark.parametrize(
    ("message", "kind", "advice"),
    [
        pytest.param(
            "link: write /tmp/x: no space left on device", DiskFullError, "GOCACHE", id="full disk"
        ),
        pytest.param(
            "go: example.org/a@v1: dial tcp: lookup proxy.example: no such host",
            BinaryError,
            "GOPROXY",
            id="no network",
        ),
        pytest.param(
            "main.go:3:1: syntax error", BinaryError, "syntax error", id="does not compile"
        ),
    ],
)
def test_a_failed_build_says_what_to_do(
    tmp_path: Path, message: str, kind: type[Exception], advice: str
) -> None:
    go = fake_go(tmp_path, f'[ "$1" = list ] || {{ echo "{message}" >&2; exit 1; }}')
    with pytest.raises(kind, match=advice):
        gobuild.build(
            TOOLS["etcd"], go=go, out=tmp_path / "etcd", reporter=PlainReporter(lambda _: None)
        )


def test_a_build_that_fails_leaves_no_program_in_the_cache(site: Site, tmp_path: Path) -> None:
    """Nothing is published, so everything would be built, with a Go that fails half-way."""
    tools = tmp_path / "tools"
    tools.mkdir()
    fake_go(
        tools,
        'case "$1" in version) echo "go version go1.26.0 linux/amd64";; list) ;;\n'
        'build) while [ "$1" != -o ]; do shift; done; echo half > "$2"; exit 1;; esac',
    )
    finder = Binaries(
        cache=tmp_path / "cache",
        reporter=PlainReporter(lambda _: None),
        search_path=f"{tools}",
        sources=sources(site),
    )
    with pytest.raises(BinaryError, match="go build"):
        finder.resolve()
    assert not (tmp_path / "cache" / "bin" / "etcd").exists()


def test_the_go_tool_never_fetches_another_toolchain() -> None:
    environment = gobuild.environment({"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "auto", "HOME": "/h"})
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOFLAGS"] == "-mod=readonly"
    assert environment["HOME"] == "/h"
