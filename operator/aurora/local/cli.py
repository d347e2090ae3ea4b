"""`aurora local build|up|down|status|env`."""

import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from aurora.local.binaries import Binaries
from aurora.local.components import AutoscalerTiming
from aurora.local.controlplane import COMPONENTS, ControlPlane, Endpoints, Started, Status
from aurora.local.errors import LocalError, LocalUsageError
from aurora.local.layout import default_cache_dir, default_state_dir
from aurora.local.nodes import NodeShape
from aurora.local.ports import DEFAULT_BASE_PORT, Ports
from aurora.local.progress import PlainReporter, Reporter, RichReporter
from aurora.local.settings import Settings

_SHAPE = NodeShape()

app = typer.Typer(
    no_args_is_help=True,
    help="A real control plane on this machine: no root, no Docker, loopback only.",
)

StateDir = Annotated[
    Path | None,
    typer.Option(help="Folder for all state [default: $XDG_STATE_HOME/aurora/local]."),
]


@app.command()
def up(  # noqa: PLR0913 - one parameter per option
    *,
    state_dir: StateDir = None,
    nodes: Annotated[int, typer.Option(help="Simulated nodes, 1 to 1000.")] = 1,
    node_cpu: Annotated[str, typer.Option(help="CPU of each node.")] = _SHAPE.cpu,
    node_memory: Annotated[str, typer.Option(help="Memory of each node.")] = _SHAPE.memory,
    node_pods: Annotated[str, typer.Option(help="Pods of each node.")] = _SHAPE.pods,
    node_gpus: Annotated[str, typer.Option(help="nvidia.com/gpu of each node.")] = _SHAPE.gpus,
    base_port: Annotated[
        int, typer.Option(help="First of six ports on 127.0.0.1.")
    ] = DEFAULT_BASE_PORT,
    scrape_interval: Annotated[
        int, typer.Option(help="Prometheus scrape interval in seconds.")
    ] = 5,
    fast_autoscaler: Annotated[
        bool, typer.Option("--fast-autoscaler", help="HPA every 2 s, scale-down after 5 s.")
    ] = False,
) -> None:
    """Start etcd, API server, controller manager, scheduler, kwok and Prometheus."""
    with _errors(), _reporter() as reporter:
        settings = Settings(
            ports=Ports.fixed(base_port),
            nodes=nodes,
            shape=NodeShape(cpu=node_cpu, memory=node_memory, pods=node_pods, gpus=node_gpus),
            scrape_seconds=scrape_interval,
            autoscaler=AutoscalerTiming.fast() if fast_autoscaler else AutoscalerTiming(),
        )
        started = _control_plane(state_dir, settings, reporter).up()
    _print_started(started)


@app.command()
def build() -> None:
    """Get every program ready, by download or build, without starting any."""
    with _errors(), _reporter() as reporter:
        found = Binaries(cache=default_cache_dir(), reporter=reporter).resolve()
    folders = sorted({str(path.parent) for path in found.values()})
    print(f"{len(found)} programs ready in {', '.join(folders)}")


@app.command()
def down(state_dir: StateDir = None) -> None:
    """Stop every program and remove the state folder."""
    with _errors():
        control_plane = _control_plane(state_dir, Settings(), PlainReporter(_to_stderr))
        stopped = control_plane.down()
        said = "stopped and removed" if stopped else "nothing to stop in"
        print(f"{said} {control_plane.root}")


@app.command()
def status(
    state_dir: StateDir = None,
    output: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Show every program; exit code 1 when one does not run or answer."""
    with _errors():
        if output not in {"text", "json"}:
            raise LocalUsageError(f"--output {output} is unknown: use text or json")
        control_plane = _control_plane(state_dir, Settings(), PlainReporter(_to_stderr))
        found = control_plane.status()
        print(_status_json(found) if output == "json" else _status_text(found, control_plane.root))
    if not found.is_healthy:
        raise typer.Exit(1)


@app.command()
def env(state_dir: StateDir = None) -> None:
    """Print shell lines: eval "$(aurora local env)"."""
    with _errors():
        endpoints = _control_plane(state_dir, Settings(), PlainReporter(_to_stderr)).endpoints()
        print(env_lines(endpoints))


def env_lines(endpoints: Endpoints) -> str:
    """Shell lines that point kubectl, PATH and AURORA at this control plane."""
    return "\n".join(
        (
            f"export KUBECONFIG={shlex.quote(str(endpoints.kubeconfig))}",
            f'export PATH={shlex.quote(str(endpoints.bin_dir))}:"$PATH"',
            f"export AURORA_PROMETHEUS_URL={shlex.quote(endpoints.prometheus_url)}",
        )
    )


def _control_plane(state_dir: Path | None, settings: Settings, reporter: Reporter) -> ControlPlane:
    return ControlPlane(
        state_dir=state_dir or default_state_dir(),
        settings=settings,
        programs=Binaries(cache=default_cache_dir(), reporter=reporter).resolve,
        say=reporter.say,
    )


def _print_started(started: Started) -> None:
    where = started.endpoints
    count = f"{started.nodes} node{'s' if started.nodes > 1 else ''}"
    if started.already_running:
        print(f"already running: {count}")
    else:
        print(f"up in {started.seconds:.1f} s: {count} Ready")
    print(f"kubeconfig  {where.kubeconfig}  (context {where.context})")
    print(f"prometheus  {where.prometheus_url}  (targets: {where.file_sd})")
    print('next        eval "$(aurora local env)" && kubectl get nodes')


def _status_text(found: Status, root: Path) -> str:
    if found.settings is None and not found.running:
        return f"nothing runs in {root}: start it with `aurora local up`"
    pids = {one.component: one.pid for one in found.running}
    silent = {
        "kube-apiserver": not found.apiserver_ready,
        "prometheus": not found.prometheus_ready,
    }
    lines = []
    for name in COMPONENTS:
        state = "running" if name in pids else "not running"
        if name in pids and silent.get(name):
            state = "running, does not answer"
        lines.append(f"{name:<24} {pids.get(name, '-'):>8}  {state}")
    return "\n".join(lines)


def _status_json(found: Status) -> str:
    return json.dumps(
        {
            "healthy": found.is_healthy,
            "running": {one.component: one.pid for one in found.running},
            "missing": list(found.missing),
            "started": found.started,
            "apiserverReady": found.apiserver_ready,
            "prometheusReady": found.prometheus_ready,
        },
        indent=2,
    )


@contextlib.contextmanager
def _reporter() -> Iterator[Reporter]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainReporter(_to_stderr)
        return
    with RichReporter(console) as reporter:
        yield reporter


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """One line on stderr and an exit code; a stop request undoes a half-done start."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except LocalError as error:
        _to_stderr(f"error: {error}")
        raise typer.Exit(2 if isinstance(error, LocalUsageError) else 1) from error
    except KeyboardInterrupt:
        _to_stderr("interrupted: what was started is stopped again")
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
