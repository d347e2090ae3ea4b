"""What the demo shows, as text."""

import re
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from aurora.demo.judge import judge
from aurora.demo.scenario import EPISODES
from aurora.demo.screens import LineScreen, TableScreen
from aurora.demo.view import live_table, model_line, summary_table
from aurora.resources.vocabulary import OutcomeVerdict, Phase
from tests.unit.demo.support import BEGUN, buckets, decision, scene

LOAD = EPISODES["load"]


def text(shown: RenderableType) -> str:
    console = Console(width=220, file=StringIO(), force_terminal=False)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(shown: str, name: str) -> list[str]:
    """The cells of a row that are not empty."""
    line = next(line for line in shown.splitlines() if line.strip().startswith(name))
    return re.split(r" {2,}", line.strip())


def test_a_row_tells_load_latency_replicas_decision_and_outcome() -> None:
    shown = live_table(scene(decision(), chat={"replicas": 4}), (LOAD,), status="running")
    assert row(text(shown), "chat") == [
        *("chat", "load", "7.0", "TTFT 0.30 of 2 s", "0%", "2/4", "Off", "primary"),
        *("SCALE 2 to 4, 85 %", "Improved"),
    ]
    assert "running" in text(shown)
    assert "ObjectiveViolated): It was too slow." in text(shown)


def test_a_row_without_numbers_shows_none() -> None:
    shown = text(live_table(scene(chat={"buckets": ()}), (LOAD,), status=""))
    assert row(shown, "chat") == ["chat", "load", "-", "-", "-", "2/2", "Off", "primary", "-"]


def test_of_two_latencies_the_one_that_misses_its_objective_is_shown() -> None:
    goals = {"ttftP95": 2.0, "latencyP95": 0.2}
    seen = scene(chat={"objectives": goals})
    assert "latency 0.30 of 0.2 s" in model_line(seen.models["chat"], seen, (LOAD,))


def test_a_fault_that_ended_is_shown_as_over() -> None:
    late = scene(at=BEGUN + 900.0, chat={"buckets": buckets((1800.0, 1900.0, 0.3))})
    assert model_line(late.models["chat"], late, (LOAD,)).endswith("fault load (over)")


def test_the_summary_sets_aurora_s_verdict_against_what_callers_saw() -> None:
    seen = {"buckets": buckets((900.0, 1055.0, 4.0), (1055.0, 1200.0, 0.3))}
    more = decision(name="chat-2", before={"replicas": "4"}, after={"replicas": "5"})
    found = text(summary_table(judge((LOAD,), scene(decision(), more, chat=seen))))
    assert row(found, "load")[1:] == [
        *("chat", "10 s", "SCALE 2 to 4, 85 %", "11 s", "Improved"),
        *("TTFT p95 4.00 s", "TTFT p95 0.30 s", "handled"),
    ]
    assert "SCALE 4 to 5, 85 %" in found
    assert "Every fault was handled, and nothing else was done." in found


def test_the_summary_says_what_failed() -> None:
    found = text(summary_table(judge((LOAD,), scene())))
    assert row(found, "load")[-1] == "failed"
    assert "failed: load: SCALE Up of chat was not executed" in found
    assert "Every fault was handled" not in found


def test_a_log_gets_a_line_for_what_is_new_only() -> None:
    console = Console(width=80, file=StringIO(), force_terminal=False)
    screen = LineScreen(console)

    def told(**changes: Any) -> list[str]:
        console.file = StringIO()
        screen.show(scene(decision(**changes), at=changes.pop("at", 1200.0)), (LOAD,), "status")
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined]

    first = told(verdict=None, phase=Phase.VERIFYING)
    assert first[0] == "fault load on chat: 3 times the load"
    assert first[1].startswith("chat: SCALE 2 to 4, 85 %, Verifying (ObjectiveViolated)")
    assert len(first) == 2 + 1 + 4
    assert told(verdict=None, phase=Phase.VERIFYING) == []
    (line,) = told(verdict=OutcomeVerdict.IMPROVED)
    assert "Completed, Improved: ttftP95 was 0.3 s" in line


def test_a_terminal_gets_the_table_drawn_in_place() -> None:
    console = Console(width=120, file=StringIO(), force_terminal=True)
    with TableScreen(console) as screen:
        screen.show(scene(), (LOAD,), "20 s since warm")
        screen.show(scene(decision()), (LOAD,), "21 s since warm")
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "21 s since warm" in drawn
    assert "SCALE 2 to 4, 85 %" in drawn
