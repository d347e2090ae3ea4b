"""From a decision to what it writes: one small builder per action."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from aurora.critic.ledger import LedgerEntry
from aurora.errors import ConfigurationError
from aurora.executor.cache import announced, cache_step, opposite
from aurora.executor.changes import undo
from aurora.executor.entries import entry_of
from aurora.executor.plan import Plan, stored_changes
from aurora.executor.route import route_changes, shift_changes
from aurora.executor.scale import scale_plan
from aurora.observe.facts import ObjectKey
from aurora.observe.snapshot import ModelObservation
from aurora.planner.decision import Direction
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Action

__all__ = ["plan_of", "undo_plan"]

Decisions = Mapping[ObjectKey, DecisionObject]


def plan_of(entry: LedgerEntry, observation: ModelObservation, decisions: Decisions) -> Plan:
    """What executing the decision writes, on what is observed now.

    Raises:
        ConfigurationError: it cannot be done any more; the text says why.
    """
    return _BUILDERS[entry.action](entry, observation, decisions)


def undo_plan(found: DecisionObject, observation: ModelObservation) -> Plan:
    """What taking a decision back writes: the old values that it recorded.

    Raises:
        ConfigurationError: it cannot be taken back any more; the text says why.
    """
    if found.spec.action is Action.CACHE:
        entry = entry_of(found)
        return _cache(replace(entry, direction=opposite(entry.direction)), observation, {})
    return Plan(undo(stored_changes(found.status.to_kubernetes())))


def _scale(entry: LedgerEntry, observation: ModelObservation, _: Decisions) -> Plan:
    return scale_plan(entry, observation)


def _route(entry: LedgerEntry, observation: ModelObservation, decisions: Decisions) -> Plan:
    if entry.direction is Direction.SHIFT:
        return Plan(shift_changes(entry, observation))
    if entry.direction is Direction.FALLBACK:
        return Plan(route_changes(observation))
    went = decisions.get(ObjectKey(entry.model.namespace, entry.after.get("undo", "")))
    if went is None:
        raise ConfigurationError("the decision that went to the fallback is gone: undo it by hand")
    return undo_plan(went, observation)


def _cache(entry: LedgerEntry, observation: ModelObservation, _: Decisions) -> Plan:
    step = cache_step(entry, observation)
    return Plan(announced(step), cache=step)


def _nothing(_: LedgerEntry, __: ModelObservation, ___: Decisions) -> Plan:
    return Plan()


_BUILDERS: dict[Action, Callable[[LedgerEntry, ModelObservation, Decisions], Plan]] = {
    Action.SCALE: _scale,
    Action.ROUTE: _route,
    Action.CACHE: _cache,
    Action.ALERT: _nothing,
}
