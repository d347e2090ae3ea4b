"""One ModelDeployment or RoutingPolicy: why nothing is being done now, and what is open. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from aurora.decisions.explain import change_lines
from aurora.decisions.policy import policy_sections
from aurora.decisions.table import decision_table, plain_table
from aurora.decisions.text import age, clean, line, made_at, section, span, verbatim
from aurora.decisions.undo import OpenChange, in_flight, open_changes, original_changes
from aurora.executor.subjects import Subject
from aurora.kube.switch import Switch
from aurora.resources import (
    ConditionType,
    DecisionObject,
    ModelDeployment,
    RoutingPolicy,
    find_condition,
)
from aurora.resources.quantities import format_decimal
from aurora.resources.vocabulary import ConditionStatus, Mode, Phase

__all__ = ["ModelView", "explain_model", "why_idle"]

SHOWN_DECISIONS: Final = 5
_NOT_DONE: Final = frozenset({Phase.REJECTED, Phase.FAILED, Phase.DENIED, Phase.EXPIRED})


@dataclass(frozen=True, slots=True)
class ModelView:
    """What is looked at.

    Attributes:
        model: the object.
        decisions: about it, the newest first.
        switch: what the ConfigMap aurora-control says.
        now: the time that ages count from.
    """

    model: Subject
    decisions: tuple[DecisionObject, ...]
    switch: Switch
    now: datetime


def explain_model(view: ModelView) -> Group:
    """Why nothing is being done now; then conditions, signals, proposals, changes, decisions."""
    metadata = view.model.metadata
    mode = view.model.spec.autonomy.mode.value
    title = Text(clean(f"{metadata.namespace}/{metadata.name}"), style="bold")
    title.append(f"  mode {mode}")
    return Group(
        title,
        section("Why nothing is being done now", *(line("-", why) for why in why_idle(view))),
        _conditions(view),
        *_details(view),
        _open_changes(view),
        section(
            "Last decisions",
            decision_table(view.decisions[:SHOWN_DECISIONS], now=view.now)
            if view.decisions
            else "none yet",
        ),
    )


def why_idle(view: ModelView) -> tuple[str, ...]:
    """Every known reason, the one that stops most first; never empty."""
    found = tuple(_reasons(view))
    return found or (
        "Nothing keeps AURORA from acting: by the last look no rule found a reason to act.",
    )


def _reasons(view: ModelView) -> Iterator[str]:
    if view.switch.stopped:
        yield (
            f"The kill switch is set: {view.switch.detail}. `kubectl aurora resume --all` lifts it."
        )
    if view.model.is_paused:
        yield _paused(view.model)
    yield from _from_conditions(view)
    yield from _from_modes(view.model)
    yield from _from_decisions(view)


def _paused(model: Subject) -> str:
    what, prefix = ("model", "") if isinstance(model, ModelDeployment) else ("policy", "rpol/")
    lift = f"kubectl aurora resume {prefix}{model.metadata.name}"
    return f"The {what} is paused: `{lift}` lifts it."


def _from_conditions(view: ModelView) -> Iterator[str]:
    metadata, status = view.model.metadata, view.model.status
    if not status.conditions:
        yield "AURORA has not looked at it yet: is the operator running?"
        return
    if status.observed_generation < metadata.generation:
        yield "AURORA has not looked at the newest spec yet."
    told = {ConditionType.PAUSED}
    for type_, bad in _BAD:
        fact = find_condition(status.conditions, type_)
        if fact is None or fact.status is not bad or type_ in told:
            continue
        yield f"{fact.type} is {fact.status.value}, {fact.reason}: {fact.message}"
        if type_ is ConditionType.READY:
            # Ready repeats the first of the others.
            told |= {one for one, _ in _BAD if _says_the_same(view, one, fact.reason)}


_BAD: Final = (
    (ConditionType.READY, ConditionStatus.FALSE),
    (ConditionType.ACCEPTED, ConditionStatus.FALSE),
    (ConditionType.RESOLVED_REFS, ConditionStatus.FALSE),
    (ConditionType.PROGRAMMED, ConditionStatus.FALSE),
    (ConditionType.AUDIT_PASSED, ConditionStatus.FALSE),
    (ConditionType.METRICS_AVAILABLE, ConditionStatus.FALSE),
    (ConditionType.SCALING_ACTIVE, ConditionStatus.FALSE),
    (ConditionType.AUTOSCALER_CONFLICT, ConditionStatus.TRUE),
    (ConditionType.TARGET_CONFLICT, ConditionStatus.TRUE),
    (ConditionType.EXTERNALLY_REVERTED, ConditionStatus.TRUE),
)


def _says_the_same(view: ModelView, type_: ConditionType, reason: str) -> bool:
    fact = find_condition(view.model.status.conditions, type_)
    return fact is not None and fact.reason == reason


def _from_modes(model: Subject) -> Iterator[str]:
    autonomy = model.spec.autonomy
    if autonomy.mode is Mode.OBSERVE:
        yield "autonomy.mode is Observe: AURORA watches and proposes nothing."
    if autonomy.mode is Mode.RECOMMEND:
        yield "autonomy.mode is Recommend: AURORA proposes and a person approves."
    for action, mode in sorted(autonomy.actions.items()):
        if mode is not autonomy.mode and mode is not Mode.AUTO:
            yield f"autonomy.actions says {mode.value} for {action}."


def _from_decisions(view: ModelView) -> Iterator[str]:
    for one in view.decisions:
        if one.status.phase is Phase.AWAITING_APPROVAL:
            yield _waiting(one, view.now)
    for one in in_flight(view.decisions):
        phase = one.status.phase.value if one.status.phase is not None else ""
        yield f"{one.metadata.name} is {phase}: one action at a time per target."
    newest = view.decisions[0] if view.decisions else None
    if newest is not None and newest.status.phase in _NOT_DONE:
        yield _not_done(newest, view.now)


def _waiting(one: DecisionObject, now: datetime) -> str:
    name, expires = one.metadata.name, one.spec.expires_at
    left = (expires - now).total_seconds() if expires is not None else None
    until = "" if left is None else f" within {span(left)}" if left > 0 else ", but it has expired"
    return (
        f"{name} ({one.spec.action.value}) waits for a person{until}: "
        f"`kubectl aurora approve {name}` or `deny {name}`."
    )


def _not_done(one: DecisionObject, now: datetime) -> str:
    phase = one.status.phase.value if one.status.phase is not None else ""
    type_ = ConditionType.EXECUTED if phase == Phase.FAILED.value else ConditionType.APPROVED
    fact = find_condition(one.status.conditions, type_)
    why = f", {fact.reason}: {fact.message}" if fact is not None else ""
    return (
        f"The newest decision, {one.metadata.name}, is {phase}{why} ({age(made_at(one), now)} ago)"
    )


def _conditions(view: ModelView) -> RenderableType:
    if not view.model.status.conditions:
        return section("Conditions", "none yet")
    table = plain_table("condition", "status", "since", "reason", "message")
    for one in view.model.status.conditions:
        since = age(one.last_transition_time, view.now)
        cells = (one.type, one.status.value, since, one.reason, one.message)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    return section("Conditions", table)


def _details(view: ModelView) -> Iterator[RenderableType]:
    """What only one of the two kinds has."""
    if isinstance(view.model, RoutingPolicy):
        yield from policy_sections(view.model, view.now)
    else:
        yield _signals(view.model)


def _signals(model: ModelDeployment) -> RenderableType:
    if not model.status.signals:
        return section("Signals of the last decision", "no decision yet, so none were kept")
    table = plain_table("signal", "value")
    for one in model.status.signals:
        value = f"{format_decimal(one.value)} {one.unit or ''}" if one.value is not None else ""
        table.add_row(
            Text(clean(one.name)),
            Text(clean(value or f"missing: {one.reason or 'no reason given'}")),
        )
    return section("Signals of the last decision", table)


def _open_changes(view: ModelView) -> RenderableType:
    made = open_changes(view.decisions)
    lines = [part for one in made for part in _change(one)]
    kept = original_changes(view.model)
    if kept:
        lines.append(line("To have everything as AURORA found it:"))
        lines += [verbatim(f"  {command}") for command in kept]
    return section("Open changes, and how to undo them by hand", *(lines or [line("none")]))


def _change(one: OpenChange) -> Sequence[Text]:
    what, undo = change_lines(one.change)
    return (line(f"{one.decision}:") + Text(" ") + what, undo)
