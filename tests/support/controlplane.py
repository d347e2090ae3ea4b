"""A real control plane for a test session.

Starts one on free ports in a temporary folder, or uses the one named by AURORA_TEST_KUBECONFIG
(with AURORA_TEST_PROMETHEUS_URL and AURORA_TEST_FILE_SD when it has a Prometheus), for example
one from `aurora local up`, which saves 4 s per run. Make it known in a conftest.py with
`from tests.support.controlplane import control_plane`.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from aurora.local.binaries import Binaries
from aurora.local.components import AutoscalerTiming
from aurora.local.controlplane import ControlPlane, Started
from aurora.local.errors import PortInUseError
from aurora.local.layout import default_cache_dir
from aurora.local.ports import Ports
from aurora.local.progress import PlainReporter
from aurora.local.settings import Settings

ATTEMPTS = 3
"""Ports are chosen, then used: another program can take one in between."""

_PREFIX = "aurora-test-"
_ALLOWED_CONTEXTS = ("aurora-local", "aurora-node", "kind-aurora")


@dataclass(frozen=True, slots=True)
class TestControlPlane:
    """What a test needs to know.

    Attributes:
        kubeconfig: the administrator's kubeconfig.
        context: its context.
        prometheus_url: None when an outside control plane came without Prometheus.
        file_sd: folder for Prometheus target files; None likewise.
        bin_dir: folder with kubectl and the other programs; None when outside.
    """

    __test__ = False

    kubeconfig: Path
    context: str
    prometheus_url: str | None
    file_sd: Path | None
    bin_dir: Path | None


def new_control_plane(
    state_dir: Path,
    *,
    settings: Settings | None = None,
    programs: Callable[[], Mapping[str, Path]] | None = None,
    say: Callable[[str], None] = print,
) -> ControlPlane:
    """A control plane on free ports, with an autoscaler that acts within seconds."""
    return ControlPlane(
        state_dir=state_dir,
        settings=settings or quick_settings(),
        programs=programs
        or Binaries(cache=default_cache_dir(), reporter=PlainReporter(say)).resolve,
        say=say,
    )


def quick_settings() -> Settings:
    """Free ports, one node, scrapes each second, a fast autoscaler."""
    return Settings(
        ports=Ports.ephemeral(random.Random()),
        scrape_seconds=1,
        autoscaler=AutoscalerTiming.fast(),
    )


def start(folder: Path) -> tuple[ControlPlane, Started]:
    """Start a control plane in `folder`, with other ports when somebody took one meanwhile."""
    for attempt in range(1, ATTEMPTS + 1):
        plane = new_control_plane(folder / "state")
        try:
            return plane, plane.up()
        except PortInUseError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[TestControlPlane]:
    """A ready control plane: one Ready node, default namespace, RBAC, Prometheus."""
    outside = os.environ.get("AURORA_TEST_KUBECONFIG")
    if outside:
        yield _outside(Path(outside))
        return
    # Not pytest's tmp_path: etcd's data is large, and it would be kept for three sessions.
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    plane, started = start(folder)
    try:
        where = started.endpoints
        yield TestControlPlane(
            kubeconfig=where.kubeconfig,
            context=where.context,
            prometheus_url=where.prometheus_url,
            file_sd=where.file_sd,
            bin_dir=where.bin_dir,
        )
    finally:
        plane.down()
        shutil.rmtree(folder)


def _sweep() -> None:
    """Stop what an earlier session that was killed left running."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            new_control_plane(folder / "state").down()
            shutil.rmtree(folder, ignore_errors=True)


def _outside(kubeconfig: Path) -> TestControlPlane:
    context = yaml.safe_load(kubeconfig.read_text())["current-context"]
    if context not in _ALLOWED_CONTEXTS:
        # Tests create and delete objects; a wrong variable must not reach somebody's cluster.
        pytest.exit(
            f"AURORA_TEST_KUBECONFIG has context {context!r}; tests run only against "
            f"{', '.join(_ALLOWED_CONTEXTS)}",
            returncode=2,
        )
    file_sd = os.environ.get("AURORA_TEST_FILE_SD")
    return TestControlPlane(
        kubeconfig=kubeconfig,
        context=context,
        prometheus_url=os.environ.get("AURORA_TEST_PROMETHEUS_URL"),
        file_sd=Path(file_sd) if file_sd else None,
        bin_dir=None,
    )
