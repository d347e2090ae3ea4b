"""`aurora simulate`: controllers compared on a simulated pool in simulated time."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from aurora.errors import AuroraError, UsageError
from aurora.simulator.calibration import CALIBRATED, calibrate
from aurora.simulator.compare import Plan, Summary
from aurora.simulator.compare import compare as run_comparison
from aurora.simulator.faults import (
    ErrorFault,
    ErrorNoise,
    Fault,
    LatencyFault,
    LoadSpikes,
    LoadStep,
    LyingMetrics,
    MetricsGone,
    PodLoss,
    RepeatedPrompts,
)
from aurora.simulator.parameters import (
    COLD_START_32B,
    COLD_START_SMALL,
    Slowed,
    server_parameters,
)
from aurora.simulator.report import as_json, as_table
from aurora.simulator.settings import FallbackSettings, Objectives, SimulationSettings
from aurora.simulator.sources import open_source

__all__ = ["app", "parse_fault"]

app = typer.Typer(no_args_is_help=True, help="Controllers compared on a simulated pool.")

_DEFAULT_CONTROLLERS: Final = "aurora,static,hpa,hpa-queue,keda-rate,llmd-slo,llmd-slo-tuned,oracle"
_FAULTS: Final[dict[str, Callable[[float, float, float], Fault]]] = {
    "latency": LatencyFault,
    "errors": ErrorFault,
    "pods": lambda start, end, value: PodLoss(start, end, int(value)),
    "metrics": lambda start, end, _: MetricsGone(start, end),
    "load": LoadStep,
    "spikes": LoadSpikes,
    "lies": LyingMetrics,
    "noise": ErrorNoise,
    "repeat": RepeatedPrompts,
}


class Output(str, Enum):  # noqa: UP042, typer shows the value of a str Enum
    """What is printed."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def _group() -> None:
    """Keep `compare` a subcommand while it is the only one."""


@app.command()
def compare(  # noqa: PLR0913, PLR0917, every option of a command is an argument
    trace: Annotated[
        str, typer.Option(help="CSV file in the Azure or ServeGen format, or 'builtin'.")
    ] = "builtin",
    controllers: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = _DEFAULT_CONTROLLERS,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 20,
    first_seed: Annotated[int, typer.Option(min=1, help="The first of them.")] = 1,
    factor: Annotated[
        float | None,
        typer.Option(help="Multiple of the recorded rate; the default is the calibrated one."),
    ] = None,
    recalibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Find the factor at which 8 static replicas reach 99 %."),
    ] = False,
    from_hour: Annotated[float, typer.Option(min=0, help="Where in the trace to begin.")] = 0.0,
    hours: Annotated[float | None, typer.Option(help="How much of the trace to play.")] = None,
    server: Annotated[str, typer.Option(help="Named server.")] = "qwen3-32b-rtxpro6000",
    replicas: Annotated[str, typer.Option(help="min,initial,max")] = "1,8,16",
    cold_start: Annotated[
        float, typer.Option(help="Multiple of the measured time that a replica takes to start.")
    ] = 1.0,
    ttft: Annotated[float, typer.Option(help="Objective, seconds.")] = 3.0,
    tpot: Annotated[float, typer.Option(help="Objective, seconds per token.")] = 0.1,
    fault: Annotated[
        list[str] | None,
        typer.Option(help=f"KIND:START:END:VALUE in seconds; kinds: {', '.join(_FAULTS)}."),
    ] = None,
    fallback: Annotated[int, typer.Option(min=0, help="Replicas of a fallback pool.")] = 0,
    cache_ttl: Annotated[
        float | None, typer.Option(help="Arm a cache with this lifetime, seconds.")
    ] = None,
    truth: Annotated[
        bool, typer.Option(help="Play again without each judged action, to see what it was worth.")
    ] = True,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    output: Annotated[Output, typer.Option(help="What to print.")] = Output.TABLE,
) -> None:
    """Play a load against controllers and print attainment and cost side by side."""
    try:
        settings = _settings(server, replicas, Objectives(ttft, tpot), cold_start)
        parameters = settings.server
        settings = replace(
            settings,
            faults=tuple(parse_fault(text) for text in fault or ()),
            fallback=FallbackSettings(parameters, fallback) if fallback else None,
            cache_ttl_s=cache_ttl,
        )
        opened = open_source(trace, start_s=from_hour * 3600, duration_s=_seconds(hours))
        plan = Plan(source=opened.source, factor=1.0, settings=settings, truth=truth)
        plan = replace(plan, factor=_factor(plan, factor, opened.kind, recalibrate=recalibrate))
        names = [name.strip() for name in controllers.split(",") if name.strip()]
        summaries = _run(plan, names, range(first_seed, first_seed + seeds), workers)
    except UsageError as error:
        typer.echo(f"aurora simulate compare: {error}", err=True)
        raise typer.Exit(2) from None
    except AuroraError as error:
        typer.echo(f"aurora simulate compare: {error}", err=True)
        raise typer.Exit(1) from None
    if output is Output.JSON:
        print(json.dumps(as_json(plan, summaries), indent=2))
    else:
        wide = None if sys.stdout.isatty() else 190
        Console(width=wide).print(as_table(plan, summaries))


