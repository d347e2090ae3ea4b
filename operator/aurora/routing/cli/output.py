"""What the commands share: how they print and how they fail."""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn

import typer

from aurora.routing.errors import InputError, RoutingError

__all__ = ["Output", "emit", "fail"]


class Output(str, Enum):  # noqa: UP042, typer shows the value of a str Enum
    """What is printed."""

    TABLE = "table"
    JSON = "json"


def emit(found: Mapping[str, Any], text: str, output: Output) -> None:
    """Print the result as the caller asked."""
    typer.echo(json.dumps(found, indent=2, allow_nan=False) if output is Output.JSON else text)


def fail(command: str, error: RoutingError) -> NoReturn:
    """One line, and exit code 2 when the input was wrong."""
    typer.echo(f"aurora routing {command}: {error}", err=True)
    raise typer.Exit(2 if isinstance(error, InputError) else 1) from None
