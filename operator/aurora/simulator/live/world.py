"""The fleet in motion: callers send, Services dispatch, servers answer. No I/O, no wall clock.

A request goes to the ready pod with the fewest outstanding ones among those that its Service
selects at that moment, so that a changed selector moves the traffic. Without a ready pod the
caller is refused at once, as a Service without endpoints does.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from aurora.simulator.faults import (
    ErrorFault,
    LatencyFault,
    LoadStep,
    MetricsGone,
    PodLoss,
    RepeatedPrompts,
)
from aurora.simulator.live.arrivals import Arrivals
from aurora.simulator.live.faults import FaultBook, Injected
from aurora.simulator.live.livepod import HIT_S, LivePod
from aurora.simulator.live.objects import ClusterFacts, PodFact, Traffic
from aurora.simulator.live.truth import Truth
from aurora.simulator.requests import Completion, Request
from aurora.simulator.trace import TraceSource

__all__ = ["World"]

Key = tuple[str, str]
_STEP_S: Final = 1.0
"""Longest time that is simulated with the same faults in force."""


class World:
    """Every simulated pod and every Service that is called.

    Args:
        source: the load that callers replay.
        seed: of every random draw.
        scale: multiple of every Service's rate.

    Attributes:
        now: how far time has been advanced, seconds.
        faults: what was injected.
        truth: what callers saw, by namespace and name of the Service.
    """

    def __init__(self, source: TraceSource, *, seed: int, scale: float = 1.0) -> None:
        self.now = 0.0
        self.faults = FaultBook()
        self.truth: dict[Key, Truth] = {}
        self._source = source
        self._scale = scale
        self._seeds = np.random.SeedSequence(seed)
        self._rng = random.Random(seed)  # noqa: S311
        self._identifiers = itertools.count(1)
        self._assigned = itertools.count()
        self._numbers = itertools.count()
        self._pods: dict[str, LivePod] = {}
        self._leaving: list[LivePod] = []
        self._callers: dict[int, Key] = {}  # request -> the Service that it came through
        self._services: dict[Key, Traffic] = {}
        self._arrivals: dict[Key, Arrivals] = {}
        self._slowed: dict[str, float] = {}
        self._struck: set[int] = set()

    @property
    def pods(self) -> tuple[LivePod, ...]:
        """The pods that exist in the cluster, ready or not."""
        return tuple(self._pods.values())

    @property
    def exported(self) -> Iterator[LivePod]:
        """The pods whose metrics can be scraped: the engine serves them once it is loaded."""
        for pod in self._pods.values():
            if pod.ready and not self.faults.of(pod.key, MetricsGone, self.now):
                yield pod

    @property
    def targets(self) -> frozenset[Key]:
        """Namespace and name of everything that a fault can hit."""
        return frozenset(self._services) | {pod.key for pod in self._pods.values()}

    def pod(self, namespace: str, name: str) -> LivePod | None:
        """The pod of that name, or None."""
        found = (
            p for p in self._pods.values() if (p.fact.namespace, p.fact.name) == (namespace, name)
        )
        return next(found, None)

    def is_failing(self, pod: LivePod) -> bool:
        """Whether the pod answers requests with server errors now."""
        return self.faults.of(pod.key, ErrorFault, self.now) is not None

    def observe(self, facts: ClusterFacts) -> None:
        """Take over what the cluster says at `now`."""
        seen = {fact.uid for fact in facts.pods}
        for uid in self._pods.keys() - seen:
            gone = self._pods.pop(uid)
            self._slowed.pop(uid, None)
            if gone.outstanding:
                self._leaving.append(gone)
        for fact in facts.pods:
            self._take(fact, facts)
        self._services = {(one.namespace, one.name): one for one in facts.services}
        for key, traffic in self._services.items():
            self.truth.setdefault(key, Truth())
            self._keep_calling(key, traffic)
        for key in self._arrivals.keys() - self._services.keys():
            del self._arrivals[key]

    def inject(self, injected: Injected) -> None:
        """Put a fault in force."""
        self.faults.add(injected)
        self._apply_faults()

    def advance(self, until: float) -> None:
        """Run to `until`, seconds."""
        while self.now < until:
            self._apply_faults()
            end = min(until, self.now + _STEP_S)
            requests = [
                (request, key) for key in self._arrivals for request in self._arriving(key, end)
            ]
            requests.sort(key=lambda pair: pair[0].arrival)
            for request, key in requests:
                self._callers[request.identifier] = key
                self._dispatch(request, self._services[key])
            for pod in (*self._pods.values(), *self._leaving):
                self._finish(pod.advance(end))
            self._leaving = [pod for pod in self._leaving if pod.outstanding]
            self.now = end

    def _take(self, fact: PodFact, facts: ClusterFacts) -> None:
        workload = facts.workloads[fact.namespace, fact.workload]
        pod = self._pods.get(fact.uid)
        if pod is None:
            secret = self._rng.randbytes(32)
            pod = LivePod(fact, workload, number=next(self._numbers), now=self.now, secret=secret)
            self._pods[fact.uid] = pod
        pod.fact, pod.workload = fact, workload

    def _keep_calling(self, key: Key, traffic: Traffic) -> None:
        rate = traffic.rate * self._scale
        known = self._arrivals.get(key)
        if rate <= 0.0:
            self._arrivals.pop(key, None)
            return
        if known is None and not self._serves(traffic):
            return  # nobody calls a model before it was there for the first time
        if known is None or (known.rate, known.callers) != (rate, traffic.callers):
            self._arrivals[key] = Arrivals(
                self._source,
                rate=rate,
                callers=traffic.callers,
                rng=np.random.default_rng(self._seeds.spawn(1)[0]),
                identifiers=self._identifiers,
                start=self.now,
            )

    def _serves(self, traffic: Traffic) -> bool:
        return any(pod.ready and traffic.selects(pod.fact) for pod in self._pods.values())

    def _arriving(self, key: Key, until: float) -> list[Request]:
        step = self.faults.of(key, LoadStep, self.now)
        repeats = self.faults.of(key, RepeatedPrompts, self.now)
        factor = step.factor if step is not None else 1.0
        return self._arrivals[key].until(until, factor=factor, repeats=repeats)

    def _dispatch(self, request: Request, service: Traffic) -> None:
        at = request.arrival
        candidates = [p for p in self._pods.values() if p.ready and service.selects(p.fact)]
        for pod in candidates:
            self._finish(pod.advance(at))
        if not candidates:
            self._fail(request, at)
            return
        pod = min(candidates, key=lambda each: (each.outstanding, each.last_assigned))
        pod.server.last_assigned = next(self._assigned)
        self._give(pod, request, at)

    def _give(self, pod: LivePod, request: Request, at: float) -> None:
        if pod.cached(request, at):
            self._end(request, at + HIT_S, latency_s=HIT_S, ttft_s=HIT_S, cached=True)
            return
        fault = self.faults.of(pod.key, ErrorFault, self.now)
        if fault is not None and self._rng.random() < fault.ratio:
            pod.fail(request)
            self._fail(request, at)
        elif not pod.submit(request):
            self._fail(request, at)

    def _finish(self, completions: Iterable[Completion]) -> None:
        for done in completions:
            self._end(done.request, done.finish, latency_s=done.e2e_s, ttft_s=done.ttft_s)

    def _end(
        self, request: Request, at: float, *, latency_s: float, ttft_s: float, cached: bool = False
    ) -> None:
        key = self._callers.pop(request.identifier)
        self.truth[key].succeeded(at, latency_s=latency_s, ttft_s=ttft_s, cached=cached)

    def _fail(self, request: Request, at: float) -> None:
        self.truth[self._callers.pop(request.identifier)].failed(at)

    def _apply_faults(self) -> None:
        for injected in self.faults:
            new = injected.identifier not in self._struck and injected.active(self.now)
            if new and isinstance(injected.fault, PodLoss):
                self._struck.add(injected.identifier)
                self._crash(injected, injected.fault.count)
        for uid, pod in self._pods.items():
            slow = self.faults.of(pod.key, LatencyFault, self.now)
            factor = slow.factor if slow is not None else 1.0
            if self._slowed.get(uid, 1.0) != factor:
                self._slowed[uid] = factor
                pod.server.replica.set_slowdown(factor)
            if pod.crashed and not self.faults.of(pod.key, PodLoss, self.now):
                pod.crashed = False

    def _crash(self, injected: Injected, count: int) -> None:
        target = (injected.namespace, injected.name)
        hit = [pod for pod in self._pods.values() if pod.key == target and pod.ready]
        for pod in hit[:count]:
            pod.crashed = True
            self._slowed.pop(pod.fact.uid, None)
            for request in pod.abort():
                self._fail(request, self.now)
