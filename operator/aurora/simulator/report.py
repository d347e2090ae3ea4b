"""A comparison as one table for people and as JSON for programs."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.table import Table

from aurora.simulator.compare import Plan, Summary
from aurora.simulator.statistics import Estimate

__all__ = ["as_json", "as_table"]


class _Column(NamedTuple):
    title: str
    metric: str
    scale: float
    digits: int


_COLUMNS = (
    _Column("both %", "attainment", 100.0, 2),
    _Column("TTFT %", "attainment_ttft", 100.0, 2),
    _Column("TPOT %", "attainment_tpot", 100.0, 2),
    _Column("replica-h", "replica_hours", 1.0, 2),
    _Column("bad min", "violation_minutes", 1.0, 1),
    _Column("oscill.", "oscillations", 1.0, 1),
    _Column("false act.", "false_actions", 1.0, 1),
    _Column("writes", "writes", 1.0, 1),
)
_FAULT_COLUMNS = (
    _Column("failed", "failed", 1.0, 0),
    _Column("detect s", "detect_s", 1.0, 0),
    _Column("mitigate s", "mitigate_s", 1.0, 0),
    _Column("false rollb.", "false_rollbacks", 1.0, 1),
)


def as_table(plan: Plan, summaries: Sequence[Summary]) -> Table:
    """Lay the summaries out, one row a controller."""
    columns = _COLUMNS + (_FAULT_COLUMNS if plan.settings.faults else ())
    runs = [run for summary in summaries for run in summary.runs]
    requests = sum(run.requests for run in runs) / len(runs)
    objectives = plan.settings.objectives
    worst = max(run.little_error for run in runs)
    table = Table(
        title=f"{plan.source.name} x {plan.factor:.4g}: {requests:.0f} requests a run, "
        f"{len(summaries[0].runs)} seeds",
        caption=f"Objectives: TTFT {objectives.ttft_s:g} s, TPOT {objectives.tpot_s * 1e3:g} ms; "
        f"mean ± 95 % confidence; largest error of Little's law {worst:.1%}.",
    )
    table.add_column("controller", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    judging = any(summary.agreement is not None for summary in summaries)
    if judging:
        table.add_column("verdicts true", justify="right", no_wrap=True)
    for summary in summaries:
        cells = [_cell(summary.estimates[column.metric], column) for column in columns]
        table.add_row(summary.controller, *cells, *([_agreement(summary)] if judging else ()))
    return table


def _agreement(summary: Summary) -> str:
    found = summary.agreement
    if found is None:
        return "-"
    return f"{found.agreed} of {found.claimed} ({found.low:.0%} to {found.high:.0%})"


def _cell(estimate: Estimate, column: _Column) -> str:
    if estimate.count == 0:
        return "-"
    mean = f"{estimate.mean * column.scale:.{column.digits}f}"
    if math.isnan(estimate.half_width):
        return mean
    return f"{mean} ±{estimate.half_width * column.scale:.{column.digits}f}"


def as_json(plan: Plan, summaries: Sequence[Summary]) -> dict[str, Any]:
    """Give everything behind the table; what has no value is null."""
    settings = plan.settings
    return {
        "trace": plan.source.name,
        "factor": plan.factor,
        "objectives": asdict(settings.objectives),
        "bounds": [settings.minimum, settings.maximum],
        "initial": settings.initial,
        "faults": [{"kind": type(fault).__name__, **asdict(fault)} for fault in settings.faults],
        "tuning": asdict(plan.tuning),
        "controllers": [
            {
                "controller": summary.controller,
                "metrics": {name: _plain(value) for name, value in summary.estimates.items()},
                "verdict_agreement": None
                if summary.agreement is None
                else asdict(summary.agreement),
                "runs": [asdict(run) for run in summary.runs],
            }
            for summary in summaries
        ],
    }


def _plain(estimate: Estimate) -> dict[str, float | int | None]:
    values = asdict(estimate)
    nan = {key for key, value in values.items() if isinstance(value, float) and math.isnan(value)}
    return {key: None if key in nan else value for key, value in values.items()}
