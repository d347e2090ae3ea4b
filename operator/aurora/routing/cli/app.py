"""The commands `aurora routing replay` and `aurora routing ab`."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from aurora.routing.cli import show
from aurora.routing.cli.output import Output, emit, fail
from aurora.routing.cli.regret import regret
from aurora.routing.errors import InputError, RoutingError
from aurora.routing.evaluation.comparison import Side
from aurora.routing.replay import open_bandit, quality
from aurora.routing.replay.ab import DEFAULT_RULES, build_policy, run_trial
from aurora.routing.replay.frontier import Costs
from aurora.routing.replay.recorded import load_recorded
from aurora.routing.replay.routers import ROUTERS

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Routing on recorded data: quality against cost, AI against rules, regret.",
)
_ROUTERS: Final = "linucb,lints,thompson,q-learning,random,best-single,epsilon-greedy,vw"


Data = Annotated[
    Path, typer.Option(help="Recorded file: RouteLLM (MMLU) or Open Bandit, told by its columns.")
]
Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Runs with another order and draws.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Read only so many rows.")]
Strong = Annotated[float, typer.Option(help="Cost of one request to the strong model.")]
Weak = Annotated[float, typer.Option(help="Cost of one request to the weak model.")]
As = Annotated[Output, typer.Option(help="What to print.")]


@app.command()
def replay(  # noqa: PLR0913, PLR0917, every option of a command is an argument
    data: Data,
    routers: Annotated[str, typer.Option(help="Names, separated by commas.")] = _ROUTERS,
    percent: Annotated[
        float, typer.Option("--quality", help="Percent of the strong model's accuracy to reach.")
    ] = 97.0,
    strong_cost: Strong = 25.0,
    weak_cost: Weak = 1.0,
    seeds: Seeds = 20,
    limit: Limit = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    output: As = Output.TABLE,
) -> None:
    """Replay a recording.

    RouteLLM: the cost to reach a quality. Open Bandit: off-policy estimates against the truth.
    """
    try:
        if _is_open_bandit(data):
            log = open_bandit.load_open_bandit(data, limit)
            found = open_bandit.as_json(open_bandit.agreement(log, seeds=seeds))
            emit(found, show.agreement(found), output)
            return
        plan = quality.Plan(
            load_recorded(data, limit),
            _costs(weak_cost, strong_cost),
            _share(percent),
            _names(routers),
            seeds,
        )
        told = _progress if output is Output.TABLE and sys.stderr.isatty() else _silent
        found = quality.as_json(plan, quality.replay(plan, workers=workers, told=told))
    except RoutingError as error:
        fail("replay", error)
    emit(found, show.quality(found), output)


@app.command()
def ab(  # noqa: PLR0913, PLR0917, every option of a command is an argument
    data: Data,
    policies: Annotated[
        str, typer.Option(help="Two of ai, rules, weak, strong; the first is side A.")
    ] = "ai,rules",
    percent: Annotated[float, typer.Option(help="Percent of the requests to side A.")] = 50.0,
    rules: Annotated[
        Path | None,
        typer.Option(help="JSON list of rules {when, use}; json shows the default."),
    ] = None,
    price: Annotated[
        float, typer.Option(help="What the strong model's cost is worth, in right answers.")
    ] = 0.09,
    strong_cost: Strong = 25.0,
    weak_cost: Weak = 1.0,
    seeds: Seeds = 1,
    limit: Limit = None,
    output: As = Output.TABLE,
) -> None:
    """Send a share of a recorded stream to one policy and the rest to another, and compare."""
    try:
        stream = load_recorded(data, limit)
        names, costs = _pair(policies), _costs(weak_cost, strong_cost)
        wanted = DEFAULT_RULES if rules is None else _rules(rules)
        trials = []
        for seed in range(seeds):
            built = {
                side: build_policy(name, price, seed, wanted)
                for side, name in zip(Side, names, strict=True)
            }
            trials.append(run_trial(stream, built, costs, price=price, percent=percent, seed=seed))
    except RoutingError as error:
        fail("ab", error)
    facts = {"requests": len(stream), "percent_to_a": percent, "price": price}
    found = show.trials_as_json(names, trials, {**facts, "rules": list(wanted)})
    emit(found, show.trials(found), output)


def _is_open_bandit(path: Path) -> bool:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return "propensity_score" in next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _costs(weak: float, strong: float) -> Costs:
    if not 0.0 < weak <= strong < float("inf"):
        raise InputError(f"costs must be 0 < weak <= strong, not {weak} and {strong}")
    return Costs(weak, strong)


def _share(percent: float) -> float:
    if not 0.0 < percent <= 100.0:
        raise InputError(f"--quality must be above 0 and at most 100, not {percent}")
    return percent / 100.0


def _names(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {*ROUTERS, quality.BEST_SINGLE}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(
            f"--routers: {', '.join(unknown) or 'none given'}; "
            f"choose among {', '.join(sorted(known))}"
        )
    return names


def _pair(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2:
        raise InputError(f"--policies needs two names, not {text!r}")
    return names[0], names[1]


def _rules(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--rules {path}: {error}") from error
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        raise InputError(f"--rules {path} must be a list of objects with the keys when and use")
    return found


def _progress(name: str) -> None:
    typer.echo(f"{name} ...", err=True)


def _silent(name: str) -> None:
    del name


app.command()(regret)
