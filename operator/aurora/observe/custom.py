"""An object's own PromQL per signal: whether it may be sent, and what its answer means."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurora.errors import UsageError
from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.confine import AT, VALUE, Confined, confine
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.readings import fault_of
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal

__all__ = ["MAX_PER_CYCLE", "MAX_PER_OBJECT", "CustomPlan", "plan_custom", "read_custom"]

MAX_PER_OBJECT = 5
MAX_PER_CYCLE = 200
Key = tuple[str, str]
Rows = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class CustomPlan:
    """The own queries of one cycle.

    Attributes:
        accepted: what is sent, by (namespace, workload) and signal.
        refused: why a query is not sent.
    """

    accepted: Mapping[Key, Mapping[Signal, Confined]] = field(default_factory=dict)
    refused: Mapping[Key, Mapping[Signal, Missing]] = field(default_factory=dict)

    def requests(self) -> dict[str, str]:
        """PromQL by query name."""
        return {
            custom_name(key, signal): confined.request
            for key, queries in self.accepted.items()
            for signal, confined in queries.items()
        }


def custom_name(key: Key, signal: Signal) -> str:
    return f"custom/{key[0]}/{key[1]}/{signal}"


def plan_custom(
    wanted: Mapping[Key, Mapping[Signal, str]], *, allowed: bool, settings: MetricsSettings
) -> CustomPlan:
    """Confine every own query, or say why it is refused.

    Which of them go beyond a limit is by name, so that it does not change from cycle to cycle.
    """
    accepted: dict[Key, dict[Signal, Confined]] = {}
    refused: dict[Key, dict[Signal, Missing]] = {}
    budget = MAX_PER_CYCLE
    for key in sorted(wanted):
        for position, signal in enumerate(sorted(wanted[key])):
            outcome = _decided(
                wanted[key][signal],
                key[0],
                limit=_limit(position, budget, allowed=allowed),
                label=settings.labels.namespace,
            )
            if isinstance(outcome, Missing):
                refused.setdefault(key, {})[signal] = outcome
                continue
            budget -= 1
            accepted.setdefault(key, {})[signal] = outcome
    return CustomPlan(accepted=accepted, refused=refused)


def _limit(position: int, budget: int, *, allowed: bool) -> str:
    if not allowed:
        return "own queries are off: an administrator allows them with AURORA_ALLOW_CUSTOM_QUERIES"
    if position >= MAX_PER_OBJECT:
        return f"an object may have {MAX_PER_OBJECT} own queries: remove one"
    if budget <= 0:
        return f"all objects together may have {MAX_PER_CYCLE} own queries: remove some"
    return ""


def _decided(query: str, namespace: str, *, limit: str, label: str) -> Confined | Missing:
    if limit:
        return Missing(Gap.UNSUPPORTED, limit)
    try:
        return confine(query, namespace, label=label)
    except UsageError as error:
        return Missing(Gap.QUERY_FAILED, str(error))


def read_custom(
    signal: Signal,
    answer: QueryAnswer | QueryFailure,
    *,
    at: float,
    settings: MetricsSettings,
) -> Reading:
    """The one number that an own query answers. How many requests are behind it is not known."""
    if isinstance(answer, QueryFailure):
        return Missing(Gap.STALE if answer.stale else Gap.QUERY_FAILED, answer.reason)
    try:
        values = _values(answer, VALUE)
        stamps = _values(answer, AT)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return Missing(Gap.QUERY_FAILED, "the answer has a row without labels, time or number")
    missing = _not_one(values, stamps)
    if missing is not None:
        return missing
    evaluated_at, value = values[0]
    age = max(0.0, evaluated_at - min(stamp for _, stamp in stamps))
    if age > settings.stale_after_s:
        return Missing(Gap.STALE, f"the query's series were last scraped {age:.0f} s ago")
    return fault_of(signal, value) or Sample(
        value=value, at=at - age, partial=bool(answer.warnings)
    )


def _not_one(values: Rows, stamps: Rows) -> Missing | None:
    if len(values) > 1:
        return Missing(
            Gap.DUPLICATE,
            f"the query answers {len(values)} series: reduce it to one, for example with sum()",
        )
    if not values:
        return Missing(Gap.NO_DATA, "the query answers nothing: does the metric exist?")
    if not stamps:
        return Missing(Gap.STALE, "none of the query's series is scraped any more")
    return None


def _values(answer: QueryAnswer, tag: str) -> Rows:
    rows = (row["value"] for row in answer.rows if row["metric"].get("signal") == tag)
    return [(float(stamp), float(text)) for stamp, text in rows]
