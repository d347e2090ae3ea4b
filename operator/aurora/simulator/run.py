"""One run: a trace, a controller and a seed in simulated time."""

import random
from itertools import chain

import numpy as np

from aurora.simulator.faults import LoadSpikes, LoadStep, RepeatedPrompts
from aurora.simulator.injection import fault_events
from aurora.simulator.journal import ActionRecord, Journal, Scaling
from aurora.simulator.pod import Phase
from aurora.simulator.pool import Outcome, Pool
from aurora.simulator.requests import Request
from aurora.simulator.scraper import Scraper
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.statistics import LittleLaw
from aurora.simulator.trace import (
    Trace,
    with_load_spikes,
    with_load_step,
    with_repeated_prompts,
)
from aurora.simulator.view import ActionKind, Controller, PoolFacts

__all__ = ["play", "with_faults"]

# Number in the system is counted at random times this far apart for Little's law, seconds:
# on a regular grid a regular load would always be met in the same state.
_COUNT_S = (0.5, 1.5)
# What is still inside this long after the trace's end has missed its objective anyway, seconds.
_DRAIN_S = 600.0


def with_faults(trace: Trace, settings: SimulationSettings, seed: int) -> Trace:
    """Apply the faults that change the load itself."""
    rng = np.random.default_rng([seed, 2])
    for fault in settings.faults:
        if isinstance(fault, LoadStep):
            trace = with_load_step(trace, fault, rng)
        elif isinstance(fault, LoadSpikes):
            trace = with_load_spikes(trace, fault, rng)
        elif isinstance(fault, RepeatedPrompts):
            trace = with_repeated_prompts(trace, fault, rng)
    return trace


def play(trace: Trace, controller: Controller, seed: int, settings: SimulationSettings) -> Journal:
    """Play a trace against a controller; the same arguments give the same journal.

    Raises:
        LittleLawError: the run broke Little's law.
    """
    return _Run(trace, controller, seed, settings).play()


class _Run:
    """The event loop of one run."""

    def __init__(
        self, trace: Trace, controller: Controller, seed: int, settings: SimulationSettings
    ) -> None:
        self.trace = trace
        self.controller = controller
        self.settings = settings
        self.journal = Journal(arrived=len(trace))
        self.pool = _pool(settings, seed)
        self.scraper = Scraper(self.pool, settings.scrape, _generator("scrape", seed))
        self._rng = _generator("count", seed)
        self._probes = _generator("probe", seed)
        self._counts: list[int] = []
        self._next_count = 0.0
        self._next_decision = settings.control_interval_s
        self._fault_events = fault_events(
            settings.faults, self.pool, self.scraper, _generator("noise", seed)
        )

    def play(self) -> Journal:
        for request in chain(self.trace.requests(), [None]):
            at = request.arrival if request is not None else self.trace.duration_s
            self._events_until(at)
            self.pool.advance(at)
            if request is not None:
                self.pool.submit(request)
        journal = self.journal
        journal.replica_seconds = self.pool.replica_seconds
        self.pool.advance(self.trace.duration_s + _DRAIN_S)
        journal.outcomes = self.pool.outcomes
        journal.little = _little(self.trace, self._counts, journal.outcomes)
        journal.little.check(self.settings.little_tolerance, len(self._counts))
        return journal

    def _events_until(self, until: float) -> None:
        while True:
            scrape = self.scraper.next_scrape()
            fault = self._fault_events[0][0] if self._fault_events else float("inf")
            at = min(self._next_count, self._next_decision, scrape, fault)
            if at > until:
                return
            self.pool.advance(at)
            if at == fault:
                self._fault_events.pop(0)[1]()
            elif at == scrape:
                self.scraper.scrape(at)
            elif at == self._next_decision:
                self._next_decision += self.settings.control_interval_s
                self._decide(at)
            else:
                self._next_count += self._rng.uniform(*_COUNT_S)
                self._counts.append(self.pool.in_system)

    def _decide(self, now: float) -> None:
        facts = self._facts(now)
        view = self.scraper.window_view(now, self.controller.window_s)
        desired = self.controller.step(view, facts)
        replicas = min(max(desired.replicas, self.settings.minimum), self.settings.maximum)
        if replicas != self.pool.desired:
            self.journal.scalings.append(Scaling(now, self.pool.desired, replicas))
            self.pool.scale(replicas)
        for action in desired.actions:
            self.journal.actions.append(ActionRecord(now, action))
            self._act(action.kind)
        self.journal.timeline.append((now, replicas, facts.ready))

    def _act(self, kind: ActionKind) -> None:
        if kind is ActionKind.CACHE_ON:
            self.pool.cache_ttl_s = self.settings.cache_ttl_s
        elif kind is ActionKind.CACHE_OFF:
            self.pool.cache_ttl_s = None
        elif kind in (ActionKind.ROUTE_TO_FALLBACK, ActionKind.ROUTE_BACK):
            self.pool.to_fallback = kind is ActionKind.ROUTE_TO_FALLBACK

    def _facts(self, now: float) -> PoolFacts:
        pool, settings = self.pool, self.settings
        return PoolFacts(
            now=now,
            desired=pool.desired,
            ready=pool.count(Phase.READY),
            starting=pool.count(Phase.STARTING),
            draining=pool.count(Phase.DRAINING),
            minimum=settings.minimum,
            maximum=settings.maximum,
            cold_starts_s=tuple(pool.cold_starts_s),
            cache_available=settings.cache_ttl_s is not None,
            cache_on=pool.cache_ttl_s is not None,
            fallback_ready=pool.fallback.count(Phase.READY) if pool.fallback else 0,
            to_fallback=pool.to_fallback,
            healthy=self._probe(pool),
        )

    def _probe(self, pool: Pool) -> bool:
        """Ask every ready replica once: a request of ours fails as often as a caller's."""
        ready = pool.count(Phase.READY)
        return ready > 0 and all(self._probes.random() >= pool.error_ratio for _ in range(ready))


def _generator(stream: str, seed: int) -> random.Random:
    """Give each use its own stream: one draw more in the pool must not change the scrapes."""
    return random.Random(f"{stream} {seed}")  # noqa: S311, not for secrets


def _pool(settings: SimulationSettings, seed: int) -> Pool:
    fallback = None
    if settings.fallback is not None:
        fallback = Pool(
            settings.fallback.server,
            settings.cold_start,
            _generator("fallback", seed),
            replicas=settings.fallback.replicas,
        )
    return Pool(
        settings.server,
        settings.cold_start,
        _generator("pool", seed),
        replicas=settings.initial,
        fallback=fallback,
    )


def _little(trace: Trace, counts: list[int], outcomes: list[Outcome]) -> LittleLaw:
    duration = trace.duration_s
    ended: set[int] = set()
    spent = 0.0
    for outcome in outcomes:
        ended.add(outcome.request.identifier)
        spent += min(outcome.finish, duration) - outcome.request.arrival
    unfinished: list[Request] = [r for r in trace.requests() if r.identifier not in ended]
    spent += sum(duration - request.arrival for request in unfinished)
    counted = sum(counts) / len(counts) if counts else 0.0
    return LittleLaw(counted, spent / duration if duration > 0 else 0.0)
