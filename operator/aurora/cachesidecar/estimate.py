"""What a cache is worth before it is on: hit ratio over replicas, and what callers would see.

Derivation. A key is requested by a Poisson process of rate k; an answer stays valid for T after it
was stored and is not renewed by hits. Each cycle is one miss followed by kT expected hits, so the
key's hit ratio is kT / (1 + kT) (renewal argument, as in Jung, Berger and Balakrishnan, "Modeling
TTL-based Internet caches", INFOCOM 2003). N pods behind a balancer each see the rate k/N.

Let g be a key's hit ratio as measured. With s = (T' / T) / (N' / N) it becomes
f(g) = s g / (1 - g + s g). Only the mean r of g over requests is known, its spread is not. For
s < 1 (more pods, shorter TTL) f is convex, so f(r) is the least possible mean (Jensen) and the most
is reached when every key is either never repeated or as hot as all traffic together; for s > 1 the
two change places. The planner decides on the lower one.
"""

from dataclasses import dataclass

from aurora.errors import UsageError

__all__ = ["HitRatio", "Measured", "callers_quantile", "expected_hit_ratio"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the exporters measured, all pods together.

    Attributes:
        repeat_share: `aurora_cache_repeats_total` over `aurora_cache_cacheable_total`, 0 to 1.
        request_rate: cacheable requests per second over all pods.
        ttl_s, replicas: under which it was measured.
    """

    repeat_share: float
    request_rate: float
    ttl_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class HitRatio:
    """Bounds on the share of cacheable requests that hits would answer, 0 to 1."""

    low: float
    high: float


def expected_hit_ratio(measured: Measured, *, replicas: int, ttl_s: float) -> HitRatio:
    """Return the bounds of the hit ratio with that many pods, each with its own cache.

    Raises:
        UsageError: a share outside 0..1, or a rate, TTL or count that is not positive.
    """
    if not 0 <= measured.repeat_share <= 1:
        raise UsageError(f"repeat share {measured.repeat_share}: use 0 to 1")
    positive = (measured.request_rate, measured.ttl_s, measured.replicas, replicas, ttl_s)
    if not all(value > 0 for value in positive):
        raise UsageError("request rate, ttl and replicas must be above 0 to estimate a hit ratio")
    # No key is hotter than all traffic together; a short measurement may seem to say so.
    busiest = measured.request_rate * measured.ttl_s / measured.replicas
    hottest = busiest / (1 + busiest)
    share = min(measured.repeat_share, hottest)
    scale = (ttl_s / measured.ttl_s) * (measured.replicas / replicas)
    evenly = _scaled(share, scale)
    apart = share / hottest * _scaled(hottest, scale)
    return HitRatio(min(evenly, apart), max(evenly, apart))


def _scaled(hit_ratio: float, scale: float) -> float:
    return scale * hit_ratio / (1 - hit_ratio + scale * hit_ratio)


def callers_quantile(quantile: float, *, hit_ratio: float) -> float | None:
    """Return which quantile of the engine's latency is the callers' quantile.

    Hits take about a millisecond, so callers' latency mixes a point near zero of weight h with the
    engine's distribution: P(T <= t) = h + (1 - h) F(t), and the callers' q-quantile is the engine's
    (q - h) / (1 - h). None means that a hit itself is at that quantile.

    Args:
        quantile: 0 to 1, for example 0.95.
        hit_ratio: share of all requests, cacheable or not, that hits answer, 0 to 1.
    """
    if hit_ratio >= quantile:
        return None
    return (quantile - hit_ratio) / (1 - hit_ratio)
