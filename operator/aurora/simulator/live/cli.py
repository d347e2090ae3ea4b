"""`aurora simulate fleet`."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from aurora.errors import AuroraError, UsageError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.simulator.live.run import FleetOptions, run_fleet
from aurora.simulator.live.world import World
from aurora.simulator.sources import BUILTIN, open_source

__all__ = ["fleet"]


def fleet(  # noqa: PLR0913 - one parameter per option
    *,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig [default: $KUBECONFIG, then ~/.kube/config].")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace; empty looks everywhere.")] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    file_sd: Annotated[
        Path | None, typer.Option(help="Folder of Prometheus target files to register in.")
    ] = None,
    trace: Annotated[
        str, typer.Option(help="CSV file in the Azure or ServeGen format, or 'builtin'.")
    ] = BUILTIN,
    scale: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Multiple of every Service's rate.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random draw.")] = 1,
) -> None:
    """Play the pods of Deployments labelled aurora.dev/simulated=true, with real load."""
    try:
        _require_folder(file_sd)
        world = World(open_source(trace).source, seed=seed, scale=scale)
        options = FleetOptions(namespace=namespace, port=port, file_sd=file_sd)
        asyncio.run(_serve(Connection(kubeconfig, context), world, options))
    except UsageError as error:
        _complain(error)
        raise typer.Exit(2) from None
    except AuroraError as error:
        _complain(error)
        raise typer.Exit(1) from None


def _require_folder(path: Path | None) -> None:
    if path is not None and not path.is_dir():
        raise UsageError(f"--file-sd {path} is not a folder")


async def _serve(connection: Connection, world: World, options: FleetOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with KubeClient(connection) as client:
        await run_fleet(client, world, options, say=_say, stop=stop)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(error: AuroraError) -> None:
    _say(f"aurora simulate fleet: {error}")
