"""What every strategy implements, in plain values.

A strategy (Q-learning, UCB, Thompson sampling, LinUCB, LinTS, DQN, a balancer) says how it would
spread the next request over the arms. Everything else is the engine's, once for all strategies:
the audit before, the exploration floor mixed in after, the draw, the logged propensity, cooldown of
failing arms, pending feedback, persistence.

Calls and their guarantees

* The engine makes every call under one lock, so a strategy needs no lock of its own.
* `arms` are provider ids, at least one, without duplicates. While the set of arms that passed the
  audit stays the same the engine passes the very same tuple object, so what is derived from it
  (stacked matrices) may be kept by identity: `if arms is not self._arms: ...`.
* An arm never seen before is legal everywhere: it starts from the strategy's prior. Arms come and
  go between calls; `forget` is called only when an arm is taken out for good.
* `exploration` scales the strategy's own exploration: 1 is its configured amount, 0 is none. The
  psi field sets it. What has no such knob ignores it.
* `rng` is for draws inside `distribution` (Thompson sampling); the arm itself is drawn by the
  engine from the final mixture.
* `at` is in seconds of a clock that never goes backwards.
* Rewards are finite; the engine refused others before.

A strategy is built as `Class(**options)` with keyword-only options of its own, each with a default,
and raises `InputError` for a bad one. It keeps no module state and reads no clock.

Modules import each other absolutely (`from aurora.routing.contract import ...`): the wheel
`aurora-intelligence` renames the package while it is built. Nothing in the package imports the rest
of aurora.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from aurora.routing.types import Outcome, ProviderState, WorkloadContext

__all__ = [
    "ArmAware",
    "Arms",
    "ChoiceAware",
    "Distribution",
    "FleetAware",
    "MergeableStrategy",
    "OutcomeAware",
    "RoutingStrategy",
    "Snapshot",
    "TeachableStrategy",
]

Arms: TypeAlias = tuple[str, ...]
"""Provider ids in the order of the candidates."""

Distribution: TypeAlias = tuple[list[float], list[float]]
"""(probabilities, scores), each as long as the arms.

Probabilities are >= 0 and sum to 1 within 1e-6, before the exploration floor: a greedy strategy
gives 1 to its best arm, and ties share. Scores are finite, comparable between arms, higher is
better, and say what the strategy believed (Q value, upper bound, sampled mean). Both lists are
fresh: the engine keeps them in the decision log without copying.
"""

Snapshot: TypeAlias = dict[str, Any]
"""Learned state as plain JSON values (finite numbers, strings, lists, dicts with string keys), not
shared with the live strategy. The store wraps it with the strategy's name and a format version."""


@runtime_checkable
class RoutingStrategy(Protocol):
    """A strategy that learns from rewards. `name` is its name in `strategies.py`."""

    @property
    def name(self) -> str: ...

    def distribution(
        self,
        context: WorkloadContext,
        arms: Arms,
        rng: np.random.Generator,
        *,
        exploration: float = 1.0,
    ) -> Distribution:
        """How to spread this request over the arms. Changes nothing that is persisted."""
        ...

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:
        """Learn one reward. Late and out of order is normal; each decision comes at most once."""
        ...

    def forget(self, arm: str) -> None:
        """Drop everything about an arm; unknown arms are fine."""
        ...

    def snapshot(self) -> Snapshot:
        """All learned state."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Replace all learned state; InputError, and nothing changed, if it cannot be used."""
        ...

    def status(self) -> Mapping[str, float]:
        """Figures for `get_status()`, for example {"q_states": 12, "epsilon": 0.04}."""
        ...


@runtime_checkable
class MergeableStrategy(RoutingStrategy, Protocol):
    """A strategy whose replicas can share one stored state without losing or doubling a count.

    The store does, in one transaction: `stored = merged(stored, take_delta())`, and then tells the
    replica with `rebase(stored)`. A delta that could not be written is put before the next one
    with `merged(delta, next)`, so a delta is itself a valid base.
    """

    def take_delta(self) -> Snapshot:
        """What was learned here since the last call or restore; starts the next delta."""
        ...

    def merged(self, base: Snapshot, delta: Snapshot) -> Snapshot:
        """Base with the delta applied after it. Pure: the live state is neither read nor changed.

        Options of the strategy (its step size) may be used.
        """
        ...

    def rebase(self, base: Snapshot) -> None:
        """Continue from `base` plus what was learned since the last `take_delta`."""
        ...


@runtime_checkable
class TeachableStrategy(RoutingStrategy, Protocol):
    """A strategy that can take over what another learned without giving up what it learned."""

    def fill(self, snapshot: Snapshot) -> int:
        """Take each value of which nothing is known here, and say how many; repeating takes none.

        InputError, and nothing changed, if the snapshot cannot be used.
        """
        ...


@runtime_checkable
class FleetAware(Protocol):
    """Optional: wants the providers' own figures (price, latency, weight labels)."""

    def fleet(self, providers: Sequence[ProviderState]) -> None:
        """The candidates from now on, before audit; called when they change, before a decision."""
        ...


@runtime_checkable
class ArmAware(Protocol):
    """Optional: tells which arms it restored, so that those never offered again can make room."""

    def known_arms(self) -> Iterable[str]:
        """Every arm of which something is kept."""
        ...


@runtime_checkable
class ChoiceAware(Protocol):
    """Optional: wants to know what was drawn (round robin, least outstanding)."""

    def chosen(self, context: WorkloadContext, arm: str, at: float) -> None:
        """This arm was drawn from the final mixture."""
        ...


@runtime_checkable
class OutcomeAware(Protocol):
    """Optional: wants the measurements behind the reward (least latency, least outstanding)."""

    def outcome(
        self, context: WorkloadContext, arm: str, outcome: Outcome | None, at: float
    ) -> None:
        """What was measured, before `update`; None when the feedback never came in time."""
        ...