def _run(plan: Plan, names: list[str], seeds: range, workers: int) -> list[Summary]:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=len(names) * len(seeds))
        return run_comparison(
            plan,
            names,
            seeds,
            workers=workers,
            on_result=lambda _: progress.advance(task),
        )


def _settings(
    server: str, replicas: str, objectives: Objectives, slower: float
) -> SimulationSettings:
    try:
        minimum, initial, maximum = (int(part) for part in replicas.split(","))
    except ValueError:
        raise UsageError(
            f"--replicas takes three whole numbers min,initial,max such as 1,8,16: got {replicas!r}"
        ) from None
    if not 0 < slower < 1000:
        raise UsageError(f"--cold-start must be above 0 and below 1000: got {slower:g}")
    measured = COLD_START_SMALL if "32b" not in server else COLD_START_32B
    return SimulationSettings(
        server=server_parameters(server),
        cold_start=measured if slower == 1.0 else Slowed(measured, slower),
        minimum=minimum,
        initial=initial,
        maximum=maximum,
        objectives=objectives,
    )


def _seconds(hours: float | None) -> float | None:
    if hours is not None and not hours > 0:
        raise UsageError(f"--hours must be above 0: got {hours:g}")
    return None if hours is None else hours * 3600


def _factor(plan: Plan, factor: float | None, kind: str | None, *, recalibrate: bool) -> float:
    if factor is not None:
        if not 0 < factor < 1000:
            raise UsageError(f"--factor must be above 0 and below 1000: got {factor:g}")
        return factor
    if recalibrate or kind is None:
        return calibrate(replace(plan, settings=replace(plan.settings, faults=())))
    return CALIBRATED[kind]


def parse_fault(text: str) -> Fault:
    """Parse KIND:START:END:VALUE; times in seconds from the start of the run.

    Raises:
        UsageError: the text is not of that form; the message says what is.
    """
    expected = f"--fault takes KIND:START:END:VALUE with a KIND of {', '.join(_FAULTS)}"
    try:
        kind, *numbers = text.split(":")
        start, end, value = (float(number) for number in (*numbers, "1")[:3])
    except ValueError:
        raise UsageError(f"{expected}: got {text!r}") from None
    if kind not in _FAULTS or len(numbers) > 3:
        raise UsageError(f"{expected}: got {text!r}")
    if not 0 <= start < end or not value > 0:
        raise UsageError(f"--fault needs 0 <= START < END and VALUE above 0: got {text!r}")
    return _FAULTS[kind](start, end, value)
