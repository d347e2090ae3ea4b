"""A Prometheus in small: scrapes, loses and delays samples, and answers range queries.

Each target has its own phase in the scrape interval. A sample becomes visible some seconds after
it was taken, and some never do. A pod that is gone leaves no instant value (a staleness marker)
but stays in the window of a range query.
"""

import random
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aurora.errors import UsageError
from aurora.simulator.metrics import (
    E2E_BOUNDS,
    TPOT_BOUNDS,
    TTFT_BOUNDS,
    gateway_metrics,
    server_metrics,
)
from aurora.simulator.pod import Phase, Pod
from aurora.simulator.pool import Pool
from aurora.simulator.promql import increase
from aurora.simulator.signals import (
    NO_SAMPLES,
    count_of,
    mean_gauge,
    mean_of,
    quantile_of,
    rate,
    ratio,
    sum_of,
)
from aurora.simulator.view import MetricsView, Missing, Reading, distorted

__all__ = ["ScrapeSettings", "Scraper"]

Floats = npt.NDArray[np.float64]

_SERVER = server_metrics().layout()
_GATEWAY = gateway_metrics().layout()
_GATEWAY_TARGET = -1
# Prometheus' own lookback for instant values, seconds.
_LOOKBACK_S = 300.0
# Samples older than this serve no window that a controller asks for, seconds.
_KEEP_S = 1_800.0


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """How metrics reach a controller.

    Attributes:
        interval_s: scrape interval, seconds.
        delay_s: bounds of the time from a scrape until queries see it, seconds.
        missing: share of the scrapes that fail, 0 to 1.
    """

    interval_s: float = 15.0
    delay_s: tuple[float, float] = (5.0, 15.0)
    missing: float = 0.02

    def __post_init__(self) -> None:
        low, high = self.delay_s
        if not (self.interval_s > 0 and 0 <= low <= high and 0 <= self.missing < 1):
            raise UsageError("scrapes need interval > 0, 0 <= delay low <= high, 0 <= missing < 1")


@dataclass(slots=True)
class _Target:
    """One scrape target with its samples."""

    next_scrape: float
    gone: bool = False
    times: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)
    gauges: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, at: float, visible: float, vector: Floats, gauges: tuple[float, ...]) -> None:
        # Samples are ingested in order: a fast one waits for a slow predecessor.
        visible = max(visible, self.visible[-1] if self.visible else visible)
        self.times.append(at)
        self.visible.append(visible)
        self.vectors.append(vector)
        self.gauges.append(gauges)
        if self.times[0] < at - 2 * _KEEP_S:
            old = bisect_left(self.times, at - _KEEP_S)
            del self.times[:old], self.visible[:old], self.vectors[:old], self.gauges[:old]

    def inside(self, start: float, now: float) -> range:
        """Give the indices of the samples in `(start, now]` that are visible."""
        last = len(self.times)
        while last and (self.visible[last - 1] > now or self.times[last - 1] > now):
            last -= 1
        first = last
        while first and self.times[first - 1] > start:
            first -= 1
        return range(first, last)


