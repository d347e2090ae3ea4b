"""AURORA's own cache exporter: what callers see, hits included.

With the cache on, an engine's histograms hold only the misses, so these latencies go first.
"""

from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.promql import Label
from aurora.observe.sample import Signal

__all__ = ["CACHE"]

_SECONDS = "aurora_cache_request_seconds"
_REQUESTS = "aurora_cache_requests_total"
_CACHEABLE = "aurora_cache_cacheable_total"
# nginx's $upstream_cache_status of answers that did not wait for the engine.
_HIT = Label("status", "=~", "(?i:hit|stale|updating|revalidated)")

CACHE = Preset(
    source=Source.CACHE,
    alive=_REQUESTS,
    alive_labels=("status",),
    signals={
        Batch.CALLERS: {
            Signal.LATENCY_P95: lambda f: f.quantile(_SECONDS),
            Signal.LATENCY_MEAN: lambda f: f.mean(_SECONDS),
            Signal.CACHE_HIT_RATIO: lambda f: f.ratio(f.rate(_REQUESTS, _HIT), f.rate(_REQUESTS)),
            Signal.REPEAT_RATIO: lambda f: f.ratio(
                f.rate("aurora_cache_repeats_total"), f.rate(_CACHEABLE)
            ),
        }
    },
    samples={
        Signal.LATENCY_P95: lambda f: f.grouped(f.increase(f"{_SECONDS}_count")),
        Signal.CACHE_HIT_RATIO: lambda f: f.grouped(f.increase(_REQUESTS)),
        Signal.REPEAT_RATIO: lambda f: f.grouped(f.increase(_CACHEABLE)),
    },
)
