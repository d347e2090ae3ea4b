"""The decision log, the pending feedback and the reward.

The log is one ring of fixed size, allocated once: a decision takes the place of the oldest. Its id
carries its number, so feedback finds its slot without a second index, and memory cannot grow with
feedback that never comes. A pending decision expires when its place is needed or its time is up.
"""

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aurora.routing.decision import RoutingDecision
from aurora.routing.errors import InputError, UnknownDecisionError
from aurora.routing.reward import Reward, RewardWeights
from aurora.routing.types import Outcome, ProviderState, StateKey, WorkloadContext

__all__ = ["DEFAULT_LOG_SIZE", "DEFAULT_TTL_SECONDS", "Executor"]

DEFAULT_LOG_SIZE: Final = 10_000
DEFAULT_TTL_SECONDS: Final = 3600.0
SWEEP_SHARE: Final = 0.01
CELLS_LIMIT: Final = 200_000
"""Arms over all logged decisions whose scores and probabilities are kept: at most 13 MB. With 20
arms that is the whole default log; with 10,000 it is the newest 20 decisions, and the older keep
the score and propensity of the arm that was chosen."""
MAX_DIGITS: Final = 18
"""More digits than a count can reach; a longer number in an id is hostile input."""
Expired = Callable[[RoutingDecision], None]


