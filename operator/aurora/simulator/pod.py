"""One replica of the simulated Deployment: a server, its cache sidecar and its metrics."""

from enum import Enum

from aurora.simulator.engine import Replica
from aurora.simulator.metrics import server_metrics
from aurora.simulator.parameters import ServerParameters
from aurora.simulator.requests import Completion, Request

__all__ = ["Phase", "Pod"]


class Phase(Enum):
    """Where a pod is in its life."""

    STARTING = "Starting"
    READY = "Ready"
    DRAINING = "Draining"
    GONE = "Gone"


class Pod:
    """One pod.

    Attributes:
        number: unique within a pool; later pods have higher numbers.
        created: when it took its GPU, seconds.
        ready_at: when it becomes ready, seconds.
        ended: when it gave its GPU back, seconds; None until then.
        last_assigned: order of the last request it got, for breaking ties.
    """

    def __init__(
        self, number: int, parameters: ServerParameters, *, created: float, ready_at: float
    ) -> None:
        self.number = number
        self.created = created
        self.ready_at = ready_at
        self.ended: float | None = None
        self.phase = Phase.STARTING
        self.replica = Replica(parameters, created)
        self.metrics = server_metrics()
        self.last_assigned = -1
        self._cached: dict[int, float] = {}  # prompt id -> when it was stored

    def advance(self, until: float) -> list[Completion]:
        """Run to `until`, observe what happened in the metrics, and give what finished."""
        if self.replica.next_event > until:
            self.replica.now = max(self.replica.now, until)
            return []
        completions = self.replica.advance(until)
        histograms = self.metrics.histograms
        for first in self.replica.take_first_tokens():
            histograms["ttft"].observe(first.at - first.submitted)
        for completion in completions:
            histograms["e2e"].observe(completion.finish - completion.submitted)
            if (tpot := completion.tpot_s) is not None:
                histograms["tpot"].observe(tpot)
        self.metrics.counters["success"] += len(completions)
        return completions

    def expose(self) -> None:
        """Bring the counters that the server itself keeps up to date, as a scrape does."""
        counters, replica = self.metrics.counters, self.replica
        counters["busy_s"] = replica.busy_s
        counters["prompt_tokens"] = float(replica.prompt_tokens_total)
        counters["generation_tokens"] = float(replica.generation_tokens_total)
        counters["preemptions"] = float(replica.preemptions_total)

    def cache_hit(self, request: Request, now: float, ttl_s: float) -> bool:
        """Look the prompt up in this pod's own cache and count the hit or the miss."""
        stored = self._cached.get(request.prompt_id) if request.prompt_id is not None else None
        hit = stored is not None and now - stored < ttl_s
        self.metrics.counters["cache_hits" if hit else "cache_misses"] += 1
        return hit

    def remember(self, request: Request, at: float) -> None:
        """Store the answer to a request whose prompt may come again."""
        if request.prompt_id is not None:
            self._cached[request.prompt_id] = at
