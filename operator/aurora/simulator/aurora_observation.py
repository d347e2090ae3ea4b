"""A simulated pool as the operator's watches and queries would show it.

Readings go through the same rules as the operator's: a percentile below `metrics.minSamples` and a
scrape that is too old are missing, fewer pods than are ready make a number partial.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aurora.observe.facts import (
    EndpointFacts,
    ObjectKey,
    PodFacts,
    ProbeFacts,
    WorkloadFacts,
    WorkloadKey,
)
from aurora.observe.queries.settings import MetricsSettings
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation
from aurora.resources import ModelDeployment
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.view import MetricsView, PoolFacts
from aurora.simulator.view import Missing as NotSeen
from aurora.simulator.view import Reading as Seen

__all__ = ["METRICS", "Lookout", "model_of"]

METRICS: Final = MetricsSettings()
"""What an installation queries with when nothing is set."""
MIN_SAMPLES: Final = 20
"""Requests behind a percentile: fewer hold no single one above a p95. At 100 a model with less than
a request a second is judged blind for most of the day (docs/simulator.md)."""
_KEY: Final = ObjectKey("simulation", "model")
_FALLBACK: Final = ObjectKey("simulation", "fallback")
_NAMES: Final = frozenset({"simulated"})  # the pool and its fallback serve the same model
_WORKLOAD: Final = WorkloadKey("Deployment", *_KEY)
_TEMPLATE: Final = "simulated"
_DAY_S: Final = 86_400.0
_PERCENTILES: Final = frozenset({Signal.LATENCY_P95, Signal.TTFT_P95, Signal.TPOT_P95})
_GAUGES: Final = frozenset(
    {Signal.RUNNING, Signal.WAITING, Signal.KV_CACHE_RATIO, Signal.GPU_RATIO}
)


def model_of(settings: SimulationSettings) -> ModelDeployment:
    """One ModelDeployment in mode Auto; everything else is the default policy."""
    objectives = settings.objectives
    spec: dict[str, object] = {
        "targetRef": {"name": _KEY.name},
        "serviceRef": {"name": _KEY.name},
        "objectives": {
            "ttftP95": f"{round(objectives.ttft_s * 1000)}ms",
            "tpotP95": f"{round(objectives.tpot_s * 1000)}ms",
        },
        "metrics": {"minSamples": MIN_SAMPLES},
        "scaling": {"minReplicas": settings.minimum, "maxReplicas": settings.maximum},
        "autonomy": {"mode": "Auto"},
    }
    if settings.fallback is not None:
        spec["fallback"] = {"serviceRef": {"name": _FALLBACK.name, "port": 80}}
    metadata = {"name": _KEY.name, "namespace": _KEY.namespace, "uid": "simulated"}
    return ModelDeployment.parse({"metadata": metadata, "spec": spec})


@dataclass(slots=True)
class Lookout:
    """Observes one pool, cycle by cycle: some facts are about how long something has been so."""

    model: ModelDeployment
    _pods: list[PodFacts] = field(default_factory=list)
    _none_ready_since: float | None = None
    _away_since: float | None = None
    _probed: int = 0

    @property
    def key(self) -> ObjectKey:
        return _KEY

    def observe(self, view: MetricsView, pool: PoolFacts, at: float) -> ModelObservation:
        """Show the pool as it is at `at`, seconds since the epoch."""
        self._away_since = (self._away_since or at) if pool.to_fallback else None
        view = self._of_who_answers(view, at)
        self._pods = _pods(self._pods, pool, at)
        self._none_ready_since = None if _serving(pool) else (self._none_ready_since or at)
        self._probed = self._probed + pool.ready if pool.to_fallback and pool.healthy else 0
        fallback = self.model.spec.fallback
        return ModelObservation(
            model=self.model,
            target=_target(pool),
            pods=tuple(self._pods),
            endpoints=EndpointFacts(_KEY, _serving(pool), pool.desired, self._none_ready_since),
            fallback_endpoints=(
                EndpointFacts(_FALLBACK, pool.fallback_ready, pool.fallback_ready)
                if fallback is not None
                else None
            ),
            model_names=_NAMES,
            fallback_model_names=_NAMES,
            probe=ProbeFacts(self._probed) if pool.to_fallback else None,
            signals=dict(_signals(view, pool, at, self.model.spec.metrics.min_samples)),
        )

    def _of_who_answers(self, view: MetricsView, at: float) -> MetricsView:
        """While the fallback answers, nothing from before the switch counts against it."""
        if self._away_since is None:
            return view
        since = view.over(max(1.0, min(view.window_s, at - self._away_since)))
        return replace(view, error_ratio=since.error_ratio, request_rate=since.request_rate)


def _serving(pool: PoolFacts) -> int:
    """Ready endpoints behind the Service's name, whoever they belong to."""
    return pool.fallback_ready if pool.to_fallback else pool.ready