class Executor:
    """Records decisions and outcomes. Not locked: the engine calls it under its own lock.

    Args:
        weights: how the reward is made up.
        log_size: decisions kept, and therefore the most that can wait for feedback.
        ttl_seconds: how long feedback may take.
        clock: Unix seconds, for the log.
        monotonic: seconds that never go backwards, for expiry.
        on_expired: told of each decision whose feedback did not come in time.
    """

    def __init__(  # noqa: PLR0913  # settings, each with a default
        self,
        *,
        weights: RewardWeights | None = None,
        log_size: int = DEFAULT_LOG_SIZE,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_expired: Expired | None = None,
    ) -> None:
        if log_size < 1:
            raise InputError(f"log_size must be at least 1, not {log_size}")
        if not ttl_seconds > 0.0:
            raise InputError(f"ttl_seconds must be above 0, not {ttl_seconds!r}")
        self.weights = weights or RewardWeights()
        self._ring: list[RoutingDecision | None] = [None] * log_size
        self._size = log_size
        self._ttl = ttl_seconds
        self._clock, self._monotonic = clock, monotonic
        self._on_expired = on_expired
        # Random, so that ids of two processes, or of two lives of one, never meet.
        self._prefix = f"d{secrets.token_hex(6)}-"
        self._count = 0
        self._cursor = 0
        self._next_sweep = -math.inf
        self._cells = 0
        self._full_from = 0
        self._last_at = 0.0
        self._pending = self._expired = self._duplicates = 0
        self._outcomes = self._successes = 0
        self._cost_usd = self._latency_ms = 0.0
        self._rewards: deque[float] = deque(maxlen=100)
        self._total_rewards = 0.0

    def record_decision(
        self,
        state_key: StateKey | tuple[str, str, str] | str,
        provider_id: str,
        context: WorkloadContext | Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Log a decision made elsewhere and return its id, for `record_outcome`."""
        told = metadata or {}
        decision = RoutingDecision(
            "",
            0.0,
            self._monotonic(),
            StateKey.of(state_key),
            provider_id,
            WorkloadContext.of(context),
            propensity=told.get("propensity"),
            mode=told.get("mode", ""),
        )
        self.log(decision)
        return decision.decision_id

    def log(self, decision: RoutingDecision) -> None:
        """Give a decision its id and time and put it into the ring."""
        # A wall clock set back must not make a later decision look earlier.
        at = max(self._clock(), self._last_at)
        self._last_at = decision.at = at
        number = self._count
        decision.decision_id = f"{self._prefix}{number}"
        slot = number % self._size
        replaced = self._ring[slot]
        if replaced is not None:
            if replaced.outcome is None:
                self._expire(replaced)
            self._strip(replaced)
        self._ring[slot] = decision
        if decision.scores is not None:
            self._cells += len(decision.scores)
            if self._cells > CELLS_LIMIT:
                self._thin()
        self._count = number + 1
        self._pending += 1
        # Often enough for counts to be right; feedback looks at its own decision's time anyway.
        if decision.since >= self._next_sweep:
            self.sweep(decision.since)

    def record_outcome(  # noqa: PLR0913  # the engine's fixed public shape
        self,
        decision_id: str,
        success: bool,
        actual_cost_usd: float,
        actual_latency_ms: float,
        actual_reputation: float | None = None,
        *,
        quality: float | None = None,
    ) -> float:
        """Note what a decision turned out to be and return its reward.

        A second outcome for one decision changes nothing and returns the first one's reward, so
        that a caller may repeat a request whose answer was lost.

        Raises:
            InputError: a figure is not finite or out of range; the decision stays pending.
            UnknownDecisionError: the decision was never made here, or it expired.
        """
        decision = self.find(decision_id)
        if decision.reward is not None:
            self._duplicates += 1
            return decision.reward
        if decision.expired:
            raise UnknownDecisionError(
                f"decision {decision_id} waited longer than {self._ttl:g} s; send feedback sooner"
            )
        outcome = Outcome(
            success=success,
            cost_usd=actual_cost_usd,
            latency_ms=actual_latency_ms,
            reputation=actual_reputation,
            quality=quality,
        )
        return self._settle(decision, outcome)

    def _settle(self, decision: RoutingDecision, outcome: Outcome) -> float:
        reward = self.weights.reward(outcome, reputation=_reputation(decision.provider)).total
        decision.outcome, decision.reward = outcome, reward
        self._pending -= 1
        self._outcomes += 1
        self._successes += outcome.success
        self._cost_usd += outcome.cost_usd
        self._latency_ms += outcome.latency_ms
        self._rewards.append(reward)
        self._total_rewards += reward
        return reward

    def explain(self, decision_id: str) -> Reward | None:
        """The reward of a decision with every term; None while feedback is pending.

        Worked out again from the outcome, because the terms of 10,000 decisions take 5 MB.

        Raises:
            UnknownDecisionError: never made here, or too old.
        """
        decision = self.find(decision_id)
        if decision.outcome is None:
            return None
        return self.weights.reward(decision.outcome, reputation=_reputation(decision.provider))

    def find(self, decision_id: str) -> RoutingDecision:
        """The logged decision with this id.

        Raises:
            UnknownDecisionError: it was never made here, or it made room for newer ones.
        """
        self.sweep(self._monotonic())
        prefix, number = decision_id[: len(self._prefix)], decision_id[len(self._prefix) :]
        if prefix == self._prefix and number.isascii() and number.isdecimal():
            # The slot may hold a newer decision, and "007" is not the id of decision 7.
            found = self._ring[int(number[:MAX_DIGITS]) % self._size]
            if found is not None and found.decision_id == decision_id:
                return found
        raise UnknownDecisionError(
            f"decision {decision_id!r} is not in the log of {self._size}: it was made by another "
            "process, before a restart, or too long ago"
        )

    def made(self, decision_id: str) -> bool:
        """Whether the id is one of this executor's, however long ago it was given."""
        return decision_id.startswith(self._prefix)

    def recent(self, limit: int | None = None) -> Iterator[RoutingDecision]:
        """The decisions still in the log, oldest first; the last `limit` of them."""
        kept = self._size if limit is None else min(limit, self._size)
        for number in range(max(0, self._count - kept), self._count):
            decision = self._ring[number % self._size]
            if decision is not None:
                yield decision

    def sweep(self, now: float) -> None:
        """Expire what waited too long; `now` is of the clock that never goes backwards."""
        self._next_sweep = now + self._ttl * SWEEP_SHARE
        cursor = max(self._cursor, self._count - self._size)
        while cursor < self._count:
            decision = self._ring[cursor % self._size]
            if decision is not None:
                if decision.since + self._ttl > now:
                    break
                self._expire(decision)
            cursor += 1
        self._cursor = cursor

    def get_stats(self) -> dict[str, Any]:
        """Counts since the start, and means over all outcomes; None before the first outcome."""
        self.sweep(self._monotonic())
        n = self._outcomes
        return {
            "total_decisions": self._count,
            "total_outcomes": n,
            "success_rate": self._successes / n if n else None,
            "avg_cost_usd": self._cost_usd / n if n else None,
            "avg_latency_ms": self._latency_ms / n if n else None,
            "pending_feedback": self._pending,
            "expired_feedback": self._expired,
            "duplicate_feedback": self._duplicates,
        }

    def reward_stats(self) -> dict[str, float | None]:
        """`avg_reward_100` over the last 100 outcomes (None before the first), `total_rewards`."""
        recent = self._rewards
        return {
            "avg_reward_100": sum(recent) / len(recent) if recent else None,
            "total_rewards": self._total_rewards,
        }

    def _thin(self) -> None:
        """Take the vectors of the oldest decisions, until the log is within its memory."""
        cursor = max(self._full_from, self._count - self._size)
        while cursor < self._count and self._cells > CELLS_LIMIT:
            decision = self._ring[cursor % self._size]
            if decision is not None:
                self._strip(decision)
            cursor += 1
        self._full_from = cursor

    def _strip(self, decision: RoutingDecision) -> None:
        if decision.scores is not None:
            self._cells -= len(decision.scores)
            decision.scores = decision.probabilities = None

    def _expire(self, decision: RoutingDecision) -> None:
        if not decision.pending:
            return
        decision.expired = True
        self._pending -= 1
        self._expired += 1
        if self._on_expired is not None:
            self._on_expired(decision)


def _reputation(provider: ProviderState | None) -> float | None:
    """What was known of the provider stands in for a reputation that nobody judged."""
    if provider is None or provider.reputation is None or not math.isfinite(provider.reputation):
        return None
    return provider.reputation
