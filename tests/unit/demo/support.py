"""Scenes in a few words. Times are seconds; a run begins at 1,000."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aurora.demo.scenario import MODELS
from aurora.demo.seen import Bucket, Scene, SeenDecision, SeenModel
from aurora.resources.vocabulary import Action, Direction, OutcomeVerdict, Phase

BEGUN = 1000.0


def decision(model: str = "chat", **changes: Any) -> SeenDecision:
    """An executed SCALE that was judged Improved, unless told otherwise."""
    made = SeenDecision(
        name=f"{model}-1",
        model=model,
        action=Action.SCALE,
        direction=Direction.UP,
        before={"replicas": "2"},
        after={"replicas": "4"},
        reason="ObjectiveViolated",
        message="It was too slow.",
        confidence_percent=85,
        phase=Phase.COMPLETED,
        decided_at=BEGUN + 10.0,
        executed_at=BEGUN + 11.0,
        verdict=OutcomeVerdict.IMPROVED,
        outcome="ttftP95 was 0.3 s",
    )
    return replace(made, **changes)


def buckets(*parts: tuple[float, float, float], errors: Sequence[float] = ()) -> tuple[Bucket, ...]:
    """Buckets of 35 calls from (start, end, p95 in seconds); `errors` is the share per part."""
    found = []
    for place, (start, end, p95) in enumerate(parts):
        share = errors[place] if errors else 0.0
        at = start
        while at < end:
            found.append(Bucket(at, 35, round(35 * share), 0, p95, p95))
            at += 5.0
    return tuple(found)


def model(name: str, **changes: Any) -> SeenModel:
    made = SeenModel(
        name, 2, 2, {"ttftP95": 2.0}, "Off", "primary", True, "", buckets((900.0, 1200.0, 0.3))
    )
    return replace(made, **changes)


def scene(
    *decisions: SeenDecision,
    at: float = BEGUN + 200.0,
    begun: Mapping[str, float] | None = None,
    **changes: dict[str, Any],
) -> Scene:
    """Every model well, but for the changes given by model name."""
    models = {name: model(name, **changes.get(name, {})) for name in MODELS}
    return Scene(at, models, decisions, {"load": BEGUN} if begun is None else begun)
