"""Cases as vectors and as sentences. Pure.

Each feature is a point on a circle, so that the inner product of two vectors is a weighted mean of
how well their features agree, and every vector has length 1:

    known x in [0, 1]    sqrt(w) (cos(pi x), sin(pi x), 0)      agreement cos(pi |x - y|)
    hour of the day      sqrt(w) (cos(2 pi h / 24), sin(2 pi h / 24), 0)
    no data              sqrt(w) (0, 0, 1)                      1 with no data, 0 with any value

Equal situations give 1; features a third of their range apart give 0.5 and half of it 0; opposite
ends count against. No data is its own place, never the value 0. The weights sum to 1. Action and
direction are no coordinates: cases of another pair are never compared at all (see `kind_of`).

    scale      x                        used for
    ratio      r / (1 + r)              ratios to an objective, baseline, forecast, capacity
    share      s, cut to 0..1           saturation, hit ratio, drift, accuracy
    error      sqrt(s)                  error shares: 0 and 5 % differ as much as 30 and 60 %
    signed     1/2 + atan(v) / pi       trend and step
    hour       around the clock
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from aurora.planner.cases import CaseFeatures

__all__ = ["DIMENSION", "FEATURES", "LAYOUT", "case_text", "case_vector", "kind_of"]

FEATURES: Final[Mapping[str, tuple[str, float]]] = {
    "step": ("signed", 2.0),
    "load_to_forecast": ("ratio", 2.0),
    "load_to_capacity": ("ratio", 3.0),
    "latency_to_objective": ("ratio", 3.0),
    "ttft_to_objective": ("ratio", 2.0),
    "tpot_to_objective": ("ratio", 2.0),
    "latency_to_baseline": ("ratio", 2.0),
    "saturation": ("share", 3.0),
    "server_errors": ("error", 3.0),
    "client_errors": ("error", 2.0),
    "replicas_to_maximum": ("share", 1.0),
    "load_trend": ("signed", 2.0),
    "repeats": ("share", 2.0),
    "cache_hits": ("share", 1.0),
    "drift": ("share", 2.0),
    "accuracy": ("share", 2.0),
    "hour": ("hour", 1.0),
    "missing": ("share", 1.0),
}
"""Scale and relative weight of every feature: 3 what triggers most actions, 1 the surroundings."""

_SCALES: Final[Mapping[str, Callable[[float], float]]] = {
    "ratio": lambda value: math.pi * max(0.0, value) / (1.0 + max(0.0, value)),
    "share": lambda value: math.pi * min(1.0, max(0.0, value)),
    "error": lambda value: math.pi * math.sqrt(min(1.0, max(0.0, value))),
    "signed": lambda value: math.pi / 2.0 + math.atan(value),
    "hour": lambda value: 2.0 * math.pi * value / 24.0,
}
"""From a finite value to the angle of its point."""

_TOTAL: Final = sum(weight for _, weight in FEATURES.values())

DIMENSION: Final = 3 * len(FEATURES)

LAYOUT: Final = "1"
"""Raise it with every change of FEATURES or a scale: an index of another layout is rebuilt."""

_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    ("load_to_capacity", "load at {:.2f} of capacity"),
    ("load_to_forecast", "load at {:.2f} of the forecast"),
    ("latency_to_objective", "p95 latency {:.2f} x its objective"),
    ("ttft_to_objective", "p95 time to first token {:.2f} x its objective"),
    ("tpot_to_objective", "p95 time per token {:.2f} x its objective"),
    ("latency_to_baseline", "p95 latency {:.2f} x its baseline"),
    ("saturation", "saturation {:.0%}"),
    ("server_errors", "{:.1%} server errors"),
    ("client_errors", "{:.1%} client errors"),
    ("replicas_to_maximum", "{:.0%} of the maximum replicas"),
    ("load_trend", "load changing by {:+.0%} an hour"),
    ("repeats", "{:.0%} of requests repeated"),
    ("cache_hits", "cache hit ratio {:.0%}"),
    ("drift", "drift score {:.2f}"),
    ("accuracy", "accuracy {:.0%}"),
    ("missing", "{:.0%} of signals missing"),
)


def kind_of(features: CaseFeatures) -> str:
    """What two cases must share to be compared: scaling up teaches nothing on scaling down."""
    return f"{features.action}/{features.direction}"


def case_vector(features: CaseFeatures) -> tuple[float, ...]:
    """The case's point, `DIMENSION` numbers, of length 1."""
    found: list[float] = []
    for name, (scale, weight) in FEATURES.items():
        value = getattr(features, name)
        size = math.sqrt(weight / _TOTAL)
        if value is None or not math.isfinite(value):
            found += (0.0, 0.0, size)
            continue
        angle = _SCALES[scale](value)
        found += (size * math.cos(angle), size * math.sin(angle), 0.0)
    return tuple(found)


def case_text(features: CaseFeatures, reason: str) -> str:
    """The case in one sentence, without names, for an embedding of its meaning.

    Args:
        features: what is None is not mentioned.
        reason: CamelCase name of the rule that proposed the action.
    """
    action = f"{features.action} {features.direction}".strip()
    known = ((phrase, getattr(features, name)) for name, phrase in _PHRASES)
    parts = [phrase.format(value) for phrase, value in known if value is not None]
    situation = ", ".join(parts) if parts else "no measured signal"
    return f"{action} because of {_words(reason)}: {situation}."


def _words(reason: str) -> str:
    """LatencyHigh becomes latency high, which is what a language model was trained on."""
    spaced = "".join(f" {char.lower()}" if char.isupper() else char for char in reason)
    return spaced.strip()
