"""A Decision is one value; object, Event, annotation, log line and row are projections of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aurora.observe.facts import ObjectKey
from aurora.observe.sample import Signal
from aurora.planner.cases import Precedent
from aurora.planner.reasons import PlanReason
from aurora.resources.vocabulary import Action

__all__ = [
    "WEIGHT",
    "WHOLE",
    "Alternative",
    "Candidate",
    "Decision",
    "Direction",
    "Effect",
    "Evidence",
    "Rollback",
    "TargetRef",
    "fingerprint",
]


WEIGHT: Final = "weight."
"""Parameters of a shift are named weight.BACKEND."""
WHOLE: Final = 100
"""Weights that AURORA sets are points of one whole."""


class Direction(StrEnum):
    """Which way an action moves; a reversal is the opposite direction of the same action."""

    UP = "Up"
    DOWN = "Down"
    ARM = "Arm"
    DISARM = "Disarm"
    ON = "On"
    OFF = "Off"
    FALLBACK = "Fallback"
    PRIMARY = "Primary"
    SHIFT = "Shift"
    NONE = ""


@dataclass(frozen=True, slots=True)
class TargetRef:
    """The object that an action changes. The uid guards against a namesake made later."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured fact that a decision rests on.

    Attributes:
        query: the resolved PromQL, or the watch that the fact came from.
        value: in `unit`; threshold in the same unit, None where the fact alone triggers.
        samples: requests behind the value, None where counting means nothing.
    """

    signal: str
    value: float
    unit: str
    at: float
    query: str = ""
    threshold: float | None = None
    samples: float | None = None
    window_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What the action is expected to do to one signal, and by when it can be measured.

    Attributes:
        expected: the signal's value once the action is in force; low and high bound it at 90 %.
        by_s: seconds after execution.
        keeps: the promise is that the signal stays below `high`, not that it improves: what a
            scale-down or a cache taken off promises.
        without: what it would be without the action, where that is not what was measured.
    """

    signal: Signal
    expected: float
    low: float
    high: float
    unit: str
    by_s: float
    keeps: bool = False
    without: float | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """The decision is undone when `signal` is measured above `above`."""

    signal: Signal
    above: float
    unit: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """A candidate that lost, and why."""

    action: Action
    direction: Direction
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one rule proposes.

    Attributes:
        priority: the arbiter prefers the smaller number; rules.PRIORITY documents the order.
        before, after: parameters such as {"replicas": "2"} and {"replicas": "3"}.
        evidence_confidence: 0 to 1, from the evidence alone; precedents move it later.
        protective: skips cooldown, budgets, freeze windows and step limits.
        identity: what makes a repeat of it the same proposal, where `after` follows measurements
            and is another one in each cycle.
    """

    action: Action
    direction: Direction
    reason: PlanReason
    message: str
    priority: int
    evidence_confidence: float
    evidence: tuple[Evidence, ...]
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    expected: Effect | None = None
    rollback_if: tuple[Rollback, ...] = ()
    protective: bool = False
    advice: str = ""
    identity: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decided action with its contract: expected effect, by when, and what rolls it back.

    Times are seconds since the epoch.
    """

    id: str
    model: ObjectKey
    model_uid: str
    target: TargetRef
    action: Action
    direction: Direction
    reason: PlanReason
    message: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    confidence: float
    evidence: tuple[Evidence, ...]
    expected: Effect | None
    rollback_if: tuple[Rollback, ...]
    precedents: tuple[Precedent, ...]
    alternatives: tuple[Alternative, ...]
    protective: bool
    decided_at: float
    expires_at: float
    policy_hash: str
    fingerprint: str
    advice: str = ""


def fingerprint(model_uid: str, candidate: Candidate, *, length: int = 12) -> str:
    """Name a proposal by what it would do, so that a repeat is known as the same one.

    Numbers of the message are left out on purpose: they change each cycle.
    """
    what = candidate.after if candidate.identity is None else candidate.identity
    identity = json.dumps(
        [model_uid, candidate.action, candidate.direction, candidate.reason, dict(what)],
        sort_keys=True,
    )
    return hashlib.sha256(identity.encode()).hexdigest()[:length]
