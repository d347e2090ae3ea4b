"""What the answers of a backend were worth: its fresh readings as requests and points of reward.

The reward is the routing engine's (`aurora.routing.reward`). It is linear in whether a request
failed, so the mean reward of a window follows from its error ratio, its mean latency and its cost.
"""

from dataclasses import dataclass
from typing import Final

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Signal
from aurora.planner.routing.given import RoutingInput
from aurora.routing.reward import RewardWeights
from aurora.routing.types import Outcome
from aurora.state.advance import MIN_LOAD
from aurora.state.plausible import PLAUSIBLE
from aurora.state.routing_memory import Tally

__all__ = ["LONGEST_MEAN_S", "Window", "windows"]

LONGEST_MEAN_S: Final = 3600.0
"""A longer mean is a broken exporter: what was learned from it would outweigh days of answers."""


@dataclass(frozen=True, slots=True)
class Window:
    """The newest window of one backend.

    Attributes:
        at: when the oldest of its samples was scraped, seconds since the epoch.
        length_s: how far back it looks.
    """

    at: float
    length_s: float
    answers: Tally


@dataclass(frozen=True, slots=True)
class _Read:
    """The numbers of a window: ready pods, requests, their rate, failed share, mean latency."""

    at: float
    length_s: float
    pods: int
    requests: float
    rate: float
    failed: float
    seconds: float


def windows(given: RoutingInput) -> dict[str, Window]:
    """The newest window of each backend that was measured wholly and had requests."""
    read = {one.name: found for one in given.backends if (found := _read(given, one)) is not None}
    weights = _weights(given)
    occupied = _pods_per_request(read)
    made = {}
    for name, found in read.items():
        cost = _cost(given, name) * found.seconds * occupied
        points = found.requests * _reward(weights, found, cost)
        answers = Tally(
            found.requests, points, found.requests * found.failed, found.requests * found.seconds
        )
        made[name] = Window(found.at, found.length_s, answers)
    return made


def _read(given: RoutingInput, one: BackendFacts) -> _Read | None:
    rate = given.measured(one, Signal.REQUEST_RATE)
    failed = given.measured(one, Signal.SERVER_ERROR_RATIO)
    mean = given.measured(one, Signal.LATENCY_MEAN)
    if rate is None or failed is None or mean is None:
        return None
    if min(rate.window_s, mean.value) <= 0.0 or mean.value > LONGEST_MEAN_S:
        return None
    if not MIN_LOAD < rate.value <= PLAUSIBLE:
        return None
    return _Read(
        at=min(rate.at, failed.at, mean.at),
        length_s=max(rate.window_s, failed.window_s, mean.window_s),
        pods=one.ready,
        requests=rate.value * rate.window_s,
        rate=rate.value,
        failed=min(1.0, max(0.0, failed.value)),
        seconds=mean.value,
    )


def _weights(given: RoutingInput) -> RewardWeights:
    reward = given.spec.learns.reward
    scale = reward.latency_scale.total_seconds() * 1000.0
    return RewardWeights(cost=float(reward.cost_weight), latency_scale_ms=scale)


def _reward(weights: RewardWeights, read: _Read, cost: float) -> float:
    """Mean reward of the window's requests, in points."""
    told = {"cost_usd": cost, "latency_ms": read.seconds * 1000.0}
    good = weights.reward(Outcome(success=True, **told)).total
    bad = weights.reward(Outcome(success=False, **told)).total
    return (1.0 - read.failed) * good + read.failed * bad


def _pods_per_request(read: dict[str, _Read]) -> float:
    """Ready pods for each request under way, over all backends (Little, Operations Research 9).

    Pod time is shared out by the time that requests spend in pods. One backend's own pods over its
    own requests would make whoever has little traffic look dear, and so keep it there.
    """
    under_way = sum(one.rate * one.seconds for one in read.values())
    return sum(one.pods for one in read.values()) / under_way if under_way else 0.0


def _cost(given: RoutingInput, name: str) -> float:
    """Price of a pod second; 0 where not every backend has a price."""
    if not given.is_priced:
        return 0.0
    return float(given.backend(name).spec.cost_per_replica_hour or 0) / 3600.0
