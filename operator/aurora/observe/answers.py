"""What a metrics source answers to a query, before anything is read out of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["MetricsSource", "QueryAnswer", "QueryFailure", "Unread"]


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


Unread = Callable[[], QueryAnswer | QueryFailure]
"""An answer that is unpacked when it is called for: the texts of all are never there at once."""


class MetricsSource(Protocol):
    """Whatever answers PromQL."""

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        """Answer every query, by its name; a failure is an answer as well.

        What comes is called for once, one after the other, off the event loop.
        """
