"""The command `aurora`; `kubectl aurora` is the same program as a kubectl plugin."""

import sys

import typer

from aurora import __version__
from aurora.cachesidecar.cli import app as cache_app
from aurora.demo.cli import demo
from aurora.errors import AuroraError, UsageError
from aurora.local.cli import app as local_app
from aurora.operator_cli import operator, uninstall
from aurora.simulator.cli import app as simulate_app
from aurora.simulator.live.cli import fleet

__all__ = ["app", "main"]

app = typer.Typer(
    name="aurora",
    help="An autonomous operator for model serving on Kubernetes.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
simulate_app.command()(fleet)
app.add_typer(local_app, name="local")
app.add_typer(simulate_app, name="simulate")
app.add_typer(cache_app, name="cache-exporter")
app.command()(operator)
app.command()(uninstall)
app.command()(demo)


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
    try:
        app()
    except UsageError as error:
        sys.exit(_complain(error, 2))
    except AuroraError as error:
        sys.exit(_complain(error, 1))


def _complain(error: AuroraError, code: int) -> int:
    sys.stderr.write(f"aurora: {error}\n")
    return code


if __name__ == "__main__":
    main()
