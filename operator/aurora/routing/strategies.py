"""The one registry of strategies: `strategy="..."` to a class, imported when first asked for.

Lazily, because a router that runs Q-learning should not pay for what it does not use. A program can
register its own with `Registry.register`; there is no module state.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from aurora.routing.contract import RoutingStrategy
from aurora.routing.errors import InputError, UnknownStrategyError

__all__ = ["BUILT_IN", "Registry"]

Factory = Callable[..., RoutingStrategy]

BUILT_IN: Final[Mapping[str, str]] = {
    "q-learning": "qlearning:QLearning",
    "ucb": "bandits.ucb:Ucb",
    "thompson": "bandits.thompson:Thompson",
    "linucb": "bandits.linucb:LinUcb",
    "lints": "bandits.lints:LinTs",
    "dqn": "bandits.dqn:Dqn",
    "weighted": "balancing.weighted:Weighted",
    "round-robin": "balancing.round_robin:RoundRobin",
    "least-latency": "balancing.least_latency:LeastLatency",
    "least-outstanding": "balancing.least_outstanding:LeastOutstanding",
    "sticky": "balancing.sticky:Sticky",
    "fallback": "balancing.fallback:Fallback",
    "rules": "rules.strategy:Rules",
}
"""Name to `module:Class` below this package."""


class Registry:
    """Strategies by name."""

    def __init__(self, extra: Mapping[str, Factory] | None = None) -> None:
        self._extra: dict[str, Factory] = dict(extra or {})

    def register(self, name: str, factory: Factory) -> None:
        """Add or replace one; `factory(**options)` builds it."""
        self._extra[name] = factory

    def names(self) -> list[str]:
        return sorted({*BUILT_IN, *self._extra})

    def create(self, name: str, options: Mapping[str, Any] | None = None) -> RoutingStrategy:
        """Build one.

        Raises:
            UnknownStrategyError: no strategy has this name.
            InputError: it has no such option, or an option has a bad value.
        """
        factory = self._extra.get(name) or self._built_in(name)
        try:
            return factory(**(options or {}))
        except TypeError as error:
            raise InputError(f"strategy {name}: {error}; see its class for the options") from error

    def _built_in(self, name: str) -> Factory:
        target = BUILT_IN.get(name)
        if target is None:
            raise UnknownStrategyError(
                f"no strategy is named {name!r}; choose one of {', '.join(self.names())}"
            )
        module, _, attribute = target.partition(":")
        factory: Factory = getattr(import_module(f"{__package__}.{module}"), attribute)
        return factory
