"""Requests by verb and kind: the source of "no write in a steady state"."""

from collections import Counter
from typing import Protocol

from aurora.kube.kinds import LEASE, Kind

__all__ = ["RequestCounter", "RequestObserver"]

_READS = frozenset({"get", "list"})


class RequestObserver(Protocol):
    """Told of each request that is sent, retries included."""

    def sent(self, verb: str, kind: Kind) -> None: ...


class RequestCounter:
    """Counts requests; the renewal of the leader Lease is counted apart from other writes.

    Verbs are get, list, create, update, patch, apply and delete.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()

    def sent(self, verb: str, kind: Kind) -> None:
        self.requests[verb, str(kind)] += 1

    @property
    def reads(self) -> int:
        return sum(count for (verb, _), count in self.requests.items() if verb in _READS)

    @property
    def writes(self) -> int:
        """Writes since the start, without those to the Lease."""
        return sum(
            count
            for (verb, kind), count in self.requests.items()
            if verb not in _READS and kind != str(LEASE)
        )

    @property
    def lease_writes(self) -> int:
        return sum(
            count
            for (verb, kind), count in self.requests.items()
            if verb not in _READS and kind == str(LEASE)
        )
