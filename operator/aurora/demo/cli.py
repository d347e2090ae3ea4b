"""`aurora demo`."""

import asyncio
import contextlib
import random
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from aurora.demo.run import Stage, plane_settings, play, stage
from aurora.demo.scenario import EPISODES, NAMESPACE, episodes
from aurora.demo.screens import LineScreen, TableScreen
from aurora.demo.view import summary_table
from aurora.errors import AuroraError, UsageError
from aurora.local.binaries import Binaries
from aurora.local.controlplane import ControlPlane
from aurora.local.layout import default_cache_dir, default_state_dir
from aurora.local.progress import PlainReporter, Reporter, RichReporter

__all__ = ["demo", "hints"]


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running and say what to try.")
    ] = False,
    faults: Annotated[
        int | None,
        typer.Option(min=1, max=len(EPISODES), help="How many faults [default: all that work]."),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for all state [default: $XDG_STATE_HOME/aurora/demo]."),
    ] = None,
) -> None:
    """Show the whole loop: four models on a local cluster, faults, decisions, outcomes.

    Exit code 0 when each fault was handled and nothing else was done, else 1.
    """
    console = Console(width=None if sys.stdout.isatty() else 160)
    with _ended_in_order():
        try:
            handled = _demo(console, state_dir, faults, keep=keep)
        except UsageError as error:
            raise _exit(error, 2) from None
        except AuroraError as error:
            raise _exit(error, 1) from None
    if not handled:
        raise typer.Exit(1)


def _demo(console: Console, state_dir: Path | None, faults: int | None, *, keep: bool) -> bool:
    played, began = episodes(faults), time.time()
    root = state_dir or default_state_dir().with_name("demo")
    with contextlib.ExitStack() as on_stage:
        with _reporter() as reporter:
            plane = ControlPlane(
                state_dir=root,
                settings=plane_settings(random.SystemRandom()),
                programs=Binaries(cache=default_cache_dir(), reporter=reporter).resolve,
                say=reporter.say,
            )
            set_up = on_stage.enter_context(stage(plane, say=_say, keep=keep))
        screen = TableScreen(console) if console.is_terminal else LineScreen(console)
        with screen:
            summary = asyncio.run(play(set_up, played, screen))
        console.print(summary_table(summary))
        if summary.first_at is not None:
            seconds = summary.first_at - began
            console.print(f"First action {seconds:.0f} s after the start of this command.")
        if keep:
            console.print(hints(set_up, plane.root), markup=False, highlight=False)
    return not summary.failures


def hints(set_up: Stage, root: Path) -> str:
    """What to try while everything keeps running."""
    where = set_up.endpoints
    fault = '{"model": "search", "kind": "load", "value": 2.5, "for_s": 120}'
    return "\n".join(
        (
            "Everything keeps running. To look around:",
            f"  export KUBECONFIG={shlex.quote(str(where.kubeconfig))}",
            f'  export PATH={shlex.quote(str(where.bin_dir))}:"$PATH"',
            f"  kubectl get mdep,dec -n {NAMESPACE}",
            f"  kubectl get dec -n {NAMESPACE} -o wide",
            f"  kubectl describe mdep chat -n {NAMESPACE}",
            f"  kubectl get events -n {NAMESPACE}",
            f"  tail -f {shlex.quote(str(set_up.operator_log))}",
            "One more fault, and what callers see of it:",
            f"  curl -d {shlex.quote(fault)} {set_up.fleet_url}/faults",
            f"  curl {set_up.fleet_url}/truth",
            "To stop all of it:",
            f"  aurora local down --state-dir {shlex.quote(str(root))}",
        )
    )


@contextlib.contextmanager
def _reporter() -> Iterator[Reporter]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainReporter(_say)
        return
    with RichReporter(console) as reporter:
        yield reporter


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """A stop request ends the demo by way of its clean-up, as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        _say("interrupted")
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _exit(error: AuroraError, code: int) -> typer.Exit:
    _say(f"aurora demo: {error}")
    return typer.Exit(code)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
