"""Malformed and sample objects on a real API server, as kubectl shows the answers."""

import os
import re
from pathlib import Path

import pytest
import yaml

from aurora.resources import ModelDeployment, RoutingPolicy
from tests.apiserver.bad_objects import BAD
from tests.apiserver.good_objects import GOOD, USERS, Bad
from tests.apiserver.installed import NAMESPACE, in_namespace
from tests.support.kubectl import Answer, Kubectl

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "bad-input.md"
BEGIN, END = "<!-- objects: begin -->\n", "<!-- objects: end -->\n"
WORDED_BY = "v1.36"
"""The API server's release whose wording the document shows; AURORA's own sentences never vary."""


@pytest.fixture(scope="module")
def answers(guarded: Kubectl) -> dict[str, Answer]:
    """What kubectl answers to each malformed object; nothing is stored."""
    for kind, good in GOOD.items():
        guarded("apply", "-f", "-", manifest=in_namespace(good), user=USERS[kind]).ok()
    existing = {bad.what: ask(guarded, bad) for bad in BAD if bad.existing}
    for kind, good in GOOD.items():
        name = good["metadata"]["name"]
        guarded("delete", kind, name, "-n", NAMESPACE, user=USERS[kind]).ok()
    return existing | {bad.what: ask(guarded, bad) for bad in BAD if not bad.existing}


def ask(guarded: Kubectl, bad: Bad) -> Answer:
    return guarded(
        "apply",
        "--dry-run=server",
        "-f",
        "-",
        manifest=in_namespace(bad.manifest, **bad.manifest["metadata"] | {"namespace": NAMESPACE}),
        user=bad.applied_by,
    )


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in BAD])
def test_a_malformed_object_is_refused_with_a_sentence(answers: dict[str, Answer], bad: Bad):
    answer = answers[bad.what]
    assert answer.refused, answer.out
    assert bad.says in answer.err


def test_the_document_lists_what_the_api_server_answers(
    guarded: Kubectl, answers: dict[str, Answer]
):
    """AURORA_REGENERATE=1 rewrites the table; read the difference before it is kept."""
    version = guarded.json("version")["serverVersion"]["gitVersion"]
    if not version.startswith(WORDED_BY):
        pytest.skip(f"the document shows the wording of {WORDED_BY}, this is {version}")
    head, rest = DOCUMENT.read_text().split(BEGIN)
    written, tail = rest.split(END)
    table = "".join(
        [
            "| mistake | in the object | answer |\n",
            "|---|---|---|\n",
            *(row(bad, answers[bad.what]) for bad in BAD),
        ]
    )
    if os.environ.get("AURORA_REGENERATE"):
        DOCUMENT.write_text(f"{head}{BEGIN}{table}{END}{tail}")
        return
    assert written == table, "run it with AURORA_REGENERATE=1 and read the difference"


def row(bad: Bad, answer: Answer) -> str:
    kind = "" if bad.kind == "ModelDeployment" else f"{bad.kind} "
    cells = (bad.what, f"{kind}`{shortened(bad.change)}`", "<br>".join(sentences(answer.err)))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def shortened(text: str) -> str:
    return re.sub(r"(l{10})l+", r"\1...", text)


def sentences(text: str) -> list[str]:
    """Take away what says the same for every object: kind, name, and that checking stopped."""
    text = text.strip()
    text = re.sub(r'^The \w+ "[^"]+" is invalid: ', "", text)
    text = re.sub(r'^Error from server \((\w+)\): error when \w+ "STDIN": ', r"\1: ", text)
    text = re.sub(r"(?s)^Error from server .* is forbidden: ", "Forbidden: ", text)
    lines = [line.removeprefix("* ").strip() for line in text.splitlines()]
    return [shortened(line) for line in lines if line and "were not checked because" not in line]


KINDS = {"modeldeployment": ModelDeployment, "routingpolicy": RoutingPolicy}
SAMPLES = sorted(
    path
    for path in (ROOT / "manifests" / "samples").glob("*.yaml")
    if path.stem.partition("-")[0] in KINDS
)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SAMPLES])
def test_a_sample_is_stored_and_read_back_with_the_same_defaults(guarded: Kubectl, path: Path):
    guarded("apply", "-n", NAMESPACE, "-f", str(path)).ok()
    stored = guarded.json("get", "-n", NAMESPACE, "-f", str(path))
    kind = KINDS[path.stem.partition("-")[0]]
    ours = kind.parse(yaml.safe_load(path.read_text())).to_kubernetes()
    assert stored["spec"] == ours["spec"]
    assert kind.parse(stored).to_kubernetes()["spec"] == ours["spec"]
    guarded("delete", "-n", NAMESPACE, "-f", str(path)).ok()
