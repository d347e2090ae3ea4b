"""What the record store takes and gives back: frozen rows of JSON-able primitives.

The store knows no decision type, so that old records stay readable whatever the planner becomes;
the caller maps its values to these rows and back. Times are seconds since the epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "TERMINAL_PHASES",
    "CaseMark",
    "CaseRow",
    "DecisionFilter",
    "DecisionRecord",
    "DecisionRow",
    "Json",
    "MemoryRow",
    "OutcomeRow",
    "Pruned",
    "StateRow",
    "TransitionRow",
]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

TERMINAL_PHASES = frozenset(
    {"Completed", "RolledBack", "Rejected", "Denied", "Expired", "Failed"},
)
"""A decision whose newest transition is none of these, or that has none, is in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision as it was made; it never changes afterwards.

    Attributes:
        id: unique for all time; the primary key.
        name: of the Decision object, empty when there is none.
        uid: of the Decision object; may be told later by recording the row again.
        model: name of the ModelDeployment.
        confidence: 0 to 1.
        target: the object that the decision is about.
        before: the values found; after: the values wanted.
        state: the SystemState that it was decided on.
        features: the case's named features, from which its vector is derived; empty for none.
        case_text: the case in one sentence, for text embeddings.
    """

    id: str
    namespace: str
    model: str
    action: str
    reason: str
    message: str
    confidence: float
    tier: str
    risk: str
    created_at: float
    name: str = ""
    uid: str = ""
    policy_hash: str = ""
    target: Mapping[str, Json] = field(default_factory=dict)
    before: Json = None
    after: Json = None
    evidence: Sequence[Json] = ()
    precedents: Sequence[Json] = ()
    state: Mapping[str, Json] = field(default_factory=dict)
    features: Mapping[str, Json] = field(default_factory=dict)
    case_text: str = ""


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A decision entered a phase. Transitions are only ever added."""

    decision: str
    phase: str
    at: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """What measurement said about a decision; the first one recorded stays.

    Attributes:
        effect: with its interval `low` to `high`, in `unit`; None where nothing could be measured.
    """

    decision: str
    verdict: str
    measured_at: float
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """One model's SystemState as it was, with the policy in force: the source of replay."""

    namespace: str
    model: str
    at: float
    reason: str
    policy_hash: str
    snapshot: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """What was learned about one model.

    Attributes:
        version: of the body's layout, chosen by the writer.
    """

    namespace: str
    model: str
    version: int
    body: Mapping[str, Json]
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A decision whose outcome was measured.

    Attributes:
        seq: grows with each recorded outcome; the position in the derived index.
    """

    seq: int
    decision: str
    namespace: str
    model: str
    action: str
    reason: str
    verdict: str
    effect: float | None
    created_at: float
    measured_at: float
    features: Mapping[str, Json]
    text: str


@dataclass(frozen=True, slots=True)
class CaseMark:
    """How many cases the store holds and the newest one's number (0 when there is none)."""

    count: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A decision with everything that happened to it."""

    decision: DecisionRow
    transitions: tuple[TransitionRow, ...]
    outcome: OutcomeRow | None

    @property
    def phase(self) -> str:
        """The newest phase; a decision without a transition is Proposed."""
        return self.transitions[-1].phase if self.transitions else "Proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """Which decisions to read, newest first; None means any.

    Attributes:
        in_flight: only those that are (True) or are not (False) in flight.
        before: the (created_at, id) of the last record of the page before this one.
        limit: 1 to 500 records.
    """

    id: str | None = None
    namespace: str | None = None
    model: str | None = None
    action: str | None = None
    since: float | None = None
    until: float | None = None
    in_flight: bool | None = None
    before: tuple[float, str] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were removed, and whether more wait for the next call."""

    decisions: int
    states: int
    memories: int
    more: bool