def _target(pool: PoolFacts) -> WorkloadFacts:
    return WorkloadFacts(
        key=_WORKLOAD,
        api_version="apps/v1",
        uid="simulated-target",
        resource_version="1",
        generation=1,
        observed_generation=1,
        replicas=pool.desired,
        ready_replicas=pool.ready,
        available_replicas=pool.ready,
        updated_replicas=pool.desired,
        match_labels={"app": _KEY.name},
        template_hash=_TEMPLATE,
    )


def _pods(known: list[PodFacts], pool: PoolFacts, at: float) -> list[PodFacts]:
    """Follow the number of ready replicas; a start is known once its pod is ready."""
    if len(known) >= pool.ready:
        # The ReplicaSet controller takes the youngest first.
        return known[: pool.ready]
    fresh = pool.ready - len(known)
    started = len(pool.cold_starts_s)
    starts: list[float | None] = list(pool.cold_starts_s[-fresh:]) if started else [None] * fresh
    return [*known, *(_pod(f"{started}-{n}", at, start) for n, start in enumerate(starts))]


def _pod(name: str, at: float, start_s: float | None) -> PodFacts:
    return PodFacts(
        key=ObjectKey(_KEY.namespace, f"{_KEY.name}-{name}"),
        uid=name,
        workload=_KEY.name,
        # A pod that was there before the run is too old to say anything about a start.
        created_at=at - (_DAY_S if start_s is None else start_s),
        scheduled_at=None,
        ready=True,
        ready_at=at,
        restarts=0,
        crash_looping=False,
        unschedulable="",
        deleting=False,
        template_hash=_TEMPLATE,
    )


def _signals(
    view: MetricsView, pool: PoolFacts, at: float, min_samples: int
) -> Iterator[tuple[Signal, Reading]]:
    stale = _stale(view)
    age = 0.0 if isinstance(view.age_s, NotSeen) else view.age_s
    for signal, (value, samples) in _seen(view).items():
        if stale is not None:
            yield signal, stale
        elif isinstance(value, NotSeen):
            yield signal, Missing(Gap.NO_DATA, value.reason)
        elif signal in _PERCENTILES and samples is not None and samples < min_samples:
            yield signal, Missing(Gap.NO_DATA, f"{samples:.0f} requests, {min_samples} wanted")
        else:
            window = 0.0 if signal in _GAUGES else view.window_s
            short = not pool.to_fallback and view.pods_reporting < pool.ready
            yield signal, Sample(value, at - age, window, samples, short)


def _stale(view: MetricsView) -> Missing | None:
    if view.pods_reporting == 0 or isinstance(view.age_s, NotSeen):
        return Missing(Gap.STALE, "no pod answers the scrape")
    if view.age_s > METRICS.stale_after_s:
        return Missing(Gap.STALE, f"the pods were last scraped {view.age_s:.0f} s ago")
    return None


def _seen(view: MetricsView) -> Mapping[Signal, tuple[Seen, float | None]]:
    """Each signal's number and how many requests are behind it."""
    finished, asked = _count(view.completion_rate, view), _count(view.request_rate, view)
    return {
        Signal.REQUEST_RATE: (view.completion_rate, finished),
        Signal.SERVER_ERROR_RATIO: (view.error_ratio, asked),
        Signal.LATENCY_P95: (view.e2e_p95, finished),
        Signal.LATENCY_MEAN: (view.e2e_mean, finished),
        Signal.TTFT_P95: (view.ttft_p95, view.ttft_samples),
        Signal.TPOT_P95: (view.tpot_p95, view.tpot_samples),
        Signal.TPOT_MEAN: (view.tpot_mean, view.tpot_samples),
        Signal.RUNNING: (view.running, None),
        Signal.WAITING: (view.waiting, None),
        Signal.KV_CACHE_RATIO: (view.kv_usage, None),
        Signal.GPU_RATIO: (view.utilisation, None),
        Signal.PROMPT_TOKEN_RATE: (view.prompt_token_rate, None),
        Signal.GENERATION_TOKEN_RATE: (view.generation_token_rate, None),
    }


def _count(rate: Seen, view: MetricsView) -> float | None:
    return None if isinstance(rate, NotSeen) else rate * view.window_s
