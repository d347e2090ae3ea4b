"""What must hold whatever is measured and whatever happened before (design, invariants)."""

import itertools
import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.verdict import Approved, Rejected
from aurora.deliberation import Deliberated, Guardrails, deliberate
from aurora.observe.facts import EndpointFacts, ObjectKey, ProbeFacts
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner.cases import Precedent
from aurora.planner.decision import Direction
from aurora.planner.rules import candidates
from aurora.resources.vocabulary import Action, OutcomeVerdict, Phase
from aurora.state.advance import advance
from aurora.state.memory import ModelMemory
from tests.support.builders import (
    KEY,
    NAMESPACE,
    NOW,
    autoscaler,
    endpoints,
    model,
    pod,
    service,
    signals,
    target,
)
from tests.support.situations import CYCLE_S, fleet, planned, taught

VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0.0, 50.0),
    st.sampled_from([0.0, -1.0, 1e-300, 1e300]),
)


def sampled(at: float) -> st.SearchStrategy[Reading]:
    measured = st.builds(
        Sample,
        value=VALUES,
        at=st.just(at - 5.0),
        window_s=st.sampled_from([0.0, 60.0]),
        samples=st.one_of(st.none(), st.floats(0.0, 10_000.0)),
        partial=st.booleans(),
    )
    return st.one_of(measured, st.builds(Missing, st.sampled_from(Gap)))


def readings(at: float) -> st.SearchStrategy[dict[Signal, Reading]]:
    return st.dictionaries(st.sampled_from(Signal), sampled(at), max_size=len(Signal))


@st.composite
def healthy(draw: Any, at: float) -> dict[Signal, Reading]:
    """Whole readings, one of which may be anything."""
    load = draw(st.floats(0.0, 60.0))
    found = dict(signals(request_rate=load, ttft_p95=draw(st.floats(0.01, 9.0))))
    found[draw(st.sampled_from(Signal))] = draw(sampled(at))
    return found


@st.composite
def observations(draw: Any, at: float = NOW) -> ModelObservation:
    replicas = draw(st.integers(0, 12))
    ready = draw(st.integers(0, replicas))
    low = draw(st.integers(1, 6))
    high = draw(st.integers(low, 10))
    floor = draw(st.integers(0, 12))
    scaler = autoscaler(floor, draw(st.integers(max(1, floor), 14)), paused=draw(st.booleans()))
    if draw(st.booleans()):
        ready = replicas  # a settled model, from which something can be taken away
    pods = tuple(
        pod(
            n,
            ready=n < ready,
            ready_at=at - 900.0 if n < ready else None,
            crash_looping=n >= ready and draw(st.booleans()),
            created_at=at - draw(st.floats(0.0, 2000.0)),
        )
        for n in range(replicas)
    )
    return ModelObservation(
        model=model(
            scaling={"minReplicas": low, "maxReplicas": high},
            fallback={"serviceRef": {"name": "spare"}},
            objectives={"errorRatePercent": 1},
            autonomy={"cooldown": {"up": "0s", "down": "0s"}, "budgets": []},
        ),
        target=target(
            replicas,
            ready_replicas=ready,
            updated_replicas=draw(st.sampled_from([replicas, replicas, ready])),
        ),
        autoscalers=draw(st.sampled_from([(), (), (scaler,)])),
        pods=pods,
        service=service(),
        endpoints=draw(
            st.one_of(
                st.none(),
                st.just(endpoints(ready)),
                st.just(EndpointFacts(ObjectKey(NAMESPACE, "llama"), 0, 2, at - 100.0)),
            )
        ),
        fallback_service=service("spare"),
        fallback_endpoints=endpoints(draw(st.integers(0, 2)), name="spare"),
        probe=draw(st.one_of(st.none(), st.just(ProbeFacts(20)))),
        signals=draw(st.one_of(readings(at), healthy(at))),
    )


MEMORIES = st.sampled_from(
    [ModelMemory(), taught(2.0), taught(20.0), taught(60.0, ready=8), taught(1.0, ready=8)]
)


