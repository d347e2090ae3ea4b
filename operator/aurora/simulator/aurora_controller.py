"""AURORA's own decision code as a controller of the simulation.

State, planner, critic and verification are the operator's; only what surrounds them is simulated:
the metrics come from the scraper, and a decision is executed by asking the pool for replicas.
"""

from collections.abc import Mapping
from dataclasses import replace

from aurora.critic.ledger import Ledger, LedgerEntry
from aurora.critic.request import FleetFacts
from aurora.critic.verdict import Approved
from aurora.deliberation import Deliberated, Guardrails, deliberate
from aurora.memory.contract import contract_of_decision
from aurora.memory.outcome import Outcome, Surroundings, settle
from aurora.observe.facts import ControlFacts, ObjectKey, PodFacts, WorkloadFacts, WorkloadKey
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Decision
from aurora.resources import ModelDeployment
from aurora.resources.vocabulary import Action, Phase
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.view import Desired, MetricsView, PoolFacts
from aurora.simulator.view import Missing as NotSeen
from aurora.simulator.view import Reading as Seen
from aurora.state.advance import Learning, advance
from aurora.state.memory import ModelMemory
from aurora.state.system_state import SystemState

__all__ = ["AuroraController"]

EPOCH = 1_800_000_000.0
"""Simulated time 0 as seconds since the epoch: a Friday at 08:00 UTC."""
WINDOW_S = 60.0
_KEY = ObjectKey("simulation", "model")
_WORKLOAD = WorkloadKey("Deployment", *_KEY)


class AuroraController:
    """Decides as the operator does for one ModelDeployment in mode Auto with default policy."""

    name = "aurora"
    window_s = WINDOW_S

    def __init__(self, settings: SimulationSettings) -> None:
        self._model = _model(settings)
        self._guardrails = Guardrails(cycle_s=settings.control_interval_s)
        self._memory = ModelMemory()
        self._entries: dict[str, LedgerEntry] = {}
        self._open: tuple[Decision, Approved, ModelMemory] | None = None
        self._pods: list[PodFacts] = []
        self.outcomes: list[tuple[Decision, Outcome]] = []
        self.decided: list[Deliberated] = []

    def step(self, view: MetricsView, pool: PoolFacts) -> Desired:
        at = EPOCH + view.now
        observation = self._observe(view, pool, at)
        learning = Learning(baseline=self._open is None)
        self._memory, state = advance(self._memory, observation, at, learning=learning)
        undo = self._verify(state)
        if undo is not None:
            return Desired(undo)
        found = deliberate(
            observation,
            state,
            ledger=Ledger.of(self._entries.values()),
            fleet=FleetFacts(1, 0, ControlFacts(readable=True, stopped=False), None, 15.0),
            guardrails=self._guardrails,
            recall=lambda *_: (),
        )
        return Desired(self._execute(found, pool, at))

    def _execute(self, found: Deliberated | None, pool: PoolFacts, at: float) -> int:
        if found is None:
            return pool.desired
        self.decided.append(found)
        decision, verdict = found.decision, found.verdict
        if not isinstance(verdict, Approved) or decision.action is not Action.SCALE:
            return pool.desired
        if self._open is not None:
            self._close(Phase.COMPLETED, at)
        self._entries[decision.id] = _entry(decision, at)
        self._open = (decision, verdict, self._memory)
        return int(decision.after["replicas"])

    def _verify(self, state: SystemState) -> int | None:
        """Settle the open decision when it is due; replicas to go back to when it has to go."""
        if self._open is None:
            return None
        decision, verdict, before = self._open
        outcome = settle(
            contract_of_decision(decision, verdict.tier, executed_at=decision.decided_at),
            state=state,
            before=before,
            around=Surroundings(),
            verification=self._model.spec.autonomy.verification,
        )
        if outcome is None:
            return None
        self.outcomes.append((decision, outcome))
        self._close(Phase.ROLLED_BACK if outcome.undo else Phase.COMPLETED, state.at, outcome)
        return int(decision.before["replicas"]) if outcome.undo else None

    def _close(self, phase: Phase, at: float, outcome: Outcome | None = None) -> None:
        assert self._open is not None
        entry = self._entries[self._open[0].id]
        verdict = outcome.verdict if outcome is not None else None
        self._entries[entry.id] = replace(entry, phase=phase, settled_at=at, verdict=verdict)
        self._open = None

    def _observe(self, view: MetricsView, pool: PoolFacts, at: float) -> ModelObservation:
        self._pods = _pods(self._pods, pool, at)
        return ModelObservation(
            model=self._model,
            target=_target(pool),
            pods=tuple(self._pods),
            signals=_signals(view, pool, at),
        )


