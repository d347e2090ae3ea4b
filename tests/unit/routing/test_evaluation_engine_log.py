"""The engine's own log tells what another policy would have earned."""

from typing import Any

import numpy as np
import pytest

from aurora.routing.engine import RoutingEngine
from aurora.routing.errors import InputError
from aurora.routing.evaluation import (
    Evaluation,
    EvaluationSettings,
    NotIdentifiable,
    Obstacle,
    candidate,
    smallest_propensity,
)
from aurora.routing.reward import RewardWeights
from aurora.routing.settings import EngineSettings
from aurora.routing.strategies import Registry
from aurora.routing.types import ProviderState, WorkloadContext

PROVIDERS = tuple(ProviderState(provider_id=arm) for arm in ("a", "b", "c"))
QUALITY = {"a": 0.3, "b": 0.5, "c": 0.8}


def engine(min_percent: float = 30.0, clock: Any = None, **options: Any) -> RoutingEngine:
    weights = RewardWeights(success=0.0, failure=0.0, quality=1.0)
    settings = EngineSettings(
        seed=3,
        min_percent=min_percent,
        reward=weights,
        strategy_options=options,
        monotonic=clock or (lambda: 0.0),
    )
    return RoutingEngine(auto_save=False, strategy="q-learning", settings=settings)


def run(router: RoutingEngine, count: int, seed: int = 5) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        arm, told = router.decide(WorkloadContext(workload_type="chat"), PROVIDERS)
        quality = float(rng.random() < QUALITY[arm])
        router.feedback(told["decision_id"], True, 0.0, 0.0, quality=quality)


@pytest.mark.parametrize("arm", ["a", "b", "c"])
def test_a_policy_that_was_never_run_is_valued_from_the_log(arm: str) -> None:
    router = engine()
    run(router, 4000)
    decisions = router.decisions()
    floor = smallest_propensity(decisions)
    assert floor == pytest.approx(0.1)
    only = Registry().create(
        "weighted", {"weights": {one: float(one == arm) for one in ("a", "b", "c")}}
    )
    wanted = EvaluationSettings(reward_range=(0.0, 1.0), smallest_propensity=floor)
    found = router.auditor.off_policy_value(decisions, candidate(only, floor=0.0), wanted)
    assert isinstance(found, Evaluation)
    for estimate in (found.ips, found.snips, found.dr):
        assert QUALITY[arm] in estimate.interval
        assert estimate.value == pytest.approx(QUALITY[arm], abs=0.12)


def test_a_decision_that_waits_for_feedback_is_no_missing_outcome_until_it_expires() -> None:
    now = [0.0]
    router = engine(clock=lambda: now[0])
    run(router, 2000)
    for _ in range(2000):
        router.decide(WorkloadContext(workload_type="chat"), PROVIDERS)

    def valued() -> Evaluation | NotIdentifiable:
        log = router.decisions()
        uniform = candidate(Registry().create("weighted"), floor=1.0)
        return router.auditor.off_policy_value(log, uniform)

    assert isinstance(valued(), Evaluation)
    now[0] += router.settings.feedback_ttl_seconds + 1.0
    router.get_status()
    late = valued()
    assert isinstance(late, NotIdentifiable)
    assert late.obstacle is Obstacle.REWARDS_MISSING


def test_without_exploration_another_policy_cannot_be_valued() -> None:
    router = engine(0.0, epsilon=0.0, epsilon_min=0.0)
    run(router, 500)
    only = Registry().create("weighted", {"weights": {"a": 0.0, "b": 0.0, "c": 1.0}})
    found = router.auditor.off_policy_value(router.decisions(), candidate(only, floor=0.0))
    assert isinstance(found, NotIdentifiable)
    assert found.obstacle in {Obstacle.MISSING_SUPPORT, Obstacle.SMALL_SAMPLE}
    assert smallest_propensity(router.decisions()) is None


def test_a_floor_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError):
        candidate(Registry().create("weighted"), floor=1.0 + 1e-9)
