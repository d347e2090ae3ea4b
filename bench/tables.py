"""Writes the tables of docs/simulator.md and README.md from bench/results/*.json.

A table stands between `<!-- bench:NAME -->` and `<!-- /bench -->`, and is replaced whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.comparisons import (
    ADVERSE,
    FURTHER,
    OPERATING_POINT,
    PARTS,
    RESPONSES,
    RIVALS,
    TOGETHER,
    VERDICTS,
    Comparison,
    Standing,
)

from aurora.simulator.statistics import estimate

__all__ = ["blocks", "filled"]

Result = Mapping[str, Any]
Results = Mapping[str, Result]
"""The comparisons that have a result, by name."""

_COST = (
    ("both %", "attainment", 100.0, 2),
    ("replica-hours", "replica_hours", 1.0, 2),
    ("bad minutes", "violation_minutes", 1.0, 1),
    ("reversed steps", "oscillations", 1.0, 1),
    ("false actions", "false_actions", 1.0, 1),
    ("writes", "writes", 1.0, 1),
)
_RESPONSE = (
    ("failed requests", "failed", 1.0, 0),
    ("both %", "attainment", 100.0, 2),
    ("detect s", "detect_s", 1.0, 0),
    ("mitigate s", "mitigate_s", 1.0, 0),
    ("false rollbacks", "false_rollbacks", 1.0, 2),
    ("writes", "writes", 1.0, 1),
)
_BLOCK = re.compile(r"(<!-- bench:([a-z0-9_]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def filled(text: str, tables: Mapping[str, str]) -> str:
    """The text with each named table replaced; one without figures stays as it is."""

    def replaced(found: re.Match[str]) -> str:
        table = tables.get(found[2])
        return found[0] if table is None else f"{found[1]}{table}\n{found[3]}"

    return _BLOCK.sub(replaced, text)


def blocks(results: Results) -> dict[str, str]:
    """Every table that the results are there for, by name."""
    found = {
        one.name: _table(results[one.name], _COST)
        for one in (*OPERATING_POINT, *FURTHER)
        if one.name in results
    }
    for name, group, make in (
        ("loads", (*OPERATING_POINT, *FURTHER), _loads),
        ("parts", PARTS, _parts),
        ("adverse", ADVERSE, _adverse),
        ("responses", RESPONSES, _responses),
        ("verdicts", VERDICTS, _verdicts),
    ):
        there = [one for one in group if one.name in results]
        if there:
            found[name] = make(results, there)
    return found


def _table(result: Result, columns: Sequence[tuple[str, str, float, int]]) -> str:
    rows = [[row["controller"], *_cells(row, columns)] for row in result["controllers"]]
    seeds = _count(result["controllers"][0])
    head = f"controller ({seeds} seed{'s' * (seeds > 1)})"
    return _markdown([head, *(title for title, *_ in columns)], rows)


def _loads(results: Results, group: Sequence[Comparison]) -> str:
    """One row a load: how it stands to the constants, and what each rival attained at what cost."""
    rows = [_load(one.title, one.standing, _by_name(results[one.name])) for one in group]
    standing = {one.name: one.standing for one in group}
    rows += [
        _load(title, standing[names[0]], _together([results[name] for name in names]))
        for title, names in TOGETHER
        if standing.keys() >= set(names)
    ]
    head = ["load", "it was", "seeds", *(f"`{name}`" for name in RIVALS), "AURORA to `llmd-slo`"]
    return _markdown(head, rows)


def _load(title: str, standing: Standing, by_name: Mapping[str, Result]) -> list[str]:
    ours, law = by_name["aurora"], by_name["llmd-slo"]
    cells = [_at_cost(by_name[name]) if name in by_name else "" for name in RIVALS]
    saved = _mean(ours, "replica_hours") / _mean(law, "replica_hours") - 1
    behind = _mean(ours, "attainment") - _mean(law, "attainment")
    told = f"{100 * behind:+.2f} points, {100 * saved:+.0f} % hours"
    return [title, standing.value, str(_count(ours)), *cells, told]


def _together(parts: Sequence[Result]) -> dict[str, Result]:
    """Each controller over several loads: hours and requests of a seed add up."""
    found: dict[str, Result] = {}
    for name in _by_name(parts[0]):
        runs = [_by_name(part)[name]["runs"] for part in parts]
        seeds = [_summed(of_seed) for of_seed in zip(*runs, strict=True)]
        columns = zip(("attainment", "replica_hours"), zip(*seeds, strict=True), strict=True)
        found[name] = {"metrics": {metric: asdict(estimate(of)) for metric, of in columns}}
    return found


def _summed(runs: Sequence[Result]) -> tuple[float, float]:
    """Attainment of all requests, and the replica-hours, of one seed's runs."""
    good = sum(run["attainment"] * run["requests"] for run in runs)
    hours = sum(run["replica_hours"] for run in runs)
    return good / sum(run["requests"] for run in runs), hours


