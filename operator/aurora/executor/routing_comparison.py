"""What a RoutingPolicy's status tells of the learned weights against the rules. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aurora.executor.projections import number, weights_text
from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.learned import learned_side, rules_side
from aurora.planner.routing.points import LEAST_MOVED, points
from aurora.resources.routing_learning import ComparisonStatus, ComparisonVerdict, SideStatus
from aurora.routing.evaluation.always_valid import AlwaysValid, always_valid
from aurora.routing.evaluation.comparison import Moments
from aurora.state.routing_memory import SideMoments

__all__ = ["SIGNIFICANT", "comparison_of"]

SIGNIFICANT: Final = 0.05
GROWN: Final = 1.25
"""Told anew when the blocks grew by this factor: every five minutes nobody reads it."""


def comparison_of(given: RoutingInput, before: ComparisonStatus | None) -> ComparisonStatus | None:
    """The comparison that a reader should see now; None of a policy that does not learn."""
    memory = given.learned
    if memory is None:
        return None
    versus = memory.versus
    found = always_valid(versus.difference, significance_level=SIGNIFICANT)
    since = versus.since
    made = ComparisonStatus(
        verdict=_verdict(found),
        blocks=versus.difference.count,
        since=datetime.fromtimestamp(int(since), UTC) if since is not None else None,
        learned=_side(versus.learned, learned_side(given, memory)),
        rules=_side(versus.rules, rules_side(given, memory)),
        difference=_short(found.mean) if found is not None else None,
        difference_low=_short(found.lower) if found is not None else None,
        difference_high=_short(found.upper) if found is not None else None,
        p_value=_short(found.p_value) if found is not None else None,
    )
    return made if before is None or _is_news(made, before) else before


def _is_news(made: ComparisonStatus, before: ComparisonStatus) -> bool:
    if (made.verdict, made.since) != (before.verdict, before.since):
        return True
    if any(_moved(getattr(made, side), getattr(before, side)) for side in ("learned", "rules")):
        return True
    return made.blocks >= GROWN * before.blocks and made.blocks != before.blocks


def _moved(made: SideStatus, before: SideStatus) -> bool:
    """Whether a side's weights are others than were told; a few points are the same."""
    now, then = _weights(made), _weights(before)
    if now.keys() != then.keys():
        return True
    return any(abs(weight - then[name]) >= LEAST_MOVED for name, weight in now.items())


def _weights(side: SideStatus) -> dict[str, int]:
    """The weights of a text; what is none has none: a status is input like any other."""
    parts = (one.partition("=") for one in side.weights.split())
    return {name: int(value) for name, _, value in parts if value.isascii() and value.isdecimal()}


def _verdict(found: AlwaysValid | None) -> ComparisonVerdict:
    if found is None:
        return ComparisonVerdict.TOO_FEW
    if found.p_value >= SIGNIFICANT:
        return ComparisonVerdict.NO_DIFFERENCE
    better = found.mean > 0.0
    return ComparisonVerdict.LEARNED_BETTER if better else ComparisonVerdict.RULES_BETTER


def _side(side: SideMoments, shares: Mapping[str, float]) -> SideStatus:
    reward = always_valid(side.reward, significance_level=SIGNIFICANT)
    return SideStatus(
        weights=weights_text(points(shares)),
        reward=_mean(side.reward),
        reward_low=_short(reward.lower) if reward is not None else None,
        reward_high=_short(reward.upper) if reward is not None else None,
        error_ratio=_mean(side.failures),
        latency_mean=_mean(side.seconds),
    )


def _mean(moments: Moments) -> Decimal | None:
    return _short(moments.mean) if moments.count else None


def _short(value: float) -> Decimal:
    """Four significant digits."""
    return Decimal(number(float(f"{value:.4g}")))
