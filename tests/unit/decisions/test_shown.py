"""What a person reads, letter by letter: AURORA_REGENERATE=1 writes the golden files anew."""

import io
import os
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from aurora.decisions.explain import explain_decision
from aurora.decisions.model import explain_model
from aurora.decisions.overview import Leader, Overview, overview
from aurora.decisions.table import decision_table
from tests.unit.decisions.samples import (
    NOW,
    POLICY,
    RUNNING,
    STOPPED,
    condition,
    decision,
    model,
    policy_view,
    view,
    waiting,
)

GOLDEN = Path(__file__).with_name("golden")
IN_FLIGHT = decision(status={"phase": "Verifying", "outcome": None})
ROLLED_BACK = decision(
    status={
        "phase": "RolledBack",
        "outcome": {"verdict": "Regressed", "effect": "0"},
        "conditions": [condition("RolledBack", "True", "Undone", "p95 stayed above 3.7 s.")],
    }
)
EMPTY: dict[str, list[str]] = {"conditions": [], "backends": []}
CANARY = {"backend": "slow", "steps": [5, 100]}
UNHEALTHY = {
    "status": {
        "conditions": [
            condition("Ready", "False", "MetricsStale", "latencyP95: check the scrape."),
            condition("MetricsAvailable", "False", "MetricsStale", "latencyP95: check the scrape."),
        ]
    }
}


def text_of(what: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=150, highlight=False, markup=False).print(what, crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(
            "table", decision_table([waiting(), decision()], now=NOW), id="a list of decisions"
        ),
        pytest.param(
            "table-everywhere",
            decision_table([decision()], now=NOW, namespaces=True),
            id="a list with namespaces",
        ),
        pytest.param("decision", explain_decision(decision(), now=NOW), id="a finished decision"),
        pytest.param(
            "decision-waiting", explain_decision(waiting(), now=NOW), id="one that awaits approval"
        ),
        pytest.param(
            "decision-rolled-back",
            explain_decision(ROLLED_BACK, now=NOW),
            id="one that was undone offers no undo",
        ),
        pytest.param("model", explain_model(view(decision())), id="a healthy model"),
        pytest.param(
            "model-stopped",
            explain_model(view(waiting(), IN_FLIGHT, switch=STOPPED, **UNHEALTHY)),
            id="a model that everything stops",
        ),
        pytest.param("policy", explain_model(policy_view()), id="a policy that learns"),
        pytest.param(
            "policy-new",
            explain_model(
                policy_view(
                    metadata={"annotations": {"aurora.dev/paused": "true"}},
                    spec={"strategy": "Canary", "learning": None, "rollout": CANARY},
                    status=dict.fromkeys(POLICY["status"]) | {"observedGeneration": 0} | EMPTY,
                )
            ),
            id="a policy that nobody looked at",
        ),
        pytest.param(
            "status",
            overview(
                Overview(
                    models=(model(), model(metadata={"name": "qwen"}, **UNHEALTHY)),
                    decisions=(waiting(), IN_FLIGHT),
                    switch=RUNNING,
                    leader=Leader("host_7", NOW - timedelta(seconds=3), 15.0),
                    now=NOW,
                )
            ),
            id="the installation",
        ),
        pytest.param(
            "status-nobody",
            overview(Overview(models=(), decisions=(), switch=STOPPED, leader=None, now=NOW)),
            id="an installation without operator and models",
        ),
    ],
)
def test_it_reads_as_agreed(name: str, shown: RenderableType):
    path, text = GOLDEN / f"{name}.txt", text_of(shown)
    if os.environ.get("AURORA_REGENERATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_an_escape_sequence_in_a_message_does_not_reach_the_terminal():
    evil = "all fine\x1b[2J\x1b[31m\r[bold]you[/bold] [link=http://evil]"
    bad = decision(spec={"message": evil, "evidence": []})
    shown = text_of(explain_decision(bad, now=NOW))
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "[bold]you[/bold]" in shown


def test_a_command_to_copy_stands_on_one_line_however_narrow_the_screen():
    out = io.StringIO()
    Console(file=out, width=40).print(explain_decision(decision(), now=NOW), crop=False)
    undo = next(line for line in out.getvalue().splitlines() if "undo:" in line)
    assert undo.rstrip().endswith("'")


def test_a_lapsed_lease_is_told():
    leader = Leader("host_7", NOW - timedelta(seconds=60), 15.0)
    shown = text_of(overview(Overview((), (), RUNNING, leader, NOW)))
    assert "host_7 renewed the Lease 1m ago, so it has lapsed" in shown
