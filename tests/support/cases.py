"""Situations and strategies for tests of cases, precedents and confidence."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from aurora.planner.cases import CaseFeatures, Precedent

NUMBERS = tuple(f.name for f in fields(CaseFeatures) if f.name not in {"action", "direction"})


def features(**over: Any) -> CaseFeatures:
    """A scale-up under load."""
    known: dict[str, Any] = {
        "action": "SCALE",
        "direction": "Up",
        "step": 1.0,
        "load_to_forecast": 0.9,
        "load_to_capacity": 1.3,
        "latency_to_objective": 1.5,
        "ttft_to_objective": 1.8,
        "saturation": 0.9,
        "server_errors": 0.0,
        "replicas_to_maximum": 0.25,
        "load_trend": 0.4,
        "hour": 14.0,
        "missing": 0.1,
    }
    return CaseFeatures(**(known | over))


any_features = st.builds(
    CaseFeatures,
    action=st.sampled_from(["SCALE", "CACHE"]),
    direction=st.sampled_from(["Up", "On", ""]),
    **{name: st.none() | st.floats(-1e6, 1e6) for name in NUMBERS},
)

VERDICTS = ("Regressed", "Neutral", "Improved", "Confounded", "NoData")

any_precedent = st.builds(
    Precedent,
    decision=st.just("d"),
    similarity=st.floats(0, 1),
    verdict=st.sampled_from(VERDICTS),
    action=st.just("SCALE"),
    age_days=st.floats(0, 400),
)
