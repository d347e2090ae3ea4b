"""Controllers side by side: the same loads and seeds for each, means with intervals."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from aurora.errors import UsageError
from aurora.simulator.aurora_controller import AuroraController
from aurora.simulator.controllers import CONTROLLERS, TUNED, Context, Tuning, build
from aurora.simulator.run import play, with_faults
from aurora.simulator.scoring import RunResult, score
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.statistics import Estimate, estimate
from aurora.simulator.trace import Trace, TraceSource
from aurora.simulator.verdicts import Agreement, agreement_of, check_verdicts

__all__ = ["METRICS", "Plan", "Summary", "compare", "draw", "simulate", "summarise"]

METRICS = (
    "attainment",
    "attainment_ttft",
    "attainment_tpot",
    "replica_hours",
    "violation_minutes",
    "oscillations",
    "false_actions",
    "writes",
    "failed",
    "detect_s",
    "mitigate_s",
    "little_error",
    "false_rollbacks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare on.

    Attributes:
        source: where the load comes from.
        factor: multiple of the recorded rate.
        settings: the operating point.
        tuning: free parameters of the baselines.
        truth: hold AURORA's verdicts against the truth, which plays the run again for each.
    """

    source: TraceSource
    factor: float
    settings: SimulationSettings
    tuning: Tuning = TUNED
    truth: bool = True


@dataclass(frozen=True, slots=True)
class Summary:
    """One controller over all seeds.

    Attributes:
        controller: its name.
        estimates: one estimate per metric, see `METRICS`.
        runs: the single results, in order of seed.
        agreement: of its verdicts with the truth; None for a controller that gives none.
    """

    controller: str
    estimates: dict[str, Estimate]
    runs: tuple[RunResult, ...]
    agreement: Agreement | None = None


def draw(plan: Plan, seed: int) -> Trace:
    """Draw the load of a seed, with the faults that change the load."""
    trace = plan.source.draw(np.random.default_rng([seed, 1]), plan.factor)
    return with_faults(trace, plan.settings, seed)


def simulate(plan: Plan, controller: str, seed: int) -> RunResult:
    """Run one controller on one seed; the same arguments give the same result.

    Raises:
        UsageError: the controller is unknown, or the load cannot be drawn.
        LittleLawError: the run broke Little's law.
    """
    trace = draw(plan, seed)
    context = Context(plan.settings, trace, seed, plan.tuning)
    built = build(controller, context)
    journal = play(trace, built, seed, plan.settings)
    result = score(journal, trace, controller, seed, plan.settings)
    if not plan.truth or not isinstance(built, AuroraController):
        return result
    return replace(result, verdicts=check_verdicts(built, journal, trace, seed, plan.settings))


def compare(
    plan: Plan,
    controllers: Sequence[str],
    seeds: Sequence[int],
    *,
    workers: int = 2,
    on_result: Callable[[RunResult], None] | None = None,
) -> list[Summary]:
    """Run every controller on every seed, in processes, and summarise.

    Raises:
        UsageError: an unknown controller, none, or no seed.
        LittleLawError: a run broke Little's law.
    """
    unknown = [name for name in controllers if name not in CONTROLLERS]
    if unknown or not controllers or not seeds:
        known = ", ".join(CONTROLLERS)
        found = f"unknown controller {unknown[0]!r}" if unknown else "nothing to compare"
        raise UsageError(f"{found}: name one or more of {known}, and at least one seed")
    tasks = [(name, seed) for seed in seeds for name in controllers]
    results: list[RunResult] = []
    with ProcessPoolExecutor(max_workers=workers) as executor:
        for result in executor.map(partial(_task, plan), tasks):
            results.append(result)
            if on_result is not None:
                on_result(result)
    return [summarise(name, [r for r in results if r.controller == name]) for name in controllers]


def _task(plan: Plan, task: tuple[str, int]) -> RunResult:
    return simulate(plan, *task)


def summarise(controller: str, runs: Sequence[RunResult]) -> Summary:
    """Estimate every metric; a run that has no value for one is left out of that one."""
    estimates = {}
    for metric in METRICS:
        values = [getattr(run, metric) for run in runs]
        estimates[metric] = estimate([float(value) for value in values if value is not None])
    checks = [check for run in runs for check in run.verdicts]
    return Summary(controller, estimates, tuple(runs), agreement_of(checks))
