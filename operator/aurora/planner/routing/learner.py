"""Learning from what each backend answered, with the routing engine's own strategies.

An outcome is the mean reward of at least LEAST_REQUESTS requests of one backend. A window is taken
in when it has passed since the last one, so that no request teaches twice. The same state always
gives the same shares: the strategy's random numbers begin at the same place each time.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from aurora.observe.backends import BackendFacts
from aurora.observe.punctual import KEPT_S
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.points import moved, points
from aurora.planner.routing.worth import Window
from aurora.resources.routing_learning import Algorithm
from aurora.routing.contract import ChoiceAware, OutcomeAware, RoutingStrategy
from aurora.routing.errors import InputError
from aurora.routing.reward import RewardWeights
from aurora.routing.strategies import Registry
from aurora.routing.types import WorkloadContext
from aurora.state.routing_memory import ArmMemory, RoutingMemory, Tally

__all__ = ["LEAST_REQUESTS", "begun", "learned", "mark_of", "taken_in"]

LEAST_REQUESTS: Final = 20.0
"""Requests whose mean reward is one outcome: with fewer, one failure would be the outcome."""
PASSED: Final = 0.9
"""Part of a window that has to pass before the next one: scrapes are never quite on time."""
SMOOTHING: Final = 0.2
"""What the newest propensities count: greedy strategies jump from one backend to another."""
WORTH_POINTS: Final = 5
"""Percent of the traffic below which other shares are not worth a step."""
WORTH_REWARD: Final = 0.05
"""Points of mean reward that other shares have to bring: 25 ms of latency as the scale stands."""
_OPTIONS: Final[Mapping[Algorithm, Mapping[str, Any]]] = {
    # The shares are the propensities themselves, so they are estimated more finely than for a draw.
    Algorithm.THOMPSON: {"draws": 2000},
    # Optimistic, or the backend with the most outcomes would seem the best (Sutton and Barto,
    # "Reinforcement learning", 2018, section 2.6).
    # The small step size keeps equal backends from changing places by chance: 2 hours of memory.
    Algorithm.Q_LEARNING: {"initial_q": RewardWeights().success, "alpha": 0.03},
}
_REQUEST: Final = WorkloadContext()
LEAST_OUTCOMES: Final = 3
"""Outcomes of a backend before it has a learned share: one may be luck."""


def mark_of(*what: object) -> str:
    """A short name for values: another one says that something differs."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def begun(memory: RoutingMemory | None, given: RoutingInput) -> RoutingMemory:
    """What was learned so far; empty when it was learned by or for something else."""
    learning = given.spec.learns
    mark = mark_of(learning.algorithm, learning.reward.to_kubernetes(), given.is_priced)
    if memory is None or memory.mark != mark:
        return RoutingMemory(mark, learning.algorithm.value)
    return memory


def taken_in(
    memory: RoutingMemory, given: RoutingInput, found: Mapping[str, Window]
) -> tuple[RoutingMemory, dict[str, Tally]]:
    """The memory with every window that is new, and the answers of those windows."""
    arms: dict[str, ArmMemory] = {}
    fresh: dict[str, Tally] = {}
    for one in given.backends:
        mark = _behind(one)
        known = memory.arms.get(one.name)
        arm = known if known is not None and known.mark == mark else ArmMemory(mark)
        window = found.get(one.name)
        if window is not None and _is_new(window, arm):
            fresh[one.name] = window.answers
            arm = replace(arm, sample_at=window.at, waiting=arm.waiting + window.answers)
        arms[one.name] = arm
    gone = [name for name, arm in memory.arms.items() if arms.get(name, arm).mark != arm.mark]
    gone += [name for name in memory.arms if name not in arms]
    if not gone:
        return replace(memory, arms=arms), fresh
    strategy = _strategy(memory)
    for name in gone:
        strategy.forget(name)
    return replace(memory, arms=arms, state=strategy.snapshot()), fresh


def _is_new(window: Window, arm: ArmMemory) -> bool:
    """Whether its requests were not taken in yet; so they were not where the clock went back."""
    passed = window.at - arm.sample_at
    return passed >= PASSED * window.length_s or passed < -KEPT_S


def learned(memory: RoutingMemory, given: RoutingInput) -> RoutingMemory:
    """The memory after every outcome that is due, with the shares that follow from it."""
    due = {
        name: arm.waiting.points / arm.waiting.requests
        for name, arm in memory.arms.items()
        if arm.waiting.requests >= LEAST_REQUESTS
    }
    known = _known(memory, given, due)
    if not due and set(known) == set(memory.propensities):
        return memory
    strategy = _strategy(memory)
    for name, reward in due.items():
        _learn(strategy, name, reward, given.at)
    arms = {
        name: replace(arm, outcomes=arm.outcomes + 1, waiting=Tally()) if name in due else arm
        for name, arm in memory.arms.items()
    }
    memory = replace(
        memory, arms=arms, state=strategy.snapshot(), revision=memory.revision + len(due)
    )
    if not known:
        return replace(memory, propensities={}, scores={}, shares={})
    return _followed(memory, strategy, known)


def _known(memory: RoutingMemory, given: RoutingInput, due: Mapping[str, float]) -> tuple[str, ...]:
    """The backends that may get traffic and taught enough, in the order of the policy."""
    outcomes = {name: arm.outcomes + (name in due) for name, arm in memory.arms.items()}
    return tuple(one.name for one in given.open if outcomes[one.name] >= LEAST_OUTCOMES)


def _behind(one: BackendFacts) -> str:
    """What stands behind a backend's name: only its part of the traffic may change."""
    return mark_of(one.spec.model_dump(mode="json", exclude={"weight", "region"}))


def _strategy(memory: RoutingMemory) -> RoutingStrategy:
    """The strategy with what it learned; what cannot be used any more is learned again."""
    algorithm = Algorithm(memory.algorithm)
    strategy = Registry().create(algorithm.value, _OPTIONS.get(algorithm))
    if memory.state:
        try:
            strategy.restore(dict(memory.state))
        except InputError:
            return Registry().create(algorithm.value, _OPTIONS.get(algorithm))
    return strategy


def _learn(strategy: RoutingStrategy, name: str, reward: float, at: float) -> None:
    """One outcome, in the order in which the routing engine tells a strategy of it."""
    if isinstance(strategy, ChoiceAware):
        strategy.chosen(_REQUEST, name, at)
    if isinstance(strategy, OutcomeAware):
        strategy.outcome(_REQUEST, name, None, at)
    strategy.update(_REQUEST, name, reward, at)


def _followed(
    memory: RoutingMemory, strategy: RoutingStrategy, known: tuple[str, ...]
) -> RoutingMemory:
    rng = np.random.default_rng(0)
    newest, scores = strategy.distribution(_REQUEST, known, rng)
    before = memory.propensities
    same = set(before) == set(known)
    smooth = {
        name: SMOOTHING * share + (1.0 - SMOOTHING) * before[name] if same else share
        for name, share in zip(known, newest, strict=True)
    }
    believed = dict(zip(known, scores, strict=True))
    worth = not same or _worth_it(memory.shares, smooth, believed)
    return replace(
        memory,
        propensities=smooth,
        scores=believed,
        shares=smooth if worth else memory.shares,
    )


def _worth_it(
    now: Mapping[str, float], then: Mapping[str, float], scores: Mapping[str, float]
) -> bool:
    """Whether other shares bring enough for a step: between equals a strategy only sways."""
    if set(now) != set(then):
        return True
    gain = sum((then[name] - now[name]) * scores[name] for name in then)
    return gain >= WORTH_REWARD and moved(points(now), points(then)) >= WORTH_POINTS
