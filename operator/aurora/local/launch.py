"""Start the programs in order and wait until all of them serve."""

import socket
import time
from collections.abc import Callable, Mapping

from aurora.local import nodes, process
from aurora.local.client import LocalClient, http_ok
from aurora.local.components import Component
from aurora.local.errors import NotReadyError, from_crash
from aurora.local.layout import Layout
from aurora.local.ports import LOOPBACK
from aurora.local.settings import Settings

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
"""Far above the 5 s that a start takes, for machines that are busy with something else."""


class Launch:
    """One start; `started` holds what it started, by name, for whoever must undo it."""

    def __init__(
        self,
        *,
        layout: Layout,
        settings: Settings,
        parts: Mapping[str, Component],
        running: frozenset[str],
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._parts = parts
        self._running = running
        self.started: dict[str, int] = {}

    def run(self) -> None:
        """Start what does not run yet; returns when nodes are Ready and Prometheus answers.

        Raises ComponentCrashError, PortInUseError, DiskFullError or NotReadyError.
        """
        ports = self._settings.ports
        self._start("etcd")
        self._start("prometheus")
        self._wait("etcd", lambda: _listens(ports.etcd))
        self._start("kube-apiserver")
        client = LocalClient(port=ports.apiserver, pki=self._layout.pki)
        self._wait("kube-apiserver", client.is_ready)
        for part in self._parts.values():
            if part.needs_apiserver:
                self._start(part.name)
        count = self._settings.nodes
        nodes.create(client, count=count, shape=self._settings.shape)
        self._wait("kwok", lambda: nodes.all_ready(client, count=count))
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", lambda: client.exists(account))
        self._wait("kube-scheduler", lambda: _listens(ports.scheduler))
        self._wait("prometheus", lambda: http_ok(ports.prometheus, "/-/ready"))

    def _start(self, name: str) -> None:
        if name in self._running:
            return
        self.started[name] = process.spawn(
            name,
            self._parts[name].argv,
            folder=self._layout.root,
            log=self._layout.log(name),
        )

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_ready():
            self._raise_if_crashed()
            if time.monotonic() > deadline:
                line = process.telling_line(self._layout.log(name))
                raise NotReadyError(
                    f"{name} was not ready after {PATIENCE_SECONDS:.0f} s: "
                    f"{line or 'it wrote nothing to its log'}"
                )
            time.sleep(POLL_SECONDS)
        self._raise_if_crashed()

    def _raise_if_crashed(self) -> None:
        for name, pid in self.started.items():
            code = process.exit_code(pid)
            if code is not None:
                line = process.telling_line(self._layout.log(name))
                raise from_crash(component=name, exit_code=code, last_line=line)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False
