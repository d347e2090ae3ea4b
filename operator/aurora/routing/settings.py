"""The engine's settings beyond the five that its constructor names."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora.routing.auditor import DEFAULT_TRAIL_SIZE
from aurora.routing.cooldown import CooldownSettings
from aurora.routing.executor import DEFAULT_LOG_SIZE, DEFAULT_TTL_SECONDS
from aurora.routing.offered import DEFAULT_ARMS_LIMIT
from aurora.routing.psi_field import DEFAULT_INTERVAL_SECONDS, DEFAULT_STRENGTH, Source
from aurora.routing.reward import RewardWeights
from aurora.routing.state_store import StateStore
from aurora.routing.strategies import Registry

__all__ = ["EngineSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of a `RoutingEngine`.

    Attributes:
        strategy_options: of the named strategy, for example {"alpha": 0.2}.
        min_percent: exploration floor, percent of all requests.
        reward: how the reward is made up.
        log_size: decisions kept, and the most that can wait for feedback.
        feedback_ttl_seconds: how long feedback may take.
        trail_size: audited decisions kept.
        arms_limit: provider ids of which something is kept; those offered longest ago are
            forgotten, but never one of the present fleet.
        save_every: decisions (or outcomes) between two saves.
        store: where state is kept instead of `model_path`, for example a `SqlState`.
        cooldown: when a failing provider is left alone.
        psi_source: asked for the psi field instead of an endpoint, for example a PromQL query.
        psi_strength: influence of the psi field, 0 to 1.
        psi_interval_seconds: between two polls.
        seed: makes every draw repeatable; None draws from the system's randomness.
        clock: Unix seconds.
        monotonic: seconds that never go backwards.
        registry: where `strategy` is looked up.
    """

    strategy_options: Mapping[str, Any] | None = None
    min_percent: float = 1.0
    reward: RewardWeights = field(default_factory=RewardWeights)
    log_size: int = DEFAULT_LOG_SIZE
    feedback_ttl_seconds: float = DEFAULT_TTL_SECONDS
    trail_size: int = DEFAULT_TRAIL_SIZE
    arms_limit: int = DEFAULT_ARMS_LIMIT
    save_every: int = 10
    store: StateStore | None = None
    cooldown: CooldownSettings = field(default_factory=CooldownSettings)
    psi_source: Source | None = None
    psi_strength: float = DEFAULT_STRENGTH
    psi_interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    seed: int | None = None
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    registry: Registry = field(default_factory=Registry)