class Scraper:
    """Collects from a pool and answers what controllers ask."""

    def __init__(self, pool: Pool, settings: ScrapeSettings, rng: random.Random) -> None:
        self.settings = settings
        self.blackout = False
        self.latency_factor = 1.0  # what every latency is wrong by
        self._pool = pool
        self._rng = rng
        self._targets: dict[int, _Target] = {}
        self._living: set[int] = set()
        self._next_scrape = 0.0
        self._discover(pool.now)

    def next_scrape(self) -> float:
        """When the next target is due, seconds."""
        return self._next_scrape

    def scrape(self, now: float) -> None:
        """Scrape every target that is due; the pool has been advanced to `now`."""
        self._discover(now)
        pods = {pod.number: pod for pod in self._pool.pods}
        for number, target in self._targets.items():
            if target.gone or target.next_scrape > now:
                continue
            target.next_scrape += self.settings.interval_s
            if self.blackout or self._rng.random() < self.settings.missing:
                continue
            visible = now + self._rng.uniform(*self.settings.delay_s)
            if number == _GATEWAY_TARGET:
                gauges: tuple[float, ...] = (float(self._pool.gateway_waiting),)
                target.add(now, visible, self._pool.gateway.vector(), gauges)
            elif pods[number].phase is not Phase.STARTING:  # nothing listens yet
                pod = pods[number]
                pod.expose()
                target.add(now, visible, pod.metrics.vector(), _server_gauges(pod))
        self._plan()

    def window_view(self, now: float, window_s: float) -> MetricsView:
        """Evaluate every query at `now` over the last `window_s` seconds."""
        self._discover(now)
        window = _Window(now, window_s, self._targets)
        server, gateway = window.increases(gateway=False), window.increases(gateway=True)
        gauges, waiting = window.gauges(gateway=False), window.gauges(gateway=True)
        view = MetricsView(
            now=now,
            window_s=window_s,
            request_rate=rate(gateway, _GATEWAY, "requests", window_s),
            completion_rate=rate(server, _SERVER, "success", window_s),
            error_ratio=ratio(gateway, _GATEWAY, "errors", "requests"),
            ttft_p90=quantile_of(server, _SERVER["ttft"], TTFT_BOUNDS, 0.90),
            ttft_p95=quantile_of(server, _SERVER["ttft"], TTFT_BOUNDS, 0.95),
            tpot_p90=quantile_of(server, _SERVER["tpot"], TPOT_BOUNDS, 0.90),
            tpot_p95=quantile_of(server, _SERVER["tpot"], TPOT_BOUNDS, 0.95),
            tpot_mean=mean_of(server, _SERVER["tpot"]),
            e2e_p95=quantile_of(server, _SERVER["e2e"], E2E_BOUNDS, 0.95),
            e2e_mean=mean_of(server, _SERVER["e2e"]),
            caller_e2e_p95=quantile_of(gateway, _GATEWAY["e2e"], E2E_BOUNDS, 0.95),
            running=sum_of(gauges, 0),
            waiting=sum_of(gauges, 1),
            gateway_waiting=sum_of(waiting, 0),
            kv_usage=mean_gauge(gauges, 2),
            utilisation=_busy(server, window_s, window.rated_pods),
            prompt_token_rate=rate(server, _SERVER, "prompt_tokens", window_s),
            generation_token_rate=rate(server, _SERVER, "generation_tokens", window_s),
            cache_hit_ratio=_hit_ratio(server),
            ttft_samples=count_of(server, _SERVER["ttft"]),
            tpot_samples=count_of(server, _SERVER["tpot"]),
            age_s=window.age(),
            pods_reporting=len(gauges),
            source=lambda other: self.window_view(now, other),
        )
        return view if self.latency_factor == 1.0 else distorted(view, self.latency_factor)

    def _discover(self, now: float) -> None:
        """Follow the pods, as service discovery does."""
        alive = {pod.number for pod in self._pool.pods} | {_GATEWAY_TARGET}
        if alive == self._living:
            return
        self._living = alive
        for number in alive - self._targets.keys():
            phase = self._rng.uniform(0.0, self.settings.interval_s)
            self._targets[number] = _Target(next_scrape=now + phase)
        for number in self._targets.keys() - alive:
            self._targets[number].gone = True
        expired = [n for n, t in self._targets.items() if t.gone and _expired(t, now)]
        for number in expired:
            del self._targets[number]
        self._plan()

    def _plan(self) -> None:
        self._next_scrape = min(t.next_scrape for t in self._targets.values() if not t.gone)


def _expired(target: _Target, now: float) -> bool:
    return not target.times or target.times[-1] < now - _KEEP_S


def _server_gauges(pod: Pod) -> tuple[float, ...]:
    replica = pod.replica
    return float(replica.running), float(replica.waiting), replica.kv_usage


class _Window:
    """One evaluation: the targets' samples in `(now - window_s, now]`."""

    def __init__(self, now: float, window_s: float, targets: dict[int, _Target]) -> None:
        self.now = now
        self.window_s = window_s
        self.rated_pods = 0
        self._targets = targets

    def _of(self, *, gateway: bool) -> Iterable[_Target]:
        for number, target in self._targets.items():
            if (number == _GATEWAY_TARGET) == gateway:
                yield target

    def increases(self, *, gateway: bool) -> Floats | None:
        """Sum the increase of every counter over the targets; None when none has two samples."""
        start = self.now - self.window_s
        total: Floats | None = None
        for target in self._of(gateway=gateway):
            inside = target.inside(start, self.now)
            times = [target.times[i] for i in inside]
            rows = [target.vectors[i] for i in inside]
            grown = increase(times, rows, start=start, end=self.now)
            if grown is not None:
                total = grown if total is None else total + grown
                self.rated_pods += not gateway
        return total

    def gauges(self, *, gateway: bool) -> list[tuple[float, ...]]:
        """Give the newest visible gauges of each target that is not stale."""
        found = []
        for target in self._of(gateway=gateway):
            inside = target.inside(self.now - _LOOKBACK_S, self.now)
            if inside and not target.gone:
                found.append(target.gauges[inside[-1]])
        return found

    def age(self) -> Reading:
        """Give the age of the newest visible sample of any pod, seconds."""
        newest = [
            target.times[inside[-1]]
            for target in self._of(gateway=False)
            if not target.gone and (inside := target.inside(self.now - _LOOKBACK_S, self.now))
        ]
        return self.now - max(newest) if newest else Missing("no pod has a sample in 5 min")


def _hit_ratio(grown: Floats | None) -> Reading:
    if grown is None:
        return NO_SAMPLES
    hits = float(grown[_SERVER["cache_hits"]][0])
    lookups = hits + float(grown[_SERVER["cache_misses"]][0])
    return hits / lookups if lookups > 0.0 else Missing("no cache lookup in the window")


def _busy(grown: Floats | None, window_s: float, pods: int) -> Reading:
    if grown is None or pods == 0:
        return NO_SAMPLES
    return min(1.0, float(grown[_SERVER["busy_s"]][0]) / window_s / pods)
