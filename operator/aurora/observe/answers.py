"""What a metrics source answers to a query, before anything is read out of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["MetricsSource", "QueryAnswer", "QueryFailure"]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """An instant vector.

    Attributes:
        rows: objects with `metric` (labels) and `value` (evaluation time, number as text). They
            can be walked more than once.
        warnings: why the source holds the answer for incomplete.
        evaluated_at: when, by the source's clock in seconds since the epoch; None without rows.
    """

    rows: Iterable[Mapping[str, Any]]
    warnings: tuple[str, ...] = ()
    evaluated_at: float | None = None


@dataclass(frozen=True, slots=True)
class QueryFailure:
    """Why there is no answer; one line, without secrets.

    Attributes:
        stale: there was one, of the past.
    """

    reason: str
    stale: bool = False


class MetricsSource(Protocol):
    """Whatever answers PromQL."""

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, QueryAnswer | QueryFailure]:
        """Answer every query, by its name; a failure is an answer as well."""