def _parts(results: Results, group: Sequence[Comparison]) -> str:
    names = group[0].controllers
    rows = []
    for one in group:
        by_name = _by_name(results[one.name])
        extra = "mitigate_s" if "fault" in one.options else "false_actions"
        for name in names:
            row = by_name[name]
            told = (
                f"mitigated after {_cell(row, 'mitigate_s', 1.0, 0)} s"
                if extra == "mitigate_s"
                else f"{_cell(row, 'false_actions', 1.0, 1)} false actions"
            )
            writes = f"{_cell(row, 'writes', 1.0, 1)} writes"
            rows.append([one.title, str(_count(row)), name, _at_cost(row), f"{told}, {writes}"])
    return _markdown(["load", "seeds", "controller", "both % at replica-hours", "and"], rows)


def _adverse(results: Results, group: Sequence[Comparison]) -> str:
    head = ["what is wrong", "seeds", *(f"`{name}`" for name in (*RIVALS, "keda-rate"))]
    rows = []
    for one in group:
        by_name = _by_name(results[one.name])
        seeds = str(_count(by_name["aurora"]))
        rows.append([one.title, seeds, *(_at_cost(by_name[n]) for n in (*RIVALS, "keda-rate"))])
        rows += [
            [f"as `{name}`", seeds, _at_cost(by_name[name]), *[""] * len(RIVALS)]
            for name in one.controllers[len(RIVALS) + 1 :]
        ]
    return _markdown(head, rows)


def _responses(results: Results, group: Sequence[Comparison]) -> str:
    rows = []
    for one in group:
        for row in results[one.name]["controllers"]:
            mitigated = row["metrics"]["mitigate_s"]["count"]
            cells = _cells(row, _RESPONSE)
            if "noise" in one.options:
                cells[2] = cells[3] = "-"
            else:
                cells[3] += f" ({mitigated} of {_count(row)} runs)"
            rows.append([one.title, str(_count(row)), row["controller"], *cells])
    head = ["what happens", "seeds", "controller", *(title for title, *_ in _RESPONSE)]
    return _markdown(head, rows)


def _verdicts(results: Results, group: Sequence[Comparison]) -> str:
    rows, agreed, claimed = [], 0, 0
    for one in group:
        runs = _by_name(results[one.name])["aurora"]["runs"]
        seeds = f"{one.first_seed} to {one.first_seed + len(runs) - 1}"
        checks = [check for run in runs for check in run["verdicts"]]
        for direction in ("Up", "Down"):
            of = [check for check in checks if check["direction"] == direction]
            true = sum(check["verdict"] == check["truth"] for check in of)
            rows.append([one.title, seeds, f"SCALE {direction.lower()}", f"{true} of {len(of)}"])
            agreed, claimed = agreed + true, claimed + len(of)
    share = f"{100 * agreed / claimed:.0f} %" if claimed else "-"
    rows.append(["all", "", "", f"{agreed} of {claimed} ({share})"])
    return _markdown(["load", "seeds", "decision", "verdicts that were true"], rows)


def _by_name(result: Result) -> dict[str, Result]:
    return {row["controller"]: row for row in result["controllers"]}


def _mean(row: Result, metric: str) -> float:
    return float(row["metrics"][metric]["mean"])


def _count(row: Result) -> int:
    return int(row["metrics"]["attainment"]["count"])


def _at_cost(row: Result) -> str:
    both = _cell(row, "attainment", 100.0, 2)
    return f"{both} at {_mean(row, 'replica_hours'):.1f} h"


def _cells(row: Result, columns: Sequence[tuple[str, str, float, int]]) -> list[str]:
    return [_cell(row, metric, scale, digits) for _, metric, scale, digits in columns]


def _cell(row: Result, metric: str, scale: float, digits: int) -> str:
    found = row["metrics"][metric]
    if not found["count"]:
        return "-"
    half = found["half_width"]
    spread = f" ±{half * scale:.{digits}f}" if half else ""
    return f"{found['mean'] * scale:.{digits}f}{spread}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
