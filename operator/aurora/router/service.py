"""A router's engine under changing policies, without HTTP."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from aurora.router.policy import Policy
from aurora.router.settings import RouterSettings
from aurora.routing import (
    EngineSettings,
    ProviderState,
    RoutingEngine,
    RoutingError,
    UnknownDecisionError,
)

__all__ = ["Router"]

log = structlog.get_logger(__name__)

MOST_EARLIER: Final = 4
"""Earlier engines that are kept for late feedback."""


class Router:
    """Decides with the newest policy; feedback finds the engine that decided.

    A policy of another strategy or with other limits gets an engine of its own: a decision is
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
        self._earlier: list[RoutingEngine] = []
        self.engine = self._engine_for(self._policy)

    @property
    def policy(self) -> Policy:
        return self._policy

    def adopt(self, policy: Policy) -> bool:
        """Go on with another policy; False when it is the one in force.

        Raises:
            RoutingError: the engine refuses it; the policy before stays in force.
        """
        if policy == self._policy:
            return False
        if _engine_part(policy) != _engine_part(self._policy):
            self._replace(policy)
        self._policy = policy
        self._providers = tuple(ProviderState.of(one) for one in policy.providers)
        return True

    def decide(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Choose a provider for {context, providers, constraints, psi_metrics}.

        Raises:
            RoutingError: bad input, or nobody is left to choose.
        """
        constraints = {**self._policy.constraints, **(body.get("constraints") or {})}
        providers = body.get("providers")
        return self.engine.decide(
            body.get("context") or {},
            self._providers if providers is None else providers,
            constraints or None,
            body.get("psi_metrics"),
        )

    def feedback(self, body: Mapping[str, Any]) -> float:
        """Learn what became of a decision; the reward.

        Raises:
            RoutingError: bad input, or the decision is not known.
        """
        for earlier in self._earlier:
            with suppress(UnknownDecisionError):
                return earlier.feedback(**body)
        return self.engine.feedback(**body)

    def close(self) -> None:
        """Save what was learned.

        Raises:
            RoutingError: it could not be written.
        """
        for engine in self._earlier:
            engine.close()
        self.engine.close()

    def _replace(self, policy: Policy) -> None:
        same = policy.strategy == self._policy.strategy
        if same and self._settings.auto_save and self._settings.keeps_state:
            # The new engine starts from what this one has learned so far.
            self.engine.save()
        fresh = self._engine_for(policy)
        self._earlier = [self.engine, *self._earlier]
        self.engine = fresh
        for engine in self._earlier[MOST_EARLIER:]:
            engine.close()
        del self._earlier[MOST_EARLIER:]

    def _engine_for(self, policy: Policy) -> RoutingEngine:
        settings, strict = self._settings, policy.strict_audit
        path = self._state_path(policy.strategy)
        start = policy.state if path is None or not path.exists() else None
        engine = self._build(
            settings.psi_field_url or None,
            settings.strict_audit if strict is None else strict,
            settings.auto_save,
            path,
            policy.strategy,
            settings=EngineSettings(
                strategy_options=policy.strategy_options, min_percent=policy.min_percent
            ),
        )
        if start is not None:
            try:
                engine.restore(start)
            except RoutingError as error:
                # Without it the router routes just as well, and learns from nothing.
                log.warning("the pushed state was left out", why=str(error))
        return engine

    def _state_path(self, strategy: str) -> Path | None:
        """Each strategy has a file of its own: none can read another's."""
        path = self._settings.model_path
        if not self._settings.keeps_state:
            return None
        if strategy == Policy().strategy:
            return path
        return path.with_name(f"{path.stem}.{strategy}{path.suffix}")


def _engine_part(policy: Policy) -> Policy:
    """The part of a policy that is built into an engine."""
    return policy.model_copy(update={"constraints": {}, "providers": (), "state": None})
