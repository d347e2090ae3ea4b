"""What the demo shows: a table while it runs, plain lines without a terminal, a summary. Pure."""

from collections.abc import Sequence
from typing import Final, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aurora.demo.judge import Line, Summary
from aurora.demo.scenario import Episode
from aurora.demo.seen import Callers, Scene, SeenDecision, SeenModel, callers
from aurora.resources.vocabulary import OutcomeVerdict

__all__ = ["decision_line", "live_table", "model_line", "summary_table"]

RECENT_S: Final = 15.0
"""What callers see "now" is the mean of this time."""
_TITLES: Final = {"ttftP95": "TTFT", "latencyP95": "latency"}
_VERDICT_STYLE: Final = {
    OutcomeVerdict.IMPROVED: "green",
    OutcomeVerdict.REGRESSED: "red",
}


def live_table(scene: Scene, played: Sequence[Episode], *, status: str) -> RenderableType:
    """The table that is drawn again every second; `status` is a line above it."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title, justify in _COLUMNS:
        table.add_column(title, justify=justify, no_wrap=title != "last decision")
    for model in scene.models.values():
        table.add_row(*_cells(model, scene, played))
    why = [_reason(one) for one in scene.decisions[-3:]]
    return Group(Text(status, style="bold"), table, *why)


_COLUMNS: Final[tuple[tuple[str, Literal["left", "right"]], ...]] = (
    ("model", "left"),
    ("fault", "left"),
    ("req/s", "right"),
    ("p95, objective", "right"),
    ("errors", "right"),
    ("replicas", "right"),
    ("cache", "left"),
    ("route", "left"),
    ("last decision", "left"),
    ("outcome", "left"),
)


def _cells(model: SeenModel, scene: Scene, played: Sequence[Episode]) -> list[Text]:
    now = _now(model, scene)
    last = next(reversed(scene.decisions_on(model.name)), None)
    cells = [
        Text(model.name, style="bold"),
        Text(_fault(model.name, scene, played), style="yellow"),
        Text(f"{now.rate:.1f}" if now else "-"),
        _latency(model, now),
        Text(f"{now.error_ratio:.0%}" if now else "-", style=_bad(now)),
        Text(f"{model.ready}/{model.replicas}"),
        Text(model.cache),
        Text(model.route),
    ]
    if last is None:
        return [*cells, Text("-"), Text("")]
    return [*cells, Text(f"{last.title}, {last.confidence_percent} %"), _outcome(last)]


def _now(model: SeenModel, scene: Scene) -> Callers | None:
    return callers(model.buckets, scene.at - RECENT_S - 5.0, scene.at)


def _bad(now: Callers | None) -> str:
    return "red" if now is not None and now.error_ratio > 0.01 else ""


def _latency(model: SeenModel, now: Callers | None) -> Text:
    """The latency that is closest to its objective, or furthest beyond it."""
    measured = {key: now.value(key) for key in model.objectives} if now is not None else {}
    shares = [
        (value / model.objectives[key], key, value)
        for key, value in measured.items()
        if value is not None
    ]
    if not shares:
        return Text("-")
    share, key, value = max(shares)
    text = f"{_TITLES[key]} {value:.2f} of {model.objectives[key]:g} s"
    return Text(text, style="red" if share > 1.0 else "green")


def _fault(model: str, scene: Scene, played: Sequence[Episode]) -> str:
    for episode in played:
        begun = scene.begun.get(episode.fault)
        if episode.model != model or begun is None:
            continue
        ends = begun + max(one.for_s for one in episode.injections)
        return episode.fault if scene.at < ends else f"{episode.fault} (over)"
    return ""


def _outcome(one: SeenDecision) -> Text:
    if one.verdict is None:
        return Text(str(one.phase))
    return Text(str(one.verdict), style=_VERDICT_STYLE.get(one.verdict, ""))


def _reason(one: SeenDecision) -> Text:
    return Text(f"{one.model}: {one.title} ({one.reason}): {one.message}", style="dim")


def model_line(model: SeenModel, scene: Scene, played: Sequence[Episode]) -> str:
    """One model in one line, for a log."""
    now = _now(model, scene)
    load = f"{now.rate:.1f} req/s" if now else "no requests"
    errors = f", {now.error_ratio:.0%} errors" if now and now.error_ratio > 0 else ""
    fault = _fault(model.name, scene, played)
    return (
        f"{model.name}: {load}, {_latency(model, now).plain}{errors}, "
        f"{model.ready}/{model.replicas} ready, cache {model.cache}, {model.route}"
        + (f", fault {fault}" if fault else "")
    )


def decision_line(one: SeenDecision) -> str:
    """One decision in one line, for a log."""
    outcome = f", {one.verdict}: {one.outcome}" if one.verdict is not None else ""
    return (
        f"{one.model}: {one.title}, {one.confidence_percent} %, {one.phase}{outcome} "
        f"({one.reason}) {one.message}"
    )


def summary_table(summary: Summary) -> RenderableType:
    """What was detected, decided and done, how it turned out, and what callers saw."""
    table = Table(
        title="What was done, set against what callers saw",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_lines=True,
    )
    for title in (
        *("fault", "on", "detected", "decided", "done", "verdict"),
        *("callers before", "and after", ""),
    ):
        table.add_column(title)
    for line in summary.lines:
        table.add_row(*_summary_cells(line))
    failures = [Text(f"failed: {failure}", style="red") for failure in summary.failures]
    good = Text("Every fault was handled, and nothing else was done.", style="green")
    return Group(table, *(failures or [good]))


def _summary_cells(line: Line) -> list[Text]:
    done = [f"{one.title}, {one.confidence_percent} %" for one in line.decisions]
    verdicts = Text("\n").join(_outcome(one) for one in line.decisions)
    ok = Text("handled", style="green") if not line.faults else Text("failed", style="red")
    return [
        Text(f"{line.episode.fault}: {line.episode.what}"),
        Text(line.episode.model),
        Text(_seconds(line.decided_after_s)),
        Text("\n".join(done) or "-"),
        Text(_seconds(line.done_after_s)),
        verdicts,
        Text(_felt(line, line.before)),
        Text(_felt(line, line.after)),
        ok,
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _felt(line: Line, value: float | None) -> str:
    signal = line.episode.signal
    if value is None:
        return "-"
    shown = f"{value:.0%}" if signal.unit == "%" else f"{value:.2f} {signal.unit}"
    return f"{signal.title} {shown}"
