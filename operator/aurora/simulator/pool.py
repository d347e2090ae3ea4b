"""A simulated Deployment behind a gateway: replicas, cold starts, routing, cache, fallback.

Requests go to the ready replica with the fewest outstanding ones; with none ready they wait at
the gateway. A replica that is scaled away takes no new request and leaves when it is empty.
Time moves only by `advance`; every random draw comes from the injected generator.
"""

import random
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from aurora.simulator.engine import RequestTooLargeError
from aurora.simulator.metrics import gateway_metrics
from aurora.simulator.parameters import ColdStart, ServerParameters
from aurora.simulator.pod import Phase, Pod
from aurora.simulator.requests import Completion, Request

__all__ = ["Outcome", "Pool", "Served"]

# A hit of the nginx sidecar, measured on real pods: 0.7 ms.
_HIT_S: Final = 0.0007


class Served(Enum):
    """Who answered."""

    PRIMARY = "Primary"
    CACHE = "Cache"
    FALLBACK = "Fallback"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended; times are seconds.

    Attributes:
        request: what was asked.
        finish: when the caller had the last byte.
        first_token: when the caller had the first token; None when the request failed.
        served: who answered.
    """

    request: Request
    finish: float
    first_token: float | None
    served: Served = Served.PRIMARY

    @property
    def failed(self) -> bool:
        """The caller got a server error."""
        return self.first_token is None


class Pool:
    """The Deployment.

    Attributes:
        desired: `spec.replicas`.
        outcomes: every request that ended, in order of processing.
        cold_starts_s: how long each replica that was added took to become ready, seconds.
        cache_ttl_s: lifetime of a cached answer, seconds; None while the cache is off.
        error_ratio: share of the requests to replicas that fail at once (a fault).
        fallback: a second pool that may take the traffic over.
        to_fallback: whether it does.
    """

    def __init__(
        self,
        parameters: ServerParameters,
        cold_start: ColdStart,
        rng: random.Random,
        *,
        replicas: int,
        fallback: "Pool | None" = None,
    ) -> None:
        self.parameters = parameters
        self.cold_start = cold_start
        self.now = 0.0
        self.desired = replicas
        self.outcomes: list[Outcome] = []
        self.cold_starts_s: list[float] = []
        self.cache_ttl_s: float | None = None
        self.error_ratio = 0.0
        self.fallback = fallback
        self.to_fallback = False
        self.gateway = gateway_metrics()
        self._rng = rng
        self._pods: list[Pod] = []
        self._released_s = 0.0  # replica-seconds of pods that are gone
        self._created = 0
        self._assigned = 0
        self._slowdown = 1.0
        self._queue: deque[Request] = deque()
        for _ in range(replicas):
            self._create(ready_after=0.0)
        self._become_ready(0.0)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Every pod that holds a GPU."""
        return tuple(self._pods)

    @property
    def gateway_waiting(self) -> int:
        """Requests that wait because no replica is ready."""
        return len(self._queue)

    @property
    def in_system(self) -> int:
        """Requests that have arrived and not ended."""
        inside = sum(pod.replica.outstanding for pod in self._pods) + len(self._queue)
        return inside + (self.fallback.in_system if self.fallback is not None else 0)

    @property
    def replica_seconds(self) -> float:
        """GPU time held so far, cold starts and draining included, seconds."""
        return self._released_s + sum(self.now - pod.created for pod in self._pods)

    def count(self, phase: Phase) -> int:
        """Count the pods in a phase."""
        return sum(pod.phase is phase for pod in self._pods)

    def submit(self, request: Request) -> None:
        """Take a request at `now`; the caller has advanced the pool to it."""
        self.gateway.counters["requests"] += 1
        if self.to_fallback and self.fallback is not None:
            self.fallback.submit(request)
            return
        self._dispatch(request)

    def advance(self, until: float) -> None:
        """Run to `until`, seconds."""
        while (ready_at := self._next_ready()) <= until:
            self._advance_pods(ready_at)
            self._become_ready(ready_at)
        self._advance_pods(until)
        if self.fallback is not None:
            self._advance_fallback(self.fallback, until)

    def scale(self, replicas: int) -> None:
        """Set `spec.replicas` at `now`: replicas above it drain, missing ones start cold."""
        self.desired = replicas
        active = [pod for pod in self._pods if pod.phase is not Phase.DRAINING]
        for _ in range(replicas - len(active)):
            self._create(ready_after=self.cold_start.sample(self._rng))
        # The ReplicaSet controller's order: not ready first, then the youngest.
        active.sort(key=lambda pod: (pod.phase is Phase.STARTING, pod.number), reverse=True)
        for pod in active[: max(0, len(active) - replicas)]:
            pod.phase = Phase.DRAINING
            self._release_if_empty(pod)

    def lose(self, count: int) -> None:
        """Lose ready pods at `now`: their requests fail and cold replacements start."""
        ready = [pod for pod in self._pods if pod.phase is Phase.READY]
        for pod in ready[:count]:
            for request in pod.replica.abort():
                self._fail(request)
            self._release(pod)
        self.scale(self.desired)

    def slow_down(self, factor: float) -> None:
        """Multiply the step time of every pod, of later ones too (a fault); 1 is healthy."""
        self._slowdown = factor
        for pod in self._pods:
            pod.replica.set_slowdown(factor)

    def _create(self, *, ready_after: float) -> None:
        ready_at = self.now + ready_after
        pod = Pod(self._created, self.parameters, created=self.now, ready_at=ready_at)
        pod.replica.set_slowdown(self._slowdown)
        self._created += 1
        self._pods.append(pod)

    def _next_ready(self) -> float:
        starting = (pod.ready_at for pod in self._pods if pod.phase is Phase.STARTING)
        return min(starting, default=float("inf"))

    def _become_ready(self, now: float) -> None:
        for pod in self._pods:
            if pod.phase is Phase.STARTING and pod.ready_at <= now:
                pod.phase = Phase.READY
                pod.advance(now)
                if pod.ready_at > pod.created:
                    self.cold_starts_s.append(pod.ready_at - pod.created)
        queued, self._queue = self._queue, deque()
        for request in queued:
            self._dispatch(request)

    def _dispatch(self, request: Request) -> None:
        ready = [pod for pod in self._pods if pod.phase is Phase.READY]
        if not ready:
            self._queue.append(request)
            return
        pod = min(ready, key=lambda each: (each.replica.outstanding, each.last_assigned))
        pod.last_assigned = self._assigned
        self._assigned += 1
        if self.cache_ttl_s is not None and pod.cache_hit(request, self.now, self.cache_ttl_s):
            at = self.now + _HIT_S
            self._end(Outcome(request, at, at, Served.CACHE))
        elif self.error_ratio > 0.0 and self._rng.random() < self.error_ratio:
            pod.metrics.counters["errors"] += 1
            self._fail(request)
        else:
            self._serve(pod, request)

    def _serve(self, pod: Pod, request: Request) -> None:
        try:
            pod.replica.submit(request)
        except RequestTooLargeError:
            pod.metrics.counters["errors"] += 1
            self._fail(request)

    def _fail(self, request: Request) -> None:
        self.gateway.counters["errors"] += 1
        self._end(Outcome(request, self.now, None))

    def _end(self, outcome: Outcome) -> None:
        self.gateway.histograms["e2e"].observe(outcome.finish - outcome.request.arrival)
        self.outcomes.append(outcome)

    def _advance_pods(self, until: float) -> None:
        for pod in tuple(self._pods):
            if pod.replica.next_event > until:  # most pods, most of the time: no call is worth it
                pod.replica.now = max(pod.replica.now, until)
                continue
            completions = pod.advance(until)
            for completion in completions:
                self._finish(pod, completion)
            if completions and pod.phase is Phase.DRAINING:
                self._release_if_empty(pod, at=completions[-1].finish)
        self.now = max(self.now, until)

    def _finish(self, pod: Pod, completion: Completion) -> None:
        if self.cache_ttl_s is not None:
            pod.remember(completion.request, completion.finish)
        self._end(Outcome(completion.request, completion.finish, completion.first_token))

    def _advance_fallback(self, fallback: "Pool", until: float) -> None:
        fallback.advance(until)
        for outcome in fallback.outcomes:
            self.gateway.counters["errors"] += outcome.failed
            self._end(
                Outcome(outcome.request, outcome.finish, outcome.first_token, Served.FALLBACK)
            )
        fallback.outcomes.clear()

    def _release_if_empty(self, pod: Pod, at: float | None = None) -> None:
        if pod.replica.outstanding == 0:
            self._release(pod, at)

    def _release(self, pod: Pod, at: float | None = None) -> None:
        pod.phase = Phase.GONE
        pod.ended = self.now if at is None else at
        self._released_s += pod.ended - pod.created
        self._pods.remove(pod)
