"""Results as text for a person."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from aurora.routing.evaluation.comparison import Moments, Side
from aurora.routing.replay.ab import Trial
from aurora.routing.replay.frontier import spread_of

__all__ = ["agreement", "quality", "trials", "trials_as_json"]


def quality(found: Mapping[str, Any]) -> str:
    """One line a router, the cheapest first."""
    accuracy, costs = found["accuracy"], found["costs"]
    head = (
        f"{found['requests']} requests; {found['models']['weak']} {accuracy['weak']:.1%} at "
        f"{costs['weak']:g}, {found['models']['strong']} {accuracy['strong']:.1%} at "
        f"{costs['strong']:g}; wanted {accuracy['wanted']:.1%}"
    )
    lines = [head, f"{'router':16} {'cost':>15} {'of strong':>10}"]
    rows = sorted(found["routers"], key=lambda row: row["cost"]["mean"] if row["cost"] else 1e9)
    lines += [_quality_row(row, found["seeds"]) for row in rows]
    lines.append(f"{'(oracle)':16} {found['oracle_cost']:9.2f}")
    return "\n".join(lines)


def _quality_row(row: Mapping[str, Any], seeds: int) -> str:
    if row["cost"] is None:
        return f"{row['router']:16} {row['note']}"
    half = row["cost"]["half_width"]
    spread = "" if half is None else f" ±{half:.2f}"
    reached = row["seeds_that_reached"]
    note = "" if reached == seeds else f"  reached by {reached} of {seeds} seeds"
    cost = f"{row['cost']['mean']:.2f}{spread}"
    return f"{row['router']:16} {cost:>15} {row['percent_of_strong']:8.1f} %{note}"


def agreement(found: Mapping[str, Any]) -> str:
    """The logged value and how many estimates fall within its bounds."""
    bounds, count = found["logged_interval"], found["thinned_logs"]
    head = (
        f"{found['samples']} steps; the uniform policy earned {found['logged_value']:.5f} "
        f"[{bounds['lower']:.5f}, {bounds['upper']:.5f}] ({bounds['bound']}, 95 %)"
    )
    lines = [head, f"estimates from {count} thinned logs within these bounds:"]
    lines += [
        f"  {name:6} {inside} of {count}"
        for name, inside in found["within_logged_interval"].items()
    ]
    return "\n".join(lines)


def trials_as_json(
    names: Sequence[str], trials: Sequence[Trial], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Both sides with intervals, the difference with its test, and the spread over seeds."""
    first = trials[0]
    differences = [one.reward.difference for one in trials if one.reward.difference is not None]
    spread = spread_of(differences)
    return {
        **facts,
        "sides": [
            {
                "side": side.value,
                "policy": name,
                "requests": first.accuracy[side].count,
                "reward": _interval(getattr(first.reward, side.value)),
                "accuracy": _interval(first.accuracy[side]),
                "cost": _interval(first.cost[side]),
            }
            for side, name in zip(Side, names, strict=True)
        ],
        "difference": {
            "mean": first.reward.difference,
            "lower": first.reward.lower,
            "upper": first.reward.upper,
            "p_value": first.reward.p_value,
            "verdict": first.reward.verdict.value,
        },
        "seeds": len(trials),
        "difference_over_seeds": spread and {"mean": spread.mean, "half_width": spread.half_width},
        "verdicts_over_seeds": _counted([one.reward.verdict.value for one in trials]),
    }


def trials(found: Mapping[str, Any]) -> str:
    """Two lines for the sides, one for the difference."""
    lines = [f"{'side':10} {'requests':>8} {'reward':>17} {'accuracy':>17} {'cost':>15}"]
    for side in found["sides"]:
        cells = [_cell(side[kind], digits) for kind, digits in _DIGITS.items()]
        lines.append(f"{side['policy']:10} {side['requests']:8} " + " ".join(cells))
    told = found["difference"]
    if told["mean"] is None:
        return "\n".join([*lines, f"difference: {told['verdict']}"])
    lines.append(
        f"difference {told['mean']:+.4f} [{told['lower']:+.4f}, {told['upper']:+.4f}], "
        f"p = {told['p_value']:.4f}: {told['verdict']}"
    )
    over = found["difference_over_seeds"]
    if over and over["half_width"] is not None:
        lines.append(
            f"over {found['seeds']} seeds {over['mean']:+.4f} ±{over['half_width']:.4f}: "
            + ", ".join(f"{name} {n}" for name, n in found["verdicts_over_seeds"].items())
        )
    return "\n".join(lines)


_DIGITS = {"reward": 4, "accuracy": 4, "cost": 2}


def _interval(moments: Moments) -> dict[str, float | None]:
    """Mean and half the width of its 95 % interval; None without requests."""
    if moments.count == 0:
        return {"mean": None, "half_width": None}
    error = moments.error
    half = None if error is None else NormalDist().inv_cdf(0.975) * error
    return {"mean": moments.mean, "half_width": half}


def _cell(value: Mapping[str, float | None], digits: int) -> str:
    mean, half = value["mean"], value["half_width"]
    if mean is None or half is None or not math.isfinite(half):
        return f"{'-':>16}"
    return f"{mean:.{digits}f} ±{half:.{digits}f}".rjust(17 if digits > 2 else 15)


def _counted(values: Sequence[str]) -> dict[str, int]:
    return {value: values.count(value) for value in sorted(set(values))}
