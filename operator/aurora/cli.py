"""The command `aurora`; `kubectl aurora` is the same program as a kubectl plugin.

A part is imported when its command is called: loading all of them takes seconds.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from aurora import __version__
from aurora.errors import AuroraError, ConfigurationError, UsageError

__all__ = ["COMMANDS", "Lazy", "app", "main"]


@dataclass(frozen=True, slots=True)
class Lazy:
    """One command: its line in the help, and how its function or typer app is imported."""

    help: str
    load: Callable[[], Any]

    def command(self, name: str) -> Any:
        """Import and build it."""
        found = self.load()
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command(name)(function)
        found._add_completion = False  # noqa: SLF001 - no other way for an app that is mounted
        # As rich markup, "[default: ...]" in a help text would be taken for a style and vanish.
        found.rich_markup_mode = "markdown"
        built = get_command(found)
        built.name = name
        return built


def _attribute(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _simulate() -> typer.Typer:
    """`simulate` has two halves: simulated time, and a fleet for a real cluster."""
    from aurora.simulator.cli import app as offline
    from aurora.simulator.live.cli import fleet

    both = typer.Typer(no_args_is_help=True, help=offline.info.help)
    both.registered_commands += offline.registered_commands
    both.command()(fleet)
    return both


def _decision(name: str) -> Callable[[], Any]:
    return partial(_attribute, "aurora.decisions.cli", name)


COMMANDS: Final[Mapping[str, Lazy]] = {
    "status": Lazy(
        "Show whether AURORA may write, which process leads, and how every model stands.",
        _decision("status"),
    ),
    "decisions": Lazy("List what was decided, the newest first.", _decision("decisions")),
    "explain": Lazy(
        "Say why a decision was made, or why nothing is being done for a model or policy now.",
        _decision("explain"),
    ),
    "approve": Lazy(
        "Let AURORA carry out a decision that awaits approval; guardrails are checked again.",
        _decision("approve"),
    ),
    "deny": Lazy(
        "Refuse a decision that awaits approval; a denial wins over any approval.",
        _decision("deny"),
    ),
    "pause": Lazy(
        "Stop every write for one model, rollbacks too; or for all of them with --all.",
        _decision("pause"),
    ),
    "resume": Lazy(
        "Let AURORA write again for one model, or for all of them with --all.",
        _decision("resume"),
    ),
    "demo": Lazy(
        "Show the whole loop: four models on a local cluster, faults, decisions, outcomes.",
        partial(_attribute, "aurora.demo.cli", "demo"),
    ),
    "local": Lazy(
        "A real control plane on this machine: no root, no Docker, loopback only.",
        partial(_attribute, "aurora.local.cli", "app"),
    ),
    "simulate": Lazy("Controllers compared on a simulated pool.", _simulate),
    "operator": Lazy(
        "Run the operator: watch, decide, act, measure, undo. Settings are AURORA_... variables.",
        partial(_attribute, "aurora.operator_cli", "operator"),
    ),
    "recording-rules": Lazy(
        "Print the recording rules that AURORA_RECORDING_RULES=true lets the operator read.",
        partial(_attribute, "aurora.operator_cli", "recording_rules"),
    ),
    "uninstall": Lazy(
        "Give every target back as it was found, by deletionPolicy, and take our finalizers off.",
        partial(_attribute, "aurora.operator_cli", "uninstall"),
    ),
    "routing": Lazy(
        "Routing on recorded data: quality against cost, AI against rules, regret.",
        partial(_attribute, "aurora.routing.cli", "app"),
    ),
    "router": Lazy(
        "Serve routing decisions over HTTP. Settings are PORT, MODEL_PATH, POLICY_PATH, ...",
        partial(_attribute, "aurora.router.cli", "router"),
    ),
    "cache-exporter": Lazy(
        "Export the cache sidecar's counters to Prometheus.",
        partial(_attribute, "aurora.cachesidecar.cli", "cache_exporter"),
    ),
}


class _LazyGroup(TyperGroup):
    """Lists every command, imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        known = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, callback=None, help=known.help) if known else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, stub, rest = super().resolve_command(ctx, args)
        known = COMMANDS.get(name or "")
        return name, known.command(name) if known and name else stub, rest


app = typer.Typer(
    name="aurora",
    help="An autonomous operator for model serving on Kubernetes.",
    cls=_LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        typer.echo(f"aurora {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; an error is one line on standard error and exit code 1, or 2."""
    _end_on_sigterm()
    program = "kubectl aurora" if Path(sys.argv[0]).name.startswith("kubectl-") else "aurora"
    try:
        app(prog_name=program)
    except (UsageError, ConfigurationError) as error:
        sys.exit(_complain(program, error, 2))
    except AuroraError as error:
        sys.exit(_complain(program, error, 1))


def _end_on_sigterm() -> None:
    """In a container, SIGTERM does nothing to its first process until a handler is set.

    Without one, a pod that is deleted while its libraries load goes on until it is killed.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _complain(program: str, error: AuroraError, code: int) -> int:
    # A message may repeat what a user named an object: no control sequence reaches the terminal.
    text = "".join(one if one.isprintable() else " " for one in str(error))
    sys.stderr.write(f"{program}: {text}\n")
    return code


if __name__ == "__main__":
    main()
