"""The strategist: one strategy, the exploration floor, the draw, and where its state is kept."""

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from aurora.routing.admission import Fleet, Providers
from aurora.routing.contract import Arms, ChoiceAware, RoutingStrategy
from aurora.routing.decision import EXPLOIT, EXPLORE
from aurora.routing.errors import InputError, RoutingError
from aurora.routing.keeper import Keeper
from aurora.routing.mixture import draw
from aurora.routing.psi_field import PsiMetrics, exploration_factor
from aurora.routing.qlearning import QLearning
from aurora.routing.state_store import JsonFile, StateStore
from aurora.routing.strategies import Registry
from aurora.routing.types import MOST_FIGURE, StateKey, WorkloadContext

__all__ = ["Choice", "Strategist"]

PREFERENCE = 1.0 + 1e-9
"""The highest of n equal probabilities, times n, is 1; more is a preference."""


Choice: TypeAlias = tuple[int, float, str, list[float], list[float]]
"""(index into the arms, propensity, mode, probabilities before the floor, scores)."""


class Strategist:
    """Recommends a provider and learns from rewards.

    Args:
        strategy: a name in `strategies.py`, or a strategy itself.
        strategy_options: of the named strategy, for example {"alpha": 0.2}.
        min_percent: the exploration floor, 0 (none: propensities can then be 0 or 1) to 100.
        seed: makes every draw repeatable; None draws from the system's randomness.
        model_path: JSON file for the state; None keeps it in memory.
        store: another place for the state, instead of `model_path`.
        save_every: decisions (or rewards) between two saves; 0 saves only when asked.
        lock: shared with the engine that owns this strategist.
    """

    def __init__(  # noqa: PLR0913  # settings, each with a default
        self,
        strategy: str | RoutingStrategy = "q-learning",
        *,
        strategy_options: Mapping[str, Any] | None = None,
        min_percent: float = 1.0,
        seed: int | None = None,
        model_path: str | os.PathLike[str] | None = None,
        store: StateStore | None = None,
        save_every: int = 10,
        lock: "threading.Lock | None" = None,
        registry: Registry | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0.0 <= min_percent <= 100.0:
            raise InputError(f"min_percent must be from 0 to 100, not {min_percent!r}")
        if save_every < 0:
            raise InputError(f"save_every must not be negative, not {save_every}")
        if isinstance(strategy, str):
            strategy = (registry or Registry()).create(strategy, strategy_options)
        self.strategy = strategy
        self.floor = min_percent / 100.0
        self.decisions = self.explored = 0
        self._lock = lock or threading.Lock()
        self._uniform = random.Random(seed).random  # noqa: S311  # a draw, not a secret
        self._rng = np.random.default_rng(seed)
        self._monotonic = monotonic
        self._chosen = strategy.chosen if isinstance(strategy, ChoiceAware) else None
        self._interned: dict[Arms, Arms] = {}
        self._keeper = self._keep(store, model_path)
        self._save_every = save_every if self._keeper is not None else 0
        self._until_save = self._save_every
        # A program that ends without `close` keeps what it learned all the same.
        self._at_exit = (
            weakref.finalize(self, _close_quietly, self._keeper)
            if self._save_every and self._keeper is not None
            else None
        )

    def recommend(
        self,
        context: WorkloadContext | Mapping[str, Any],
        providers: Providers,
        psi_density: float | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Choose a provider, unaudited.

        Returns:
            The provider id, and {mode, q_value, propensity, scores, state_key}.
        """
        asked = WorkloadContext.of(context)
        fleet = Fleet(providers, None, strict=False, interned=self._interned)
        arms = fleet.admission(asked, frozenset()).arms
        exploration = exploration_factor(PsiMetrics.of(psi_density))
        with self._lock:
            choice = self.choose(asked, arms, tuple(range(len(arms))), exploration)
        index, propensity, mode, _, scores = choice
        return arms[index], {
            "mode": mode,
            "q_value": scores[index],
            "propensity": propensity,
            "scores": dict(zip(arms, scores, strict=True)),
            "state_key": asked.state_key,
        }

    def choose(
        self,
        context: WorkloadContext,
        arms: Arms,
        passing: tuple[int, ...],
        exploration: float = 1.0,
    ) -> Choice:
        """Draw from the final mixture; called under the lock."""
        probabilities, scores = self.strategy.distribution(
            context, arms, self._rng, exploration=exploration
        )
        index, propensity = draw(probabilities, self.floor, passing, self._uniform())
        top = max(probabilities)
        # Explore: an arm that the strategy did not prefer, or it had no preference among several.
        if probabilities[index] == top and (top * len(arms) > PREFERENCE or len(arms) == 1):
            mode = EXPLOIT
        else:
            mode = EXPLORE
            self.explored += 1
        self.decisions += 1
        if self._chosen is not None:
            self._chosen(context, arms[index], self._monotonic())
        if self._save_every:
            self.count_towards_save()
        return index, propensity, mode, probabilities, scores

    def learn(
        self,
        context: WorkloadContext,
        arm: str,
        reward: float,
        at: float,
        following: WorkloadContext | None = None,
    ) -> None:
        """Learn one reward; called under the lock. Only Q-learning uses the following request."""
        if following is not None and isinstance(self.strategy, QLearning):
            self.strategy.learn(context.state_key, arm, reward, following.state_key)
        else:
            self.strategy.update(context, arm, reward, at)
        if self._save_every:
            self.count_towards_save()

    def belief(self, context: WorkloadContext, arm: str) -> float | None:
        """The current Q value of an arm; None when the strategy is not tabular."""
        if isinstance(self.strategy, QLearning):
            return self.strategy.q_value(context.state_key, arm)
        return None

    def count_towards_save(self) -> None:
        """One more change; every `save_every`-th makes a save due."""
        self._until_save -= 1
        if self._until_save <= 0 and self._keeper is not None:
            self._until_save = self._save_every
            self._keeper.due()

    def update_q_value(
        self,
        state_key: StateKey | tuple[str, str, str] | str,
        provider_id: str,
        reward: float,
        next_state_key: StateKey | tuple[str, str, str] | str | None = None,
    ) -> float | None:
        """Learn one reward for a state.

        Returns:
            The new Q value; None when the strategy is not tabular.

        Raises:
            InputError: the reward is not finite; nothing was learned.
        """
        key = StateKey.of(state_key)
        after = None if next_state_key is None else StateKey.of(next_state_key)
        with self._lock:
            if isinstance(self.strategy, QLearning):
                value = self.strategy.learn(key, provider_id, reward, after)
                if self._save_every:
                    self.count_towards_save()
                return value
            if not -MOST_FIGURE <= reward <= MOST_FIGURE:
                raise InputError(
                    f"a reward must be finite and within {MOST_FIGURE:g}, not {reward!r}; "
                    "nothing was learned"
                )
            context = WorkloadContext(workload_type=key[0], gpu_type=key[1], region=key[2])
            self.learn(context, provider_id, reward, self._monotonic())
        return None

    def decay_epsilon(self) -> float:
        """Decay epsilon as one more decision would.

        Returns:
            The new epsilon.

        Raises:
            InputError: the strategy has no epsilon.
        """
        with self._lock:
            if not isinstance(self.strategy, QLearning):
                raise InputError(f"{self.strategy.name} has no epsilon to decay")
            return self.strategy.decay()

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write the state where it is kept, or a copy of it to another file.

        Raises:
            StateError: it cannot be written.
            InputError: there is no place for it.
        """
        if path is None:
            self._kept().save()
            return
        with self._lock:
            snapshot = self.strategy.snapshot()
        JsonFile(path).replace(self.strategy.name, snapshot)

    def load(self, path: str | os.PathLike[str] | None = None) -> bool:
        """Replace the state by what is stored; False when nothing is.

        Raises:
            StateError: it cannot be read, or another strategy learned it.
            InputError: there is no place to look.
        """
        if path is None:
            return self._kept().load()
        return Keeper(self.strategy, JsonFile(path), self._lock).load()

    async def asave(self, path: str | os.PathLike[str] | None = None) -> None:
        """`save` without blocking the event loop."""
        import asyncio

        await asyncio.to_thread(self.save, path)

    async def aload(self, path: str | os.PathLike[str] | None = None) -> bool:
        """`load` without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.load, path)

    def get_stats(self) -> dict[str, Any]:
        """The strategy's figures; the share of decisions that explored, None before the first."""
        status = dict(self.strategy.status())
        return {
            "strategy": self.strategy.name,
            "epsilon": status.pop("epsilon", None),
            "decision_count": status.pop("decision_count", self.decisions),
            "q_states": status.pop("q_states", None),
            "explored_share": self.explored / self.decisions if self.decisions else None,
            **status,
        }

    @property
    def warning(self) -> str | None:
        """What is wrong with the stored state, in one line; None when nothing."""
        return None if self._keeper is None else self._keeper.warning

    def close(self, *, save: bool = True) -> None:
        """Stop saving; by default, save what is left first. A second call does nothing.

        Raises:
            StateError: the last save failed.
        """
        if self._at_exit is not None:
            self._at_exit.detach()
        if self._keeper is not None:
            self._keeper.close(save=save)

    def _keep(self, store: StateStore | None, path: str | os.PathLike[str] | None) -> Keeper | None:
        if store is None and not path:
            return None
        keeper = Keeper(
            self.strategy, store or JsonFile(path or ""), self._lock, monotonic=self._monotonic
        )
        keeper.load()
        return keeper

    def _kept(self) -> Keeper:
        if self._keeper is None:
            raise InputError("there is no model_path; say where the state is kept")
        return self._keeper


def _close_quietly(keeper: Keeper) -> None:
    with suppress(RoutingError):
        keeper.close()
