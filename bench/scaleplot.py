"""Draws how a cycle grows with the fleet: bench/results/cycle.json as docs/img/scale.svg.

python -m bench.scaleplot
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 380, 300, 60, 36, 44
INK, GRID = "#24292f", "#d0d7de"
LINES = (("steady", "#0969da"), ("breaching", "#cf222e"))

Sizes = Sequence[Mapping[str, Any]]


def panel(  # noqa: PLR0913 - one panel, all by name
    sizes: Sizes, *, left: int, title: str, figure: str, low: float, goal: float
) -> str:
    """One figure against the number of models, both on logarithmic axes."""
    high = 10.0 ** math.ceil(
        math.log10(max(goal, *(s[k][figure] for s in sizes for k, _ in LINES)))
    )
    counts = [size["models"] for size in sizes]

    def x(models: float) -> float:
        share = math.log(models / counts[0]) / max(1e-9, math.log(counts[-1] / counts[0]))
        return left + LEFT + share * (WIDTH - LEFT - 20)

    def y(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    parts = [text(left + LEFT, 20, title, 13)]
    tick = low
    while tick <= high * 1.001:
        parts.append(line([(x(counts[0]), y(tick)), (x(counts[-1]), y(tick))], GRID))
        parts.append(text(left + LEFT - 6, y(tick) + 4, f"{tick:g}", 11, "end"))
        tick *= 10.0
    parts += [text(x(one), HEIGHT - BOTTOM + 18, f"{one:,}", 11, "middle") for one in counts]
    parts.append(text(left + WIDTH / 2, HEIGHT - 8, "ModelDeployments", 11, "middle"))
    parts.append(line([(x(counts[0]), y(goal)), (x(counts[-1]), y(goal))], INK, dashes="5 4"))
    parts.append(text(x(counts[0]) + 4, y(goal) - 5, f"goal {goal:g}", 11))
    for kind, colour in LINES:
        points = [(x(size["models"]), y(size[kind][figure])) for size in sizes]
        parts.append(line(points, colour, width=2))
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        parts.append(text(points[-1][0] - 4, points[-1][1] - 7, kind, 11, "end", colour))
    return "\n".join(parts)


def line(
    points: Iterable[tuple[float, float]], colour: str, *, width: int = 1, dashes: str = ""
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'
    )


def text(  # noqa: PLR0913, PLR0917 - where, what and how
    x: float, y: float, words: str, size: int, anchor: str = "start", colour: str = INK
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{words}</text>"


def drawing(sizes: Sizes) -> str:
    cpu = panel(sizes, left=0, title="CPU seconds of one cycle", figure="cpu_s", low=0.01, goal=5.0)
    memory = panel(
        sizes, left=WIDTH, title="Peak memory of the operator, MB", figure="peak_mb", low=100.0,
        goal=600.0,
    )  # fmt: skip
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}"'
    style = 'font-family="system-ui, sans-serif" style="background:#ffffff"'
    return f"{head} {style}>\n{cpu}\n{memory}\n</svg>\n"


def main() -> None:
    result = json.loads((ROOT / "bench" / "results" / "cycle.json").read_text())["result"]
    place = ROOT / "docs" / "img" / "scale.svg"
    place.parent.mkdir(exist_ok=True)
    place.write_text(drawing(result["sizes"]))
    print(place.relative_to(ROOT))


if __name__ == "__main__":
    main()
