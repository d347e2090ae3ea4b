"""A router's engines under changing policies, without HTTP."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from aurora.router.experiment import Trial
from aurora.router.lineup import Lineup
from aurora.router.own_file import OwnFile, file_of, handed_over
from aurora.router.policy import Experiment, Policy
from aurora.router.settings import RouterSettings
from aurora.routing import (
    Constraints,
    EngineSettings,
    ProviderState,
    RoutingEngine,
    RoutingError,
)

__all__ = ["Router"]

log = structlog.get_logger(__name__)

MOST_EARLIER: Final = 4
"""Earlier lineups that are kept for late feedback."""


class Router:
    """Decides with the newest policy; feedback finds the engine that decided.

    A policy of another strategy or with other limits gets engines of its own: a decision is
    learned by the strategy that made it. Learned state goes on where the strategy stays the same.

    Args:
        settings: of the process.
        build: makes an engine; the tests' clock comes in here.

    Raises:
        RoutingError: the learned state or a setting cannot be used.
    """

    def __init__(
        self, settings: RouterSettings, *, build: Callable[..., RoutingEngine] = RoutingEngine
    ) -> None:
        self._settings = settings
        self._build = build
        self._policy = Policy()
        self._providers: tuple[ProviderState, ...] = ()
        self._constraints: Constraints | None = None
        self._earlier: list[Lineup] = []
        self._lineup = self._lineup_for(self._policy)

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def engine(self) -> RoutingEngine:
        """The learned one."""
        return self._lineup.learned

    def adopt(self, policy: Policy) -> bool:
        """Go on with another policy; False when it is the one in force.

        Raises:
            RoutingError: the engine refuses it; the policy before stays in force.
        """
        if policy == self._policy:
            return False
        if _engine_part(policy) != _engine_part(self._policy):
            self._replace(policy)
        elif policy.state is not None and policy.state != self._policy.state:
            self._teach(self.engine, policy.state)
        self._policy = policy
        self._providers = tuple(ProviderState.of(one) for one in policy.providers)
        self._constraints = Constraints.of(policy.constraints) if policy.constraints else None
        return True

    def decide(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Choose a provider for {context, providers, constraints, psi_metrics}.

        Raises:
            RoutingError: bad input, or nobody is left to choose.
        """
        # Values of the policy go in as they are: what is the same object is not read again.
        providers, limits = body.get("providers"), body.get("constraints")
        return self._lineup.decide(
            body.get("context") or {},
            self._providers if providers is None else providers,
            {**self._policy.constraints, **limits} if limits else self._constraints,
            body.get("psi_metrics"),
        )

    def feedback(self, body: Mapping[str, Any]) -> float:
        """Learn what became of a decision; the reward.

        Raises:
            RoutingError: bad input, or the decision is not known.
        """
        for lineup in self._earlier:
            if lineup.knows(body["decision_id"]):
                return lineup.feedback(body)
        return self._lineup.feedback(body)

    def get_status(self) -> dict[str, Any]:
        """The learned engine's figures, and both sides of an experiment."""
        return {**self.engine.get_status(), "experiment": self.report()}

    def report(self) -> dict[str, Any] | None:
        """Both sides of the experiment that runs; None when none does."""
        trial = self._lineup.trial
        return None if trial is None else trial.report()

    def close(self) -> None:
        """Save what was learned.

        Raises:
            RoutingError: it could not be written.
        """
        for lineup in self._earlier:
            _ended(lineup)
        self._lineup.close()

    def _replace(self, policy: Policy) -> None:
        engines = (one.learned for one in (self._lineup, *self._earlier))
        same = policy.strategy == self._policy.strategy
        known = self.engine.snapshot() if same and file_of(self.engine) is None else None
        with handed_over(engines, self._state_path(policy.strategy)):
            fresh = self._lineup_for(policy, known)
        self._earlier = [self._lineup, *self._earlier]
        self._lineup = fresh
        for lineup in self._earlier[MOST_EARLIER:]:
            _ended(lineup)
        del self._earlier[MOST_EARLIER:]

    def _lineup_for(self, policy: Policy, known: Mapping[str, Any] | None = None) -> Lineup:
        learned, wanted = self._learned_engine(policy, known), policy.experiment
        if wanted is None:
            return Lineup(learned)
        try:
            return Lineup(learned, self._rules_engine(policy, wanted), Trial(wanted))
        except RoutingError:
            if (file := file_of(learned)) is not None:
                file.hand_over()  # it stays that of the engine that goes on
            learned.close()
            raise

    def _rules_engine(self, policy: Policy, wanted: Experiment) -> RoutingEngine:
        """Under the same floor and audit; in memory, so that both begin alike after a restart."""
        return self._build(
            self._settings.psi_field_url or None,
            self._is_strict(policy),
            False,
            None,
            wanted.strategy,
            settings=EngineSettings(
                strategy_options=wanted.options, min_percent=policy.min_percent
            ),
        )

    def _learned_engine(self, policy: Policy, known: Mapping[str, Any] | None) -> RoutingEngine:
        settings, path = self._settings, self._state_path(policy.strategy)
        is_new = path is None or not path.exists()
        engine = self._build(
            settings.psi_field_url or None,
            self._is_strict(policy),
            settings.auto_save,
            path,
            policy.strategy,
            settings=EngineSettings(
                strategy_options=policy.strategy_options,
                min_percent=policy.min_percent,
                store=OwnFile(path) if path is not None and settings.auto_save else None,
            ),
        )
        if known is not None and known != engine.snapshot():
            self._teach(engine, known, whole=True)
            is_new = False
        if policy.state is not None:
            self._teach(engine, policy.state, whole=is_new)
        return engine

    def _is_strict(self, policy: Policy) -> bool:
        strict = policy.strict_audit
        return self._settings.strict_audit if strict is None else strict

    def _teach(
        self, engine: RoutingEngine, state: Mapping[str, Any], *, whole: bool = False
    ) -> None:
        """What was pushed is where learning begins; what was learned here stays as it is."""
        try:
            if whole:
                engine.restore(state)
            else:
                engine.fill(state)
        except RoutingError as error:
            # Without it the router routes just as well, and learns from nothing.
            log.warning("the pushed state was left out", why=str(error))

    def _state_path(self, strategy: str) -> Path | None:
        """Each strategy has a file of its own: none can read another's."""
        path = self._settings.model_path
        if not self._settings.keeps_state:
            return None
        if strategy == Policy().strategy:
            return path
        return path.with_name(f"{path.stem}.{strategy}{path.suffix}")


def _ended(lineup: Lineup) -> None:
    """Close an earlier lineup; what late feedback taught it is worth no more than a line."""
    try:
        lineup.close()
    except RoutingError as error:
        log.warning("what late feedback taught was not saved", why=str(error))


def _engine_part(policy: Policy) -> Policy:
    """The part of a policy that is built into engines."""
    return policy.model_copy(update={"constraints": {}, "providers": (), "state": None})