def decide(
    seen: ModelObservation, memory: ModelMemory, *, at: float = NOW, **over: Any
) -> tuple[Deliberated | None, Any]:
    state = advance(memory, seen, at)[1]
    inputs: dict[str, Any] = {
        "ledger": Ledger(),
        "fleet": fleet(),
        "guardrails": Guardrails(),
        "recall": lambda *_: (),
        "adopted_floor": 1,
    }
    return deliberate(seen, state, **(inputs | over)), state


SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(observations(), MEMORIES)
def test_replicas_stay_within_their_bounds(seen: ModelObservation, memory: ModelMemory) -> None:
    found, _ = decide(seen, memory)
    if found is None or found.decision.action is not Action.SCALE:
        return
    assume(not isinstance(found.verdict, Rejected))
    scaling = seen.model.spec.scaling
    assert scaling is not None
    before, after = int(found.decision.before["replicas"]), int(found.decision.after["replicas"])
    high = min([scaling.max_replicas, *(one.ceiling for one in seen.autoscalers)])
    assert after != before
    assert after >= scaling.min_replicas
    assert after <= high or high < after < before, "only a step towards the bounds is outside"


@SLOW
@given(observations(), MEMORIES)
def test_no_proposal_leaves_the_bounds_either(seen: ModelObservation, memory: ModelMemory) -> None:
    """The critic is the second to look, not the first."""
    scaling = seen.model.spec.scaling
    assert scaling is not None
    high = min([scaling.max_replicas, *(one.ceiling for one in seen.autoscalers)])
    for one in candidates(planned(seen, memory=memory, adopted_floor=1)):
        if one.action is not Action.SCALE or one.reason == "BelowMinimum":
            continue
        before, after = int(one.before["replicas"]), int(one.after["replicas"])
        assert after >= min(before, scaling.min_replicas)
        assert after <= max(before, high)
        if after < before:
            assert before - after <= max(1, before // 4), "a quarter at a time"


@SLOW
@given(observations(), MEMORIES)
def test_nothing_is_taken_away_on_missing_evidence(
    seen: ModelObservation, memory: ModelMemory
) -> None:
    found, state = decide(seen, memory)
    if found is None or isinstance(found.verdict, Rejected):
        return
    if (found.decision.action, found.decision.direction) != (Action.SCALE, Direction.DOWN):
        return
    rate = seen.signals.get(Signal.REQUEST_RATE)
    assert isinstance(rate, Sample)
    assert math.isfinite(rate.value)
    assert not rate.partial
    for signal in state.objectives:
        reading = state.reading(signal)
        if isinstance(reading, Sample):
            assert not reading.partial
        else:
            assert reading.gap is Gap.NO_DATA, "only too few requests are no lack of evidence"


@SLOW
@given(observations(), MEMORIES)
def test_a_step_is_limited(seen: ModelObservation, memory: ModelMemory) -> None:
    found, _ = decide(seen, memory)
    if found is None or found.decision.action is not Action.SCALE:
        return
    before, after = int(found.decision.before["replicas"]), int(found.decision.after["replicas"])
    running = max(before, int(found.decision.before.get("current", before)))
    if after < before:
        assert before - after <= max(1, before // 4)
        assert not found.decision.protective
    elif found.decision.reason not in {"BelowMinimum", "ResourceSaturated"}:
        assert after <= max(2 * running, running + 4)


@SLOW
@given(observations(), MEMORIES)
def test_with_no_reading_at_all_nothing_is_scaled(
    seen: ModelObservation, memory: ModelMemory
) -> None:
    dark = replace(seen, signals=dict.fromkeys(Signal, Missing(Gap.QUERY_FAILED)))
    found, _ = decide(dark, memory)
    if found is not None and found.decision.action is Action.SCALE:
        # Bounds need no metric; down to a maximum is held for want of evidence all the same.
        assert found.decision.reason in {"BelowMinimum", "AboveMaximum"}
        assert found.decision.direction is Direction.UP or isinstance(found.verdict, Rejected)
    if found is not None and found.decision.action is Action.ROUTE:
        assert found.decision.reason in {"NoReadyEndpoint", "CrashLooping"}


@SLOW
@given(observations(), MEMORIES, st.floats(0.0, 1.0), st.sampled_from(list(OutcomeVerdict)))
def test_confidence_is_a_probability(
    seen: ModelObservation, memory: ModelMemory, similarity: float, verdict: OutcomeVerdict
) -> None:
    state = advance(memory, seen, NOW)[1]
    for one in candidates(planned(seen, state=state)):
        assert 0.0 <= one.evidence_confidence <= 1.0
        assert one.evidence or one.action in {Action.SCALE, Action.CACHE}
    past = (Precedent("old", similarity, verdict.value, "SCALE", 1.0),) * 5
    found, _ = decide(seen, memory, recall=lambda *_: past)
    if found is not None:
        assert 0.0 <= found.decision.confidence <= 1.0


@SLOW
@given(observations(), MEMORIES)
def test_never_to_a_backend_that_is_not_ready(seen: ModelObservation, memory: ModelMemory) -> None:
    found, _ = decide(seen, memory)
    if found is None or found.decision.action is not Action.ROUTE:
        return
    if isinstance(found.verdict, Approved):
        spare = seen.fallback_endpoints
        assert spare is not None
        assert spare.ready > 0


class Operation(RuleBasedStateMachine):
    """One model over hours: load, faults and time as they come; effects and measurements as the
    executor would bring them about."""

    BUDGET, PER_S = 2, 3600.0

    def __init__(self) -> None:
        super().__init__()
        self.at = NOW
        self.replicas = self.ready = 2
        self.stuck = False
        self.load, self.errors, self.visible = 6.0, 0.0, True
        self.memory = taught(6.0)
        self.entries: dict[str, LedgerEntry] = {}
        self.done: list[LedgerEntry] = []
        self.model = model(
            scaling={"minReplicas": 1, "maxReplicas": 8},
            fallback={"serviceRef": {"name": "spare"}},
            autonomy={"budgets": [{"actions": self.BUDGET, "per": "1h"}]},
        )

    @rule(load=st.floats(0.0, 80.0))
    def load_changes(self, load: float) -> None:
        self.load = load

    @rule(errors=st.sampled_from([0.0, 0.0, 0.5]))
    def errors_change(self, errors: float) -> None:
        self.errors = errors

    @rule(visible=st.booleans())
    def metrics_come_and_go(self, visible: bool) -> None:
        self.visible = visible

    @rule(stuck=st.booleans())
    def pods_come_or_not(self, stuck: bool) -> None:
        self.stuck = stuck

    @rule(verdict=st.sampled_from(list(OutcomeVerdict)))
    def what_is_open_is_measured(self, verdict: OutcomeVerdict) -> None:
        for entry in list(self.entries.values()):
            if entry.phase is Phase.VERIFYING:
                undo = verdict is OutcomeVerdict.REGRESSED
                phase = Phase.ROLLED_BACK if undo else Phase.COMPLETED
                self.entries[entry.id] = replace(
                    entry, phase=phase, verdict=verdict, settled_at=self.at
                )

    @rule(cycles=st.integers(1, 30))
    def time_passes(self, cycles: int) -> None:
        for _ in range(cycles):
            self._cycle()

    def _cycle(self) -> None:
        self.at += CYCLE_S
        if not self.stuck:
            self.ready = self.replicas
        seen = self._seen()
        self.memory, state = advance(self.memory, seen, self.at)
        ledger = Ledger.of(self.entries.values())
        flying = sum(one.in_flight for one in self.entries.values())
        found = deliberate(
            seen,
            state,
            ledger=ledger,
            fleet=fleet(in_flight=flying),
            guardrails=Guardrails(),
            recall=lambda *_: (),
        )
        if found is None or not isinstance(found.verdict, Approved):
            return
        self._execute(found)

    def _execute(self, found: Deliberated) -> None:
        one = found.decision
        alert = one.action is Action.ALERT
        entry = LedgerEntry(
            id=one.id,
            model=KEY,
            target="uid-target",
            action=one.action,
            direction=one.direction,
            reason=one.reason,
            phase=Phase.COMPLETED if alert else Phase.VERIFYING,
            fingerprint=one.fingerprint,
            protective=one.protective,
            decided_at=self.at,
            executed_at=self.at,
            before=one.before,
            after=one.after,
        )
        assert one.id not in self.entries, "a name is used once"
        self._pre_empt(entry)
        self.entries[one.id] = entry
        self.done.append(entry)
        if one.action is Action.SCALE:
            self.replicas = int(one.after["replicas"])
            self.ready = min(self.ready, self.replicas)

    def _pre_empt(self, by: LedgerEntry) -> None:
        for entry in list(self.entries.values()):
            if entry.in_flight and by.action is not Action.ALERT:
                assert by.protective, "only a protection pre-empts what is being verified"
                self.entries[entry.id] = replace(
                    entry, phase=Phase.COMPLETED, verdict=OutcomeVerdict.CONFOUNDED
                )

    def _seen(self) -> ModelObservation:
        each = self.load / max(1, self.ready)
        ttft = 0.2 * math.exp(min(12.0, 0.4 * each))
        measured = signals(request_rate=self.load, ttft_p95=ttft, server_error_ratio=self.errors)
        fresh = {
            signal: replace(one, at=self.at - 5.0)
            for signal, one in measured.items()
            if isinstance(one, Sample)
        }
        dark: dict[Signal, Reading] = dict.fromkeys(measured, Missing(Gap.STALE))
        return ModelObservation(
            model=self.model,
            target=target(self.replicas, ready_replicas=self.ready),
            pods=tuple(pod(n, ready_at=NOW - 900) for n in range(self.ready)),
            service=service(),
            endpoints=endpoints(self.ready),
            fallback_service=service("spare"),
            fallback_endpoints=endpoints(1, name="spare"),
            model_names=frozenset({"llama"}),
            fallback_model_names=frozenset({"llama"}),
            probe=ProbeFacts(20),
            signals=fresh if self.visible else dark,
        )

    @invariant()
    def replicas_are_within_bounds(self) -> None:
        assert 1 <= self.replicas <= 8

    @invariant()
    def one_action_is_in_flight(self) -> None:
        assert sum(one.in_flight for one in self.entries.values()) <= 1

    @invariant()
    def the_budget_is_kept_by_all_but_protections(self) -> None:
        acted = [one for one in self.done if one.acted]
        for one in acted:
            if one.protective:
                continue
            assert one.executed_at is not None
            since = one.executed_at - self.PER_S
            before = [x for x in acted if since <= (x.executed_at or 0.0) < one.executed_at]
            assert len(before) < self.BUDGET

    @invariant()
    def protections_keep_two_cycles_apart(self) -> None:
        times = sorted(one.executed_at or 0.0 for one in self.done if one.protective)
        assert all(
            later - earlier > 2 * CYCLE_S - 1 for earlier, later in itertools.pairwise(times)
        )

    @invariant()
    def alerts_are_told_hourly_at_most(self) -> None:
        told: dict[str, float] = {}
        for one in self.done:
            if one.action is Action.ALERT:
                at = one.executed_at or 0.0
                assert at - told.get(one.fingerprint, -math.inf) >= 3600.0
                told[one.fingerprint] = at

    @invariant()
    def a_cooldown_is_kept_before_anything_is_taken_away(self) -> None:
        acted = [one for one in self.done if one.acted]
        for before, after in itertools.pairwise(acted):
            if after.direction is Direction.DOWN:
                assert (after.executed_at or 0.0) - (before.executed_at or 0.0) >= 900.0


@pytest.mark.parametrize("seed", range(3))
def test_hours_of_any_weather(seed: int) -> None:
    """The same rules on a path that is known to meet every action often."""
    weather, one = random.Random(seed), Operation()
    for hour in range(24):
        one.load_changes([2.0, 2.0, 12.0, 40.0][hour % 4])
        failing = hour in {9, 17}
        one.errors_change(0.5 if failing else 0.0)
        one.metrics_come_and_go(failing or weather.random() < 0.9)
        one.time_passes(weather.randint(80, 160))
        verdict = OutcomeVerdict.IMPROVED if failing else weather.choice(list(OutcomeVerdict))
        one.what_is_open_is_measured(verdict)
        for check in (
            one.replicas_are_within_bounds,
            one.one_action_is_in_flight,
            one.the_budget_is_kept_by_all_but_protections,
            one.protections_keep_two_cycles_apart,
            one.alerts_are_told_hourly_at_most,
            one.a_cooldown_is_kept_before_anything_is_taken_away,
        ):
            check()
    kinds = {entry.direction for entry in one.done}
    assert {Direction.UP, Direction.DOWN, Direction.FALLBACK, Direction.PRIMARY} <= kinds


Operation.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOperation = Operation.TestCase
