"""What the engine promises a strategy, and the registry that finds one by its name."""

from typing import Any

import numpy as np
import pytest

from aurora.routing import (
    EngineSettings,
    FeatureMap,
    InputError,
    ProviderState,
    QLearning,
    Registry,
    RoutingEngine,
    UnknownStrategyError,
    WorkloadContext,
)
from aurora.routing.contract import MergeableStrategy, RoutingStrategy


class Recorder:
    """A strategy that always prefers the first arm and notes what it is told."""

    name = "recorder"

    def __init__(self, *, extra: float = 0.0) -> None:
        self.extra = extra
        self.arms: list[tuple[str, ...]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.explorations: list[float] = []

    def distribution(self, context, arms, rng, *, exploration=1.0):
        self.arms.append(arms)
        self.explorations.append(exploration)
        assert isinstance(rng, np.random.Generator)
        return [1.0] + [0.0] * (len(arms) - 1), [float(-i) for i in range(len(arms))]

    def update(self, context, arm, reward, at):
        self.calls.append(("update", arm, reward))

    def forget(self, arm):
        self.calls.append(("forget", arm))

    def snapshot(self):
        return {}

    def restore(self, snapshot):
        pass

    def status(self):
        return {}

    def fleet(self, providers):
        self.calls.append(("fleet", tuple(p.provider_id for p in providers)))

    def chosen(self, context, arm, at):
        self.calls.append(("chosen", arm))

    def outcome(self, context, arm, outcome, at):
        self.calls.append(("outcome", arm, None if outcome is None else outcome.latency_ms))


CONTEXT = WorkloadContext(workload_type="inference")
PROVIDERS = (ProviderState(provider_id="a"), ProviderState(provider_id="b"))


def engine_with(strategy: Recorder, **settings: Any) -> RoutingEngine:
    return RoutingEngine(strategy=strategy, settings=EngineSettings(seed=1, **settings))


def test_a_strategy_hears_fleet_choice_outcome_and_reward_in_this_order() -> None:
    recorder = Recorder()
    engine = engine_with(recorder, min_percent=0.0)
    _, told = engine.decide(CONTEXT, PROVIDERS)
    reward = engine.feedback(told["decision_id"], True, 1.0, 250.0)
    engine.forget("a")
    assert recorder.calls == [
        ("fleet", ("a", "b")),
        ("chosen", "a"),
        ("outcome", "a", 250.0),
        ("update", "a", reward),
        ("forget", "a"),
    ]


def test_a_strategy_hears_of_feedback_that_never_came() -> None:
    now = [0.0]
    recorder = Recorder()
    engine = engine_with(recorder, monotonic=lambda: now[0], feedback_ttl_seconds=10.0)
    engine.decide(CONTEXT, PROVIDERS)
    now[0] = 11.0
    assert engine.get_status()["executor"]["expired_feedback"] == 1
    assert ("outcome", "a", None) in recorder.calls


@pytest.mark.parametrize("kind", ["tuple of values", "new list of values", "new mappings"])
def test_the_arms_are_the_same_object_while_the_set_is_the_same(kind: str) -> None:
    recorder = Recorder()
    engine = engine_with(recorder)
    for _ in range(3):
        given: Any = {
            "tuple of values": PROVIDERS,
            "new list of values": list(PROVIDERS),
            "new mappings": [{"provider_id": "a", "latency_ms": 1}, {"provider_id": "b"}],
        }[kind]
        engine.decide(CONTEXT, given)
    first, *rest = recorder.arms
    assert all(arms is first for arms in rest)


def test_new_figures_of_the_same_providers_keep_the_arms_object() -> None:
    recorder = Recorder()
    engine = engine_with(recorder)
    for latency in (1.0, 2.0, 3.0):
        engine.decide(CONTEXT, [{"provider_id": "a", "latency_ms": latency}])
    assert recorder.arms[0] is recorder.arms[1] is recorder.arms[2]
    assert recorder.calls.count(("fleet", ("a",))) == 3


def test_a_greedy_strategy_is_mixed_with_the_floor_too() -> None:
    engine = engine_with(Recorder(), min_percent=10.0)
    _, told = engine.decide(CONTEXT, PROVIDERS)
    final = engine.decisions()[-1].propensities
    assert final == pytest.approx({"a": 0.95, "b": 0.05})
    assert told["propensity"] in (pytest.approx(0.95), pytest.approx(0.05))


def test_the_registry_creates_q_learning_with_its_options() -> None:
    strategy = Registry().create("q-learning", {"alpha": 0.5})
    assert isinstance(strategy, QLearning)
    assert strategy.parameters.alpha == 0.5
    assert isinstance(strategy, MergeableStrategy)


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(UnknownStrategyError, match="q-learning"):
        RoutingEngine(strategy="magic")


@pytest.mark.parametrize("options", [{"alpah": 0.5}, {"alpha": 0.0}, {"gamma": 1.0}])
def test_a_wrong_option_is_named(options: dict) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        RoutingEngine(settings=EngineSettings(strategy_options=options))


def test_a_program_registers_a_strategy_of_its_own() -> None:
    registry = Registry()
    registry.register("recorder", Recorder)
    assert isinstance(registry.create("recorder", {"extra": 2.0}), RoutingStrategy)
    assert "recorder" in registry.names()
    assert "recorder" not in Registry().names()


def test_features_are_the_same_in_every_process_and_bounded() -> None:
    context = WorkloadContext(
        workload_type="inference", gpu_type="A100", region="eu", gpu_hours=3.0, complexity=0.25
    )
    vector = FeatureMap().vector(context)
    assert vector.shape == (16,)
    assert vector[:4].tolist() == pytest.approx([1.0, 0.25, 0.30038, 0.5], abs=1e-5)
    # CRC-32 of "region=eu" and its siblings; another hash would make saved policies worthless.
    assert (
        np.flatnonzero(vector[4:]).tolist()
        == np.flatnonzero(FeatureMap().vector(context)[4:]).tolist()
    )
    assert np.abs(vector[4:]).sum() <= 3.0


def test_hostile_tenants_do_not_grow_the_feature_map() -> None:
    features = FeatureMap()
    for number in range(10_000):
        features.vector(WorkloadContext(tenant=f"tenant-{number}"))
    assert len(features._slots) <= 4096


def test_explicit_features_must_fit() -> None:
    assert FeatureMap(5).vector(WorkloadContext(features=(1, 2, 3, 4, 5))).tolist() == [
        1.0, 2.0, 3.0, 4.0, 5.0,
    ]  # fmt: skip
    with pytest.raises(InputError, match="has 2 features, the strategy expects 5"):
        FeatureMap(5).vector(WorkloadContext(features=(1.0, 2.0)))


@pytest.mark.parametrize("name", Registry().names())
def test_every_built_in_strategy_keeps_the_contract(name: str) -> None:
    """Driven by the engine: it learns, its probabilities are sound, and its state comes back."""
    options = {"fallback": {"tiers": [["a"], ["b"]]}, "rules": {"rules": []}}.get(name)
    settings = EngineSettings(seed=1, strategy_options=options)
    engine = RoutingEngine(strategy=name, settings=settings)
    assert engine.strategist.strategy.name == name
    assert isinstance(engine.strategist.strategy, RoutingStrategy)
    for _ in range(200):
        chosen, told = engine.decide(CONTEXT, PROVIDERS)
        assert 0.005 - 1e-9 <= told["propensity"] <= 1.0
        engine.feedback(told["decision_id"], chosen == "b", 0.1, 100.0)
    engine.forget("a")
    status = engine.get_status()
    assert status["strategist"]["strategy"] == name
    assert status["executor"]["total_outcomes"] == 200
    again = RoutingEngine(strategy=name, settings=settings)
    again.strategist.strategy.restore(engine.strategist.strategy.snapshot())
    assert again.strategist.strategy.snapshot() == engine.strategist.strategy.snapshot()
