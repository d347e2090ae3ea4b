"""Which models' records are due now: each at its own moment of the period, a few at a time."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

from aurora.observe.facts import ObjectKey

__all__ = ["Schedule"]

_HASHES = 2**32


class _Kept(NamedTuple):
    at: float
    mark: str


class Schedule:
    """Spreads the models over a period by a hash of their names, so that none of it is a burst.

    10,000 models that were all due in one cycle would hold it up for 22 s. A model's moment does
    not depend on when the process started: one that is killed every half hour still has each of
    its models' hourly moments.

    Args:
        every_s: the period, seconds.
        least: how many may be due at once in any fleet; a larger one adds twice its share of the
            period, so that a burst (every reason changes as Prometheus goes down) is worked off.
        at_once: whether a model is due when it is first seen, not only at its moment.
    """

    def __init__(self, every_s: float, *, least: int, at_once: bool) -> None:
        self._every_s = every_s
        self._least = least
        self._at_once = at_once
        self._kept: dict[ObjectKey, _Kept] = {}
        self._asked_at: float | None = None

    def due(self, marks: Mapping[ObjectKey, str], at: float) -> list[ObjectKey]:
        """The models to keep now, those whose mark changed first, then the longest waiting.

        A model stays due until `kept` says otherwise: a save that failed is owed.

        Args:
            marks: every model there is, with what makes it due when it changes.
            at: seconds since the epoch.
        """
        for gone in self._kept.keys() - marks.keys():
            del self._kept[gone]
        if not self._at_once:
            for key, mark in marks.items():
                self._kept.setdefault(key, _Kept(at, mark))
        found = [key for key, mark in marks.items() if self._is_due(key, mark, at)]
        found.sort(key=lambda key: self._urgency(key, marks[key]))
        return found[: self._limit(len(marks), at)]

    def kept(self, keys: Iterable[ObjectKey], marks: Mapping[ObjectKey, str], at: float) -> None:
        """These were kept as `marks` said at that time."""
        self._kept.update((key, _Kept(at, marks[key])) for key in keys)

    def kept_at(self, key: ObjectKey) -> float:
        """When a model was last kept, or first seen; 0 when never."""
        known = self._kept.get(key)
        return 0.0 if known is None else known.at

    def _is_due(self, key: ObjectKey, mark: str, at: float) -> bool:
        known = self._kept.get(key)
        if known is None or known.mark != mark:
            return True
        return self._slot(key, at) != self._slot(key, known.at)

    def _urgency(self, key: ObjectKey, mark: str) -> tuple[bool, float]:
        known = self._kept.get(key)
        return (known is None or known.mark == mark, 0.0 if known is None else known.at)

    def _slot(self, key: ObjectKey, at: float) -> int:
        moment = crc32(f"{key.namespace}/{key.name}".encode()) / _HASHES
        return math.floor(at / self._every_s - moment)

    def _limit(self, models: int, at: float) -> int:
        elapsed = 0.0 if self._asked_at is None else at - self._asked_at
        self._asked_at = at
        share = min(1.0, max(0.0, elapsed / self._every_s))
        return self._least + math.ceil(2 * models * share)
