"""The installation on one screen: may it write, who leads, and how every model stands. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group
from rich.text import Text

from aurora.decisions.table import plain_table
from aurora.decisions.text import age, clean, rows, section
from aurora.decisions.undo import in_flight
from aurora.kube.switch import Switch
from aurora.resources import ConditionType, DecisionObject, ModelDeployment, find_condition
from aurora.resources.vocabulary import ConditionStatus, Phase

__all__ = ["Leader", "Overview", "leader_of", "overview"]

_STYLES: Final = {ConditionStatus.TRUE: "green", ConditionStatus.FALSE: "red"}


@dataclass(frozen=True, slots=True)
class Leader:
    """Who holds the Lease; `renewed` is by that machine's clock."""

    holder: str
    renewed: datetime | None
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown."""

    models: Sequence[ModelDeployment]
    decisions: Sequence[DecisionObject]
    switch: Switch
    leader: Leader | None
    now: datetime
    namespaces: bool = False


def leader_of(lease: dict[str, Any] | None) -> Leader | None:
    """Read a Lease object; None when nobody holds it."""
    spec = (lease or {}).get("spec") or {}
    holder = spec.get("holderIdentity")
    if not isinstance(holder, str) or not holder:
        return None
    lasts = spec.get("leaseDurationSeconds")
    return Leader(holder, _time(spec.get("renewTime")), float(lasts) if lasts else 0.0)


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def overview(view: Overview) -> Group:
    """Switch, leader and counts, then one line a model."""
    waiting = [one for one in view.decisions if one.status.phase is Phase.AWAITING_APPROVAL]
    flying = in_flight(view.decisions)
    facts = rows(
        (
            ("writes", f"no, {view.switch.detail}" if view.switch.stopped else "allowed"),
            ("operator", _leader(view)),
            ("models", _models(view.models)),
            ("in flight", _names(flying)),
            ("awaiting approval", _names(waiting)),
        )
    )
    if not view.models:
        return Group(facts, section("Models", "none here: -A looks in every namespace"))
    place = ("namespace",) if view.namespaces else ()
    table = plain_table(
        *place, "model", "ready", "mode", "replicas", "last action", "outcome", "age", "message"
    )
    for one in view.models:
        table.add_row(*_cells(one, view))
    return Group(facts, Text(""), table)


def _leader(view: Overview) -> str:
    leader = view.leader
    if leader is None:
        return "nobody holds the Lease: is `aurora operator` running?"
    if leader.renewed is None:
        return f"{leader.holder} leads"
    since = age(leader.renewed, view.now)
    if (view.now - leader.renewed).total_seconds() > leader.lasts_s:
        return f"{leader.holder} renewed the Lease {since} ago, so it has lapsed: is it running?"
    return f"{leader.holder} leads, renewed {since} ago"


def _models(models: Sequence[ModelDeployment]) -> str:
    ready = sum(1 for one in models if _ready(one) is ConditionStatus.TRUE)
    return f"{len(models)}, {ready} ready"


def _ready(model: ModelDeployment) -> ConditionStatus | None:
    fact = find_condition(model.status.conditions, ConditionType.READY)
    return fact.status if fact is not None else None


def _names(decisions: Iterable[DecisionObject]) -> str:
    names = [one.metadata.name for one in decisions]
    shown = ", ".join(names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)}: {shown}{more}" if names else "0"


def _cells(model: ModelDeployment, view: Overview) -> tuple[Text, ...]:
    metadata, status = model.metadata, model.status
    fact, last, counts = (
        find_condition(status.conditions, ConditionType.READY),
        status.last_decision,
        status.replicas,
    )
    ready = Text(fact.status.value, style=_STYLES.get(fact.status, "")) if fact else Text("Unknown")
    outcome = last.outcome.value if last is not None and last.outcome is not None else ""
    current = counts.current if counts is not None else None
    bad = fact is not None and fact.status is not ConditionStatus.TRUE
    texts = (
        model.spec.autonomy.mode.value,
        "" if current is None else str(current),
        last.action.value if last is not None else "",
        outcome,
        age(metadata.creation_timestamp, view.now),
        f"{fact.reason}: {fact.message}" if bad and fact is not None else "",
    )
    place = (Text(clean(metadata.namespace)),) if view.namespaces else ()
    return (*place, Text(clean(metadata.name)), ready, *(Text(clean(one)) for one in texts))
