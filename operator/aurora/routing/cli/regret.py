"""The command `aurora routing regret`."""

import json
from typing import Annotated, Any

import typer

from aurora.routing.cli.output import Output, fail
from aurora.routing.environments.curves import CHANCE, DEFAULTS, Curves, curves
from aurora.routing.environments.world import WORLDS
from aurora.routing.errors import InputError

__all__ = ["regret"]


def regret(
    strategies: Annotated[
        str, typer.Option(help="Names, separated by semicolons; 'all' for every one known.")
    ] = "all",
    steps: Annotated[int, typer.Option(min=100, help="Decisions a run.")] = 6000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs, each in a world of its own.")] = 5,
    delay: Annotated[int, typer.Option(min=0, help="Decisions until a reward arrives.")] = 0,
    output: Annotated[Output, typer.Option(help="What to print.")] = Output.TABLE,
) -> None:
    """Play strategies in simulated worlds (stationary, drifting, abrupt) and print their regret."""
    names = _names(strategies)
    plan = Curves(steps=steps, seeds=seeds, delay=delay)
    found = curves(plan, names)
    if output is Output.JSON:
        facts = {"steps": steps, "seeds": seeds, "delay": delay, "floor": plan.floor}
        typer.echo(json.dumps({**facts, "curves": found}, indent=2))
    else:
        typer.echo(_table(found, (CHANCE, *names)))


def _names(text: str) -> list[str]:
    if text == "all":
        return list(DEFAULTS)
    names = [name.strip() for name in text.split(";") if name.strip()]
    unknown = [name for name in names if name not in DEFAULTS]
    if unknown or not names:
        fail(
            "regret",
            InputError(f"--strategies: {text!r} is not known; choose among {'; '.join(DEFAULTS)}"),
        )
    return names


def _table(found: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    cells = {(row["world"], row["strategy"]): _cell(row["regret"]) for row in found}
    lines = [f"{'regret':32}" + "".join(f"{world:>16}" for world in WORLDS)]
    lines += [f"{name:32}" + "".join(f"{cells[w, name]:>16}" for w in WORLDS) for name in names]
    return "\n".join(lines)


def _cell(value: dict[str, Any]) -> str:
    half = value["half_width"]
    return f"{value['mean']:.0f}" + ("" if half is None else f" ±{half:.0f}")
