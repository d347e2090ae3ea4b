"""The routing engine: decide, take feedback, tell.

    providers, constraints -> admission (audit) -> strategy -> floor, draw -> log, trail -> answer
    feedback               -> reward -> strategy, anomalies, cooldown

One decision is plain computing under one lock. Files, databases and the psi field are read and
written by background threads.
"""

import os
import threading
from collections.abc import Mapping
from typing import Any

from aurora.routing.admission import Admission, Fleet, Providers
from aurora.routing.auditor import Auditor
from aurora.routing.contract import ArmAware, FleetAware, OutcomeAware, RoutingStrategy
from aurora.routing.cooldown import Cooldown
from aurora.routing.decision import RoutingDecision
from aurora.routing.errors import NoEligibleProviderError
from aurora.routing.executor import Executor
from aurora.routing.fleets import Fleets
from aurora.routing.lifecycle import Lifecycle
from aurora.routing.offered import Offered
from aurora.routing.psi_field import PsiField, PsiMetrics
from aurora.routing.settings import EngineSettings
from aurora.routing.strategist import Choice, Strategist
from aurora.routing.types import Constraints, WorkloadContext

__all__ = ["RoutingEngine"]


class RoutingEngine(Lifecycle):
    """Chooses a provider for each request and learns from what became of it.

    Safe to share between threads.

    Args:
        psi_field_url: http(s) endpoint of the psi field; None or empty for none.
        strict_audit: a provider that violates a constraint is never chosen; otherwise the violation
            is recorded.
        auto_save: save the learned state in the background and at `close`.
        model_path: JSON file of the learned state; None or empty keeps it in memory.
        strategy: a name (`q-learning`, `ucb`, `thompson`, `linucb`, ...) or a strategy.
        settings: everything else.

    Raises:
        InputError: a setting is wrong.
        StateError: the learned state cannot be read.
    """

    def __init__(  # noqa: PLR0913  # the engine's fixed public shape
        self,
        psi_field_url: str | None = None,
        strict_audit: bool = False,
        auto_save: bool = True,
        model_path: str | os.PathLike[str] | None = None,
        strategy: str | RoutingStrategy = "q-learning",
        *,
        settings: EngineSettings | None = None,
    ) -> None:
        wanted = settings or EngineSettings()
        self.settings, self.model_path = wanted, model_path
        self._auto_save = auto_save
        self._lock = threading.Lock()
        self._monotonic = wanted.monotonic
        self.strategist = Strategist(
            strategy,
            strategy_options=wanted.strategy_options,
            min_percent=wanted.min_percent,
            seed=wanted.seed,
            model_path=model_path,
            store=wanted.store,
            save_every=wanted.save_every if auto_save else 0,
            lock=self._lock,
            registry=wanted.registry,
            monotonic=wanted.monotonic,
        )
        self.executor = Executor(
            weights=wanted.reward,
            log_size=wanted.log_size,
            ttl_seconds=wanted.feedback_ttl_seconds,
            clock=wanted.clock,
            monotonic=wanted.monotonic,
            on_expired=self._on_expired,
        )
        self.auditor = Auditor(
            strict=strict_audit, trail_size=wanted.trail_size, clock=wanted.clock
        )
        self.psi_field = PsiField(
            psi_field_url or None,
            source=wanted.psi_source,
            strength=wanted.psi_strength,
            interval_seconds=wanted.psi_interval_seconds,
            monotonic=wanted.monotonic,
        )
        self._cooldown = Cooldown(wanted.cooldown)
        self._offered = Offered(wanted.arms_limit, self._forget)
        self._fleet: Fleet | None = None
        self._fleets = Fleets()
        learner = self.strategist.strategy
        self._outcome_aware = learner if isinstance(learner, OutcomeAware) else None
        if isinstance(learner, ArmAware):
            self._offered.note(learner.known_arms())
        self.psi_field.start()

    def decide(
        self,
        context: WorkloadContext | Mapping[str, Any],
        providers: Providers,
        constraints: Constraints | Mapping[str, Any] | None = None,
        psi_metrics: PsiMetrics | Mapping[str, Any] | float | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Choose a provider for one request. No I/O.

        Pass `ProviderState` values in the same tuple while they do not change: then nothing is read
        or audited again. Mappings and lists work too; they are compared with those of the last
        decision.

        Args:
            context: the request.
            providers: the candidates as they are now.
            constraints: what the caller accepts.
            psi_metrics: a reading for this decision, instead of the psi field's newest.

        Returns:
            The provider id, and {decision_id, mode, q_value, propensity, scores, violations,
            refused, reason}: `violations` are the chosen provider's (none in strict mode),
            `refused` are those that strict mode took out, with theirs.

        Raises:
            NoEligibleProviderError: nobody is left to choose.
            InputError: an argument is wrong.
        """
        if type(context) is not WorkloadContext:
            context = WorkloadContext.of(context)
        with self._lock:
            now = self._monotonic()
            fleet = self._fleet
            if (
                fleet is None
                or providers is not fleet.source
                or constraints is not fleet.source_constraints
            ):
                fleet = self._fleet_of(providers, constraints)
            if psi_metrics is None:
                exploration = self.psi_field.exploration(now)
            else:
                exploration = self.psi_field.factor_of(psi_metrics)
            try:
                admission = fleet.admission(context, self._cooldown.cooling(now))
            except NoEligibleProviderError as error:
                self.auditor.refuse(context.state_key, error.refused)
                raise
            choice = self.strategist.choose(context, admission.arms, admission.passing, exploration)
            decision = self._record(context, fleet, admission, choice, now)
        return decision.provider_id, decision.metadata(admission, choice[4])

    def feedback(  # noqa: PLR0913  # the engine's fixed public shape
        self,
        decision_id: str,
        success: bool,
        actual_cost_usd: float,
        actual_latency_ms: float,
        actual_reputation: float | None = None,
        *,
        quality: float | None = None,
        next_context: WorkloadContext | Mapping[str, Any] | None = None,
    ) -> float:
        """Tell what became of a decision, and learn from it. No I/O.

        A second feedback for one decision changes nothing and returns the first one's reward. A
        reputation that is not given is taken from the provider as it was at the decision.

        Args:
            decision_id: from the decision's metadata.
            success: it was answered as it should be.
            actual_cost_usd: finite and not negative.
            actual_latency_ms: finite and not negative.
            actual_reputation: 0 to 100.
            quality: 0 to 1, a judgement of the answer; counts when the reward weights say so.
            next_context: the request that followed from this answer, for chains of requests.

        Returns:
            The reward; `explain` shows its terms.

        Raises:
            InputError: a figure is not finite or out of range; the decision stays pending.
            UnknownDecisionError: never made here, or too old.
        """
        following = None if next_context is None else WorkloadContext.of(next_context)
        with self._lock:
            decision = self.executor.find(decision_id)
            known = decision.reward is not None
            reward = self.executor.record_outcome(
                decision_id,
                success,
                actual_cost_usd,
                actual_latency_ms,
                actual_reputation,
                quality=quality,
            )
            if not known:
                self._learn(decision, reward, following)
        return reward

    def forget(self, provider_id: str) -> None:
        """Drop what was learned about a provider that is gone for good."""
        with self._lock:
            self._forget(provider_id)

    def _forget(self, provider_id: str) -> None:
        self.strategist.strategy.forget(provider_id)
        self.auditor.anomalies.forget(provider_id)
        self._cooldown.forget(provider_id)

    def get_status(self) -> dict[str, Any]:
        """Figures of every part, as plain JSON values. What has no data yet is None, never 0."""
        with self._lock:
            return {
                "strategist": {**self.strategist.get_stats(), **self.executor.reward_stats()},
                "executor": self.executor.get_stats(),
                "auditor": self.auditor.get_stats(),
                "cooling_providers": sorted(self._cooldown.cooling(self._monotonic())),
                "psi_field_connected": self.psi_field.connected,
                "psi_field_error": self.psi_field.last_error,
                "model_path": None if not self.model_path else str(self.model_path),
                "state_warning": self.strategist.warning,
            }

    def _fleet_of(
        self, providers: Providers, constraints: Constraints | Mapping[str, Any] | None
    ) -> Fleet:
        found = self._fleets.of(providers, constraints, strict=self.auditor.strict)
        if found is not self._fleet:
            self._fleet = found
            self._offered.note(found.by_id)
            if isinstance(self.strategist.strategy, FleetAware):
                self.strategist.strategy.fleet(found.providers)
        return found

    def _record(
        self,
        context: WorkloadContext,
        fleet: Fleet,
        admission: Admission,
        choice: Choice,
        now: float,
    ) -> RoutingDecision:
        index, propensity, mode, probabilities, scores = choice
        arm = admission.arms[index]
        # By position: keyword arguments cost half a microsecond here.
        decision = RoutingDecision(
            "",
            0.0,
            now,
            (context.workload_type, context.gpu_type, context.region),
            arm,
            context,
            fleet.by_id[arm],
            admission,
            probabilities,
            scores,
            scores[index],
            propensity,
            self.strategist.floor,
            mode,
        )
        self.executor.log(decision)
        self.auditor.record(decision)
        return decision

    def _learn(
        self, decision: RoutingDecision, reward: float, following: WorkloadContext | None
    ) -> None:
        now = self._monotonic()
        arm, outcome = decision.provider_id, decision.outcome
        if self._outcome_aware is not None:
            self._outcome_aware.outcome(decision.context, arm, outcome, now)
        # What is believed now, not when it was decided: late feedback would look like a spike.
        belief = self.strategist.belief(decision.context, arm)
        self.auditor.watch(decision, reward, decision.score if belief is None else belief)
        self._cooldown.note(arm, now, success=outcome is not None and outcome.success)
        self.strategist.learn(decision.context, arm, reward, now, following)
        self._offered.late(arm)

    def _on_expired(self, decision: RoutingDecision) -> None:
        if self._outcome_aware is not None:
            arm, now = decision.provider_id, self._monotonic()
            self._outcome_aware.outcome(decision.context, arm, None, now)
            self._offered.late(arm)