def _model(settings: SimulationSettings) -> ModelDeployment:
    objectives = settings.objectives
    return ModelDeployment.parse(
        {
            "metadata": {"name": _KEY.name, "namespace": _KEY.namespace, "uid": "simulated"},
            "spec": {
                "targetRef": {"name": _KEY.name},
                "serviceRef": {"name": _KEY.name},
                "objectives": {
                    "ttftP95": f"{round(objectives.ttft_s * 1000)}ms",
                    "tpotP95": f"{round(objectives.tpot_s * 1000)}ms",
                },
                "metrics": {"minSamples": 20},
                "scaling": {"minReplicas": settings.minimum, "maxReplicas": settings.maximum},
                "autonomy": {"mode": "Auto"},
            },
        }
    )


def _entry(decision: Decision, at: float) -> LedgerEntry:
    return LedgerEntry(
        id=decision.id,
        model=decision.model,
        target=decision.target.uid,
        action=decision.action,
        direction=decision.direction,
        reason=decision.reason,
        phase=Phase.VERIFYING,
        fingerprint=decision.fingerprint,
        protective=decision.protective,
        decided_at=at,
        executed_at=at,
        before=decision.before,
        after=decision.after,
    )


def _target(pool: PoolFacts) -> WorkloadFacts:
    return WorkloadFacts(
        key=_WORKLOAD,
        api_version="apps/v1",
        uid="simulated-target",
        resource_version="1",
        generation=1,
        observed_generation=1,
        replicas=pool.desired,
        ready_replicas=pool.ready,
        available_replicas=pool.ready,
        updated_replicas=pool.desired,
        match_labels={"app": "model"},
        template_hash="simulated",
    )


def _pods(known: list[PodFacts], pool: PoolFacts, at: float) -> list[PodFacts]:
    """Follow the number of ready replicas; a start is known once its pod is ready."""
    if len(known) >= pool.ready:
        return known[len(known) - pool.ready :]
    fresh = pool.ready - len(known)
    starts = pool.cold_starts_s[-fresh:]
    made = [
        _pod(len(pool.cold_starts_s) * 1000 + place, at, starts[place] if starts else None)
        for place in range(fresh)
    ]
    return [*known, *made]


def _pod(number: int, at: float, start_s: float | None) -> PodFacts:
    return PodFacts(
        key=ObjectKey(_KEY.namespace, f"model-{number}"),
        uid=f"pod-{number}",
        workload=_KEY.name,
        created_at=at - (start_s or 0.0),
        scheduled_at=None,
        ready=True,
        # A pod that was there before the run says nothing about a start.
        ready_at=at if start_s is not None else None,
        restarts=0,
        crash_looping=False,
        unschedulable="",
        deleting=False,
        template_hash="simulated",
    )


def _signals(view: MetricsView, pool: PoolFacts, at: float) -> Mapping[Signal, Reading]:
    seen: dict[Signal, tuple[Seen, float | None]] = {
        Signal.REQUEST_RATE: (view.completion_rate, None),
        Signal.SERVER_ERROR_RATIO: (view.error_ratio, view.ttft_samples),
        Signal.LATENCY_P95: (view.e2e_p95, view.ttft_samples),
        Signal.TTFT_P95: (view.ttft_p95, view.ttft_samples),
        Signal.TPOT_P95: (view.tpot_p95, view.tpot_samples),
        Signal.RUNNING: (view.running, None),
        Signal.WAITING: (view.waiting, None),
        Signal.KV_CACHE_RATIO: (view.kv_usage, None),
        Signal.GPU_RATIO: (view.utilisation, None),
        Signal.PROMPT_TOKEN_RATE: (view.prompt_token_rate, None),
        Signal.GENERATION_TOKEN_RATE: (view.generation_token_rate, None),
    }
    age = 0.0 if isinstance(view.age_s, NotSeen) else view.age_s
    partial = view.pods_reporting < pool.ready
    return {
        signal: Missing(Gap.NO_DATA, value.reason)
        if isinstance(value, NotSeen)
        else Sample(value, at - age, view.window_s, samples, partial)
        for signal, (value, samples) in seen.items()
    }
