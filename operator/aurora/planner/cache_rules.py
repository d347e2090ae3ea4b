"""CACHE: armed at a calm moment, switched on when requests repeat, off when it does not pay."""

from typing import Final

from aurora.cachesidecar.estimate import HitRatio, Measured, expected_hit_ratio
from aurora.observe.sample import UNITS, Sample, Signal
from aurora.planner.decision import Candidate, Direction, Effect, Evidence, Rollback
from aurora.planner.inputs import Doubt, PlanInput, confidence_from, evidence_of
from aurora.planner.priority import Priority
from aurora.planner.reasons import PlanReason
from aurora.resources.vocabulary import Action, CacheMode

__all__ = ["arm", "batching_advised", "disarm", "switch_off", "switch_on"]

LEAST_HIT_RATIO: Final = 0.10
"""Below this the memory and the added hop cost more than the hits give."""
LEAST_KEPT_RATIO: Final = 0.05
"""A cache that is on is switched off below this: half of what switched it on, so it does not
flap."""
ARMING_LIMIT: Final = 2.5
"""Arming is undone when callers' mean latency rises above this multiple of what it was. At steady
load and no change at all, the bursts of the Azure trace move the mean of 30 s by up to 2.5."""
_CALM_RATIO: Final = 0.8


def arm(given: PlanInput) -> Candidate | None:
    """Put the sidecar in, passing everything through; a rollout, so only at a calm moment."""
    if given.state.armed or not given.observation.model.wants_cache or not _calm(given):
        return None
    mean = given.state.value(Signal.LATENCY_MEAN)
    return _candidate(
        given,
        Direction.ARM,
        PlanReason.CACHE_REQUESTED,
        f"spec.cache.mode is {given.spec.cache.mode}: the sidecar is put in now, while the model "
        "is calm, and passes everything through until it is switched on.",
        expected=_unharmed(given, mean),
        rollback_if=()
        if mean is None
        else (Rollback(Signal.LATENCY_MEAN, ARMING_LIMIT * mean, "s"),),
    )


def switch_on(given: PlanInput) -> Candidate | None:
    """Latency is high and requests repeat, or the user asks for the cache."""
    if not given.state.armed or given.cache_on or not _rolled_out(given):
        return None
    if given.spec.cache.mode is CacheMode.ON:
        return _candidate(
            given,
            Direction.ON,
            PlanReason.CACHE_REQUESTED,
            "spec.cache.mode is On and the sidecar is ready.",
        )
    why, hits = _high_latency(given), _expected_hits(given)
    if given.spec.cache.mode is CacheMode.OFF or not why or hits is None:
        return None
    if hits.low < LEAST_HIT_RATIO:
        return None
    replicas = given.replicas or 1
    return _candidate(
        given,
        Direction.ON,
        PlanReason.LATENCY_HIGH,
        f"{why} {_repeats(given):.0%} of the cacheable requests repeat within "
        f"{given.spec.cache.ttl.total_seconds():.0f} s; with {replicas} replicas, each with a "
        f"cache of its own, {hits.low:.0%} to {hits.high:.0%} would be answered at once.",
        expected=_faster(given, hits),
        doubts=(Doubt.EFFECT_ESTIMATED,),
    )


def switch_off(given: PlanInput) -> Candidate | None:
    """The hits are too few, or the user does not want the cache any more."""
    if not given.state.armed or not given.cache_on:
        return None
    if given.spec.cache.mode is CacheMode.OFF:
        return _candidate(
            given, Direction.OFF, PlanReason.CACHE_NOT_WANTED, "spec.cache.mode is Off."
        )
    reading = given.state.reading(Signal.CACHE_HIT_RATIO)
    if given.spec.cache.mode is CacheMode.ON or not isinstance(reading, Sample):
        return None
    if reading.value >= LEAST_KEPT_RATIO or reading.partial or _too_young(given):
        return None
    return _candidate(
        given,
        Direction.OFF,
        PlanReason.CACHE_NOT_PAYING,
        f"Only {reading.value:.1%} of the requests are answered by the cache, below "
        f"{LEAST_KEPT_RATIO:.0%}.",
        extra=evidence_of(given, Signal.CACHE_HIT_RATIO, threshold=LEAST_KEPT_RATIO),
    )


def disarm(given: PlanInput) -> Candidate | None:
    """Take the sidecar out where it is not wanted any more."""
    if not given.state.armed or given.cache_on or given.observation.model.wants_cache:
        return None
    if not _calm(given):
        return None
    return _candidate(
        given,
        Direction.DISARM,
        PlanReason.CACHE_NOT_WANTED,
        "spec.cache.mode is Off: the sidecar is taken out.",
    )


def batching_advised(given: PlanInput) -> Candidate | None:
    """Latency is high, but requests do not repeat: a cache would not help."""
    if not given.state.armed or given.cache_on or given.spec.cache.mode is not CacheMode.AUTO:
        return None
    why, hits = _high_latency(given), _expected_hits(given)
    if not why or hits is None or hits.high >= LEAST_HIT_RATIO:
        return None
    return Candidate(
        action=Action.ALERT,
        direction=Direction.NONE,
        reason=PlanReason.BATCHING_ADVISED,
        message=f"{why} A cache would not help: {_repeats(given):.1%} of the requests repeat.",
        priority=Priority.ALERT,
        evidence_confidence=confidence_from(given.doubts_about(Signal.REPEAT_RATIO)),
        evidence=evidence_of(given, Signal.REPEAT_RATIO, threshold=LEAST_HIT_RATIO),
        advice="Batching may: raise the engine's max-num-seqs or max-num-batched-tokens.",
    )


