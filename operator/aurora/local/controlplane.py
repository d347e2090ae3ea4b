"""A whole control plane as one value: up, down, status."""

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aurora.local import components, process
from aurora.local.client import LocalClient, http_ok
from aurora.local.errors import (
    LocalError,
    LocalUsageError,
    UnsupportedError,
    from_os_error,
)
from aurora.local.folder import StateFolder
from aurora.local.kubeconfig import CONTEXT
from aurora.local.launch import Launch
from aurora.local.layout import Layout
from aurora.local.ports import LOOPBACK, require_free
from aurora.local.process import Running
from aurora.local.settings import Settings

STOP_GRACE_SECONDS = 0.5
"""The data goes anyway: an API server that drains its watches is not waited for."""

COMPONENTS = (
    "etcd",
    "prometheus",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)

_LISTENERS = {
    "etcd": ("etcd", "etcd_peer"),
    "prometheus": ("prometheus",),
    "kube-apiserver": ("apiserver",),
    "kube-controller-manager": ("controller_manager",),
    "kube-scheduler": ("scheduler",),
    "kwok": (),
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How to reach a control plane.

    Attributes:
        kubeconfig: the administrator's kubeconfig.
        context: its context.
        apiserver_url: https address of the API server.
        prometheus_url: http address of Prometheus.
        file_sd: folder for Prometheus target files.
        bin_dir: folder with kubectl and the programs in use.
    """

    kubeconfig: Path
    context: str
    apiserver_url: str
    prometheus_url: str
    file_sd: Path
    bin_dir: Path


@dataclass(frozen=True, slots=True)
class Started:
    """What `up` did; `seconds` is the time from the first program to the last ready one."""

    endpoints: Endpoints
    nodes: int
    already_running: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """What runs now.

    Attributes:
        settings: None when nothing was started in the folder.
        started: whether the last start went through to its end.
        running: the live programs.
        apiserver_ready: whether /readyz says so.
        prometheus_ready: whether /-/ready says so.
    """

    settings: Settings | None
    started: bool
    running: tuple[Running, ...]
    apiserver_ready: bool
    prometheus_ready: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Programs that should run and do not."""
        names = {one.component for one in self.running}
        return tuple(name for name in COMPONENTS if name not in names)

    @property
    def is_healthy(self) -> bool:
        """Whether everything runs and answers."""
        answers = self.apiserver_ready and self.prometheus_ready
        return self.started and not self.missing and answers


class ControlPlane:
    """The control plane of one state folder.

    Args:
        state_dir: the folder; everything is kept in it.
        settings: used by the first `up`; a later one keeps what the folder says.
        programs: finds every program's path; called only when something must be started.
        say: receives one line at a time for the user.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        settings: Settings,
        programs: Callable[[], Mapping[str, Path]],
        say: Callable[[str], None],
    ) -> None:
        self._folder = StateFolder(Layout(state_dir.expanduser().resolve()))
        self._settings = settings
        self._programs = programs
        self._say = say

    @property
    def root(self) -> Path:
        """The resolved state folder."""
        return self._folder.root

    def endpoints(self) -> Endpoints:
        """How to reach what was started here; raises LocalUsageError when nothing was."""
        settings = self._folder.load()
        if settings is None:
            raise LocalUsageError(f"nothing was started in {self.root}: run `aurora local up`")
        return self._endpoints(settings)

    def status(self) -> Status:
        """What runs now; raises StateFolderError when the folder's settings are damaged."""
        settings = self._folder.load()
        running = tuple(process.find(self.root))
        if settings is None:
            return Status(None, False, running, apiserver_ready=False, prometheus_ready=False)
        names = {one.component for one in running}
        return Status(
            settings,
            self._folder.layout.ready.exists(),
            running,
            apiserver_ready="kube-apiserver" in names and self._apiserver_ready(settings),
            prometheus_ready="prometheus" in names
            and http_ok(settings.ports.prometheus, "/-/ready"),
        )

    def up(self) -> Started:
        """Start what does not run; a failed start leaves nothing of itself behind.

        Raises:
            LocalError: in the form that says what to do; see `aurora.local.errors`.
        """
        _require_linux()
        try:
            return self._up()
        except OSError as error:
            raise from_os_error(error, path=self.root) from error

    def _up(self) -> Started:
        status = self.status()
        if status.settings not in {None, self._settings}:
            self._say("settings of the first start are kept; to change them, run down first")
        if status.is_healthy:
            return self._already(status)
        # Said now, not after minutes of building.
        self._folder.preflight()
        self._require_ports(status)
        binaries = self._programs()
        with self._folder.locked(self._say):
            status = self.status()
            if status.is_healthy:
                return self._already(status)
            self._require_ports(status)
            return self._start(status, binaries)

    def _start(self, status: Status, binaries: Mapping[str, Path]) -> Started:
        settings = status.settings or self._settings
        begin = time.monotonic()
        launch = Launch(
            layout=self._folder.layout,
            settings=settings,
            parts=components.build(
                layout=self._folder.layout,
                ports=settings.ports,
                binaries=binaries,
                autoscaler=settings.autoscaler,
            ),
            running=frozenset(one.component for one in status.running),
        )
        try:
            self._folder.prepare(settings, binaries=binaries, now=dt.datetime.now(dt.UTC))
            launch.run()
            self._folder.layout.ready.touch()
        except BaseException:
            self._undo(launch, fresh=status.settings is None)
            raise
        seconds = time.monotonic() - begin
        return Started(self._endpoints(settings), settings.nodes, False, seconds)

    def _undo(self, launch: Launch, *, fresh: bool) -> None:
        begun = [Running(name, pid) for name, pid in launch.started.items()]
        process.stop(begun, folder=self.root, grace_seconds=STOP_GRACE_SECONDS)
        if fresh:
            self._folder.remove()

    def _already(self, status: Status) -> Started:
        settings = status.settings or self._settings
        return Started(self._endpoints(settings), settings.nodes, True, 0.0)

    def _require_ports(self, status: Status) -> None:
        settings = status.settings or self._settings
        needed = frozenset(port for name in status.missing for port in _LISTENERS[name])
        require_free(settings.ports, only=needed)

    def down(self) -> bool:
        """Stop every program and remove the folder; False when there was nothing.

        Raises LocalError when a program survives or the folder holds foreign files.
        """
        _require_linux()
        try:
            if not self.root.parent.is_dir():
                return self._stop_all()
            with self._folder.locked(self._say):
                stopped = self._stop_all()
                return self._folder.remove() or stopped
        except OSError as error:
            raise from_os_error(error, path=self.root) from error

    def _stop_all(self) -> bool:
        running = process.find(self.root)
        left = process.stop(running, folder=self.root, grace_seconds=STOP_GRACE_SECONDS)
        if left:
            pids = ", ".join(f"{one.component} (pid {one.pid})" for one in left)
            raise LocalError(f"still running after SIGKILL: {pids}: try again in a moment")
        return bool(running)

    def _apiserver_ready(self, settings: Settings) -> bool:
        try:
            pki = self._folder.layout.pki
            return LocalClient(port=settings.ports.apiserver, pki=pki).is_ready()
        except OSError:
            return False

    def _endpoints(self, settings: Settings) -> Endpoints:
        layout = self._folder.layout
        return Endpoints(
            kubeconfig=layout.kubeconfig,
            context=CONTEXT,
            apiserver_url=f"https://{LOOPBACK}:{settings.ports.apiserver}",
            prometheus_url=f"http://{LOOPBACK}:{settings.ports.prometheus}",
            file_sd=layout.file_sd,
            bin_dir=layout.bin,
        )


def _require_linux() -> None:
    if not Path("/proc/self/environ").exists():
        raise UnsupportedError(
            "`aurora local` needs Linux with /proc: on other systems use kind (README)"
        )
