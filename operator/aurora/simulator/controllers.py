"""The controllers that `aurora simulate compare` knows, by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from aurora.errors import UsageError
from aurora.simulator import baselines
from aurora.simulator.ablation import Part
from aurora.simulator.aurora_controller import AuroraController
from aurora.simulator.flagger import flagger_for
from aurora.simulator.llmd import LlmdLaw, LlmdSlo
from aurora.simulator.oracle import Oracle, losses_per_block, search_plan
from aurora.simulator.run import play
from aurora.simulator.scoring import met_both, score
from aurora.simulator.scraper import ScrapeSettings
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.teaching import capacity_learned_on
from aurora.simulator.trace import Trace
from aurora.simulator.view import Controller

__all__ = ["CONTROLLERS", "TUNED", "Context", "Tuning", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The free parameters of the baselines.

    The defaults were tuned once, on the first half of the Azure code trace at its calibrated
    scale (seeds 101 to 110), and are frozen: the cheapest of a grid whose combined attainment is
    at most 0.5 points below that of the static pool there (98.7 %).

    Attributes:
        static: replicas of the static pool.
        hpa_utilisation: target of the HPA, share of the time that a GPU computes.
        keda_rate: requests per second that one replica is trusted with.
        hpa_queue: running plus waiting requests that one replica is trusted with.
        llmd_up: saturation above which the tuned llm-d law adds.
        llmd_down: saturation below which the tuned llm-d law removes.
        oracle_goal: attainment that the oracle's plan aims at, 0 to 1.
    """

    static: int = 8
    hpa_utilisation: float = 0.36
    keda_rate: float = 0.25
    hpa_queue: float = 0.7
    llmd_up: float = 0.80
    llmd_down: float = 0.50
    oracle_goal: float = 0.99


TUNED: Final = Tuning()


@dataclass(frozen=True, slots=True)
class Context:
    """What a controller may be built from; only the oracle reads the trace."""

    settings: SimulationSettings
    trace: Trace
    seed: int
    tuning: Tuning = TUNED


def _aurora(context: Context) -> Controller:
    return AuroraController(context.settings)


def _aurora_without(part: Part) -> Callable[[Context], Controller]:
    name = f"aurora-without-{part.value}"
    return lambda context: AuroraController(context.settings, name=name, without=part)


def _aurora_misled(name: str, speed: float) -> Callable[[Context], Controller]:
    def build_misled(context: Context) -> Controller:
        believed = capacity_learned_on(speed, context.settings)
        return AuroraController(context.settings, name=name, believed=believed)

    return build_misled


def _static(context: Context) -> Controller:
    return baselines.Static(context.tuning.static)


def _hpa(context: Context) -> Controller:
    return baselines.Hpa(context.tuning.hpa_utilisation)


def _hpa_queue(context: Context) -> Controller:
    return baselines.HpaQueue(context.tuning.hpa_queue)


def _keda_rate(context: Context) -> Controller:
    return baselines.KedaRate(context.tuning.keda_rate)


def _llmd_slo(context: Context) -> Controller:
    objectives = context.settings.objectives
    return LlmdSlo(LlmdLaw(ttft_s=objectives.ttft_s, tpot_s=objectives.tpot_s))


def _llmd_slo_tuned(context: Context) -> Controller:
    objectives, tuning = context.settings.objectives, context.tuning
    law = LlmdLaw(
        ttft_s=objectives.ttft_s,
        tpot_s=objectives.tpot_s,
        up=tuning.llmd_up,
        down=tuning.llmd_down,
    )
    return LlmdSlo(law, name="llmd-slo-tuned")


def _runbook(context: Context) -> Controller:
    objectives = context.settings.objectives
    rules = baselines.RunbookRules(ttft_s=objectives.ttft_s, tpot_s=objectives.tpot_s)
    return baselines.Runbook(rules)


def _flagger(context: Context) -> Controller:
    return flagger_for(context.settings.objectives)


def _oracle(context: Context) -> Controller:
    trace, seed = context.trace, context.seed
    # Neither plan nor static pool looks at a metric: without scrapes the search is twice as fast.
    settings = replace(context.settings, scrape=ScrapeSettings(interval_s=2 * trace.duration_s))

    def good(replicas: int) -> npt.NDArray[np.bool_]:
        fixed = replace(settings, initial=replicas)
        journal = play(trace, baselines.Static(replicas), seed, fixed)
        return met_both(journal, trace, settings.objectives)

    def attainment(plan: npt.NDArray[np.int64]) -> float:
        journal = play(trace, Oracle(plan, settings), seed, settings)
        return score(journal, trace, "oracle", seed, settings).attainment

    losses = losses_per_block(trace, settings, good)
    plan = search_plan(losses, settings.minimum, attainment, context.tuning.oracle_goal)
    return Oracle(plan, settings)


CONTROLLERS: Final[dict[str, Callable[[Context], Controller]]] = {
    "aurora": _aurora,
    "static": _static,
    "hpa": _hpa,
    "hpa-queue": _hpa_queue,
    "keda-rate": _keda_rate,
    "llmd-slo": _llmd_slo,
    "llmd-slo-tuned": _llmd_slo_tuned,
    "runbook": _runbook,
    "flagger": _flagger,
    "oracle": _oracle,
    **{f"aurora-without-{part.value}": _aurora_without(part) for part in Part},
    "aurora-overrating": _aurora_misled("aurora-overrating", 2.0),
    "aurora-underrating": _aurora_misled("aurora-underrating", 0.5),
}


def build(name: str, context: Context) -> Controller:
    """Build a fresh controller.

    Raises:
        UsageError: the name is unknown; the message lists the known ones.
    """
    if name not in CONTROLLERS:
        known = ", ".join(CONTROLLERS)
        raise UsageError(f"unknown controller {name!r}: use one or more of {known}")
    return CONTROLLERS[name](context)