def _high_latency(given: PlanInput) -> str:
    """Which of the three latency triggers speaks, in a sentence; empty when none does."""
    value = given.state.solid(Signal.LATENCY_P95)
    if value is None:
        return ""
    goal = given.state.objectives.get(Signal.LATENCY_P95)
    if goal is not None and value > goal:
        return f"latencyP95 is {value:.3g} s, above its objective of {goal:.3g} s."
    baseline = given.state.baseline(Signal.LATENCY_P95)
    share = given.spec.triggers.baseline_percent / 100
    if baseline is not None and value > share * baseline.median:
        return (
            f"latencyP95 is {value:.3g} s, {value / baseline.median:.1f} times its usual "
            f"{baseline.median:.3g} s."
        )
    limit = given.spec.triggers.latency_p95.total_seconds()
    # A model that always takes longer than the general limit, and has an objective of its own
    # that it keeps, is no reason to act.
    if goal is None and value > limit:
        return f"latencyP95 is {value:.3g} s, above {limit:.3g} s."
    return ""


def _repeats(given: PlanInput) -> float:
    return given.state.value(Signal.REPEAT_RATIO) or 0.0


def _expected_hits(given: PlanInput) -> HitRatio | None:
    """Hit ratio to expect, from the repeats that the sidecars count while they pass through."""
    repeats = given.state.solid(Signal.REPEAT_RATIO)
    rate = given.state.value(Signal.REQUEST_RATE)
    ready = given.state.replicas.ready or 0
    if repeats is None or rate is None or rate <= 0 or ready < 1:
        return None
    ttl = given.spec.cache.ttl.total_seconds()
    measured = Measured(min(1.0, max(0.0, repeats)), rate, ttl, ready)
    return expected_hit_ratio(measured, replicas=max(1, given.replicas or ready), ttl_s=ttl)


def _faster(given: PlanInput, hits: HitRatio) -> Effect | None:
    """Hits take about a millisecond, so the callers' mean falls by the share of hits."""
    mean = given.state.value(Signal.LATENCY_MEAN)
    if mean is None:
        return None
    low, high = (1 - hits.high) * mean, (1 - hits.low) * mean
    by = given.spec.autonomy.verification.after.total_seconds()
    return Effect(Signal.LATENCY_MEAN, (low + high) / 2, low, high, "s", by)


def _unharmed(given: PlanInput, mean: float | None) -> Effect | None:
    if mean is None:
        return None
    by = given.state.cold_start.p90_s
    unit = UNITS[Signal.LATENCY_MEAN]
    return Effect(Signal.LATENCY_MEAN, mean, mean, ARMING_LIMIT * mean, unit, by, keeps=True)


def _rolled_out(given: PlanInput) -> bool:
    """Every pod is of the current template and ready: each of them has the sidecar, or none."""
    replicas = given.state.replicas
    return replicas.spec is not None and replicas.ready == replicas.spec == replicas.updated


def _calm(given: PlanInput) -> bool:
    """No fault, no breach near, nothing starting: a rollout now adds to no trouble.

    Settled as well: the latency that arming is held against must be of a whole window.
    """
    state, pods = given.state, given.state.pods
    ratio = state.saturation.slo_ratio
    easy = ratio is None or ratio < _CALM_RATIO
    known = state.value(Signal.REQUEST_RATE) is not None
    steady = _rolled_out(given) and known and state.settled
    return steady and easy and not (pods.crash_looping or given.fallback_open)


def _too_young(given: PlanInput) -> bool:
    """A cache that was just switched on has had no time to fill."""
    since = given.cache_on_since
    wait = given.spec.cache.ttl + given.spec.autonomy.verification.after
    return since is None or given.at - since < wait.total_seconds()


def _candidate(  # noqa: PLR0913 - the parts of one proposal, all by keyword
    given: PlanInput,
    direction: Direction,
    reason: PlanReason,
    message: str,
    *,
    expected: Effect | None = None,
    rollback_if: tuple[Rollback, ...] = (),
    doubts: tuple[Doubt, ...] = (),
    extra: tuple[Evidence, ...] = (),
) -> Candidate:
    before, after = _STATES[direction]
    evidence = (
        *extra,
        *evidence_of(given, Signal.LATENCY_P95),
        *evidence_of(given, Signal.LATENCY_MEAN),
        *evidence_of(given, Signal.REPEAT_RATIO),
    )
    every = (*doubts, *given.doubts_about(Signal.LATENCY_P95, Signal.REPEAT_RATIO))
    adds = direction in {Direction.ARM, Direction.ON}
    return Candidate(
        action=Action.CACHE,
        direction=direction,
        reason=reason,
        message=message,
        priority=Priority.CACHE_ON if adds else Priority.CACHE_OFF,
        evidence_confidence=confidence_from(every),
        evidence=evidence,
        before={"cache": before},
        after={"cache": after},
        expected=expected,
        rollback_if=rollback_if,
    )


_STATES: Final = {
    Direction.ARM: ("none", "armed"),
    Direction.ON: ("armed", "on"),
    Direction.OFF: ("on", "armed"),
    Direction.DISARM: ("armed", "none"),
}
