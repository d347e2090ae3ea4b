"""Prometheus' answer to an instant query as a psi field reading.

The endpoint is then the query itself: `http://prometheus:9090/api/v1/query?query=...`. One series,
or a scalar, is the density; series named `psi_density`, `psi_coherence` and `psi_entropy` (with or
without the prefix) are the three. https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["NAMES", "is_prometheus", "reading_of"]

DENSITY: Final = "density"
NAMES: Final = (DENSITY, "coherence", "entropy")
"""What a reading is made of."""


def is_prometheus(answer: object) -> bool:
    """Whether an answer is of Prometheus' query API."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    return isinstance(data, Mapping) and "resultType" in data


def reading_of(answer: Mapping[str, Any]) -> Mapping[str, float]:
    """Density, coherence and entropy, as far as the query found them; empty without a series.

    Raises:
        ValueError: the answer is partial, ambiguous, or no instant value.
    """
    if answer.get("warnings"):
        raise ValueError(f"Prometheus answered in part: {answer['warnings'][0]}")
    kind, result = answer["data"]["resultType"], answer["data"].get("result") or []
    if kind == "scalar":
        return {DENSITY: float(result[1])}
    if kind != "vector":
        raise ValueError(f"the query gives a {kind}; ask for an instant vector or a scalar")
    if len(result) == 1:
        return {_name(result[0]) or DENSITY: float(result[0]["value"][1])}
    return _named(result)


def _named(series: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    found = {_name(one): float(one["value"][1]) for one in series}
    if len(found) < len(series) or "" in found:
        raise ValueError(
            f"the query gives {len(series)} series; aggregate it to one, or name them psi_density, "
            "psi_coherence and psi_entropy"
        )
    return found


def _name(one: Mapping[str, Any]) -> str:
    """What a series says; empty when its name does not tell."""
    name = str(one.get("metric", {}).get("__name__", "")).removeprefix("psi_")
    return name if name in NAMES else ""
