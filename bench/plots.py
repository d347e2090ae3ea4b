"""Draws the comparison's plots from bench/results/*.json as SVG: docs/img/compare-*.svg.

Written by hand rather than with a plotting library: two small files that every browser shows, and
no dependency for them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

Result = Mapping[str, Any]

WIDTH, HEIGHT = 860, 430
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 44, 56
INK, GRID, GREY = "#24292f", "#d0d7de", "#8c959f"
COLOURS = {
    "aurora": "#0969da",
    "static": "#6e7781",
    "hpa": "#bf8700",
    "hpa-queue": "#d4a72c",
    "keda-rate": "#9a6700",
    "llmd-slo": "#cf222e",
    "llmd-slo-tuned": "#8250df",
    "runbook": "#57606a",
    "oracle": "#1a7f37",
    "flagger": "#cf222e",
}
MARKS = ("circle", "square", "diamond")


class Axis(NamedTuple):
    """Maps values to pixels; `ticks` are the values that get a line."""

    low: float
    high: float
    begin: float
    end: float
    ticks: Sequence[float]

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)


def attainment(loads: Sequence[tuple[str, Result]]) -> str:
    """Misses (log scale, fewest at the top) against replica-hours relative to the static pool.

    Args:
        loads: title and result of each comparison; one mark a load, one colour a controller.
    """
    x = Axis(0.3, 2.0, LEFT, WIDTH - RIGHT - 230, (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0))
    y = Axis(math.log10(0.05), math.log10(30), TOP, HEIGHT - BOTTOM, ())
    parts = [
        _text(LEFT, 22, "Requests that missed an objective, against what the replicas cost", 15),
        *(_tick_x(x, tick, f"{tick:g}") for tick in x.ticks),
        *(_tick_y(y, math.log10(t), f"{t:g} %", x) for t in (0.05, 0.1, 0.3, 1, 3, 10, 30)),
        _text((x.begin + x.end) / 2, HEIGHT - 14, "cost of static 8 = 1", 12, "middle"),
    ]
    for number, (_, result) in enumerate(loads):
        base = _mean(result, "static", "replica_hours")
        for row in result["controllers"]:
            name, metrics = row["controller"], row["metrics"]
            missed = max(0.05, 100 * (1 - metrics["attainment"]["mean"]))
            cost = metrics["replica_hours"]["mean"] / base
            where = x.at(min(max(cost, x.low), x.high)), y.at(math.log10(min(missed, 30)))
            parts.append(_mark(MARKS[number % 3], *where, COLOURS.get(name, INK)))
    names = [row["controller"] for row in loads[0][1]["controllers"]]
    parts += _legend(x.end + 16, names, [title for title, _ in loads])
    return _svg(parts, WIDTH, HEIGHT)


def fault(result: Result) -> str:
    """The share of good requests over time for each controller, with its actions."""
    lines, bin_s = result["controllers"], result["bin_s"]
    height, panel = 90 + 150 * len(lines), 110
    end = bin_s * max(len(line["arrived"]) for line in lines)
    x = Axis(0.0, end, LEFT, WIDTH - RIGHT, [600.0 * n for n in range(int(end // 600) + 1)])
    title = f"Half of the requests fail from minute 20 to 40 ({result['trace']})"
    parts = [_text(LEFT, 22, title, 15)]
    for number, line in enumerate(lines):
        top = 56 + 150 * number
        y = Axis(0.0, 100.0, top + panel, top, (0, 50, 100))
        parts += _panel(line, result["fault"], x, y, bin_s)
    parts += [_text(x.at(tick), height - 22, f"{tick / 60:.0f}", 11, "middle") for tick in x.ticks]
    parts.append(_text((x.begin + x.end) / 2, height - 6, "minutes", 12, "middle"))
    return _svg(parts, WIDTH, height)


def _panel(line: Result, found: Result, x: Axis, y: Axis, bin_s: float) -> Iterable[str]:
    yield (
        f'<rect x="{x.at(found["start"]):.1f}" y="{y.end}" fill="#ffebe9" '
        f'width="{x.at(found["end"]) - x.at(found["start"]):.1f}" height="{y.begin - y.end}"/>'
    )
    for tick in y.ticks:
        yield _tick_y(y, tick, f"{tick:g} %", x)
    points = [
        f"{x.at((place + 0.5) * bin_s):.1f},{y.at(100 * good / arrived):.1f}"
        for place, (good, arrived) in enumerate(zip(line["good"], line["arrived"], strict=False))
        if arrived
    ]
    colour = COLOURS.get(line["controller"], INK)
    drawn = " ".join(points)
    yield f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{drawn}"/>'
    for action in line["actions"]:
        at = x.at(action["at"])
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y.end}" y2="{y.begin}" stroke="{INK}"/>'
        yield _text(at + 4, y.begin - 6, f"{action['what']} {action['at']:.0f} s", 11)
    told = line["mitigate_s"]
    word = "not mitigated" if told is None else f"mitigated after {told:.0f} s"
    yield _text(x.begin, y.end - 6, f"{line['controller']}: {word}, {line['failed']} failed", 12)


def _mean(result: Result, controller: str, metric: str) -> float:
    row = next(one for one in result["controllers"] if one["controller"] == controller)
    return float(row["metrics"][metric]["mean"])


def _tick_x(x: Axis, value: float, word: str) -> str:
    at = x.at(value)
    line = f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
    return line + _text(at, HEIGHT - BOTTOM + 18, word, 11, "middle")


def _tick_y(y: Axis, value: float, word: str, x: Axis) -> str:
    at = y.at(value)
    line = f'<line x1="{x.begin}" x2="{x.end:.1f}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>'
    return line + _text(x.begin - 6, at + 4, word, 11, "end")


def _mark(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    if kind == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{colour}"/>'
    corners = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
    return f'<polygon points="{corners}" fill="{colour}"/>'


def _legend(x: float, names: Sequence[str], loads: Sequence[str]) -> Iterable[str]:
    for number, name in enumerate(names):
        yield _mark("circle", x, TOP + 8 + 20 * number, COLOURS.get(name, INK))
        yield _text(x + 12, TOP + 12 + 20 * number, name, 12)
    for number, load in enumerate(loads):
        at = TOP + 24 + 20 * (len(names) + number)
        yield _mark(MARKS[number % 3], x, at, GREY)
        yield _text(x + 12, at + 4, load, 10)


def _text(x: float, y: float, words: str, size: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{INK}">{escape(words)}</text>'
    )


def _svg(parts: Iterable[str], width: int, height: int) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )
