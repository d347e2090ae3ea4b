"""`aurora decisions|explain|approve|deny|pause|resume|status` against a real API server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aurora.cli import main
from tests.apiserver.good_objects import DECISION, MODEL, OPERATOR
from tests.apiserver.installed import NAMESPACE, in_namespace, status
from tests.support.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

CONTROL = "aurora-cli-test"
"""The operator's namespace in these tests: other tests stop and start their own."""
AT = "2026-01-01T12:00:00Z"
FUTURE = "2099-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


Aurora = Callable[..., Said]


@pytest.fixture
def aurora(
    guarded: Kubectl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Aurora:
    """The command as a person types it, in this process: a new one takes a second each time."""
    monkeypatch.setenv("KUBECONFIG", str(guarded.kubeconfig))
    monkeypatch.setenv("AURORA_NAMESPACE", CONTROL)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["/usr/bin/kubectl-aurora", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def proposed(guarded: Kubectl) -> Iterator[str]:
    """A model and a Decision about it that awaits approval; returns the Decision's name."""
    yield from _proposed(guarded, FUTURE)


@pytest.fixture
def expired(guarded: Kubectl) -> Iterator[str]:
    """The same, and nobody answered in time."""
    yield from _proposed(guarded, AT)


def _proposed(kubectl: Kubectl, expires: str) -> Iterator[str]:
    kubectl("apply", "-f", "-", manifest=in_namespace(MODEL)).ok()
    uid = kubectl.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]["uid"]
    spec = DECISION["spec"] | {"expiresAt": expires, "modelRef": {"name": "llama", "uid": uid}}
    manifest = in_namespace(DECISION | {"spec": spec})
    kubectl("apply", "-f", "-", manifest=manifest, user=OPERATOR).ok()
    status(kubectl, "dec/llama-scale-1", {"phase": "AwaitingApproval"})
    yield "llama-scale-1"
    kubectl("delete", "appr", "--all", "-n", NAMESPACE).ok()
    kubectl("delete", "dec/llama-scale-1", "-n", NAMESPACE, user=OPERATOR).ok()
    kubectl("delete", "mdep/llama", "-n", NAMESPACE).ok()


@pytest.fixture
def control(guarded: Kubectl) -> Iterator[Callable[[], dict[str, str]]]:
    """The operator's namespace; reads what its ConfigMap says."""
    guarded("create", "namespace", CONTROL).ok()
    yield lambda: guarded.json("get", "cm/aurora-control", "-n", CONTROL)["data"]
    guarded("delete", "namespace", CONTROL, "--wait=false").ok()


def approvals(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "appr", "-n", NAMESPACE)["items"]
    return found


@pytest.mark.parametrize(("command", "verdict"), [("approve", "Approve"), ("deny", "Deny")])
def test_an_answer_is_an_approval_by_the_user_that_the_server_knows(
    command: str, verdict: str, aurora: Aurora, guarded: Kubectl, proposed: str
):
    said = aurora(command, proposed, "-n", NAMESPACE, "--reason", "looked at the graphs")
    assert (said.code, said.err) == (0, "")
    (made,) = approvals(guarded)
    decision = guarded.json("get", f"dec/{proposed}", "-n", NAMESPACE)
    user = guarded.json("auth", "whoami")["status"]["userInfo"]["username"]
    assert made["spec"] == {
        "decisionRef": {"name": proposed, "uid": decision["metadata"]["uid"]},
        "verdict": verdict,
        "approver": user,
        "reason": "looked at the graphs",
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == decision["metadata"]["uid"]
    assert made["metadata"]["name"] in said.out
    assert user in said.out


def test_what_is_not_there_cannot_be_approved(aurora: Aurora, guarded: Kubectl):
    said = aurora("approve", "nothing", "-n", NAMESPACE)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(
        f"kubectl aurora: there is no Decision nothing in namespace {NAMESPACE}:"
    )
    assert approvals(guarded) == []


def test_what_is_done_already_cannot_be_denied(aurora: Aurora, guarded: Kubectl, proposed: str):
    status(guarded, f"dec/{proposed}", {"phase": "Verifying"})
    said = aurora("deny", proposed, "-n", NAMESPACE)
    assert said.code == 2
    assert "is Verifying and awaits no approval" in said.err
    assert approvals(guarded) == []


def test_what_expired_cannot_be_approved(aurora: Aurora, guarded: Kubectl, expired: str):
    said = aurora("approve", expired, "-n", NAMESPACE)
    assert said.code == 2
    assert "expired at 2026-01-01 12:00:00Z" in said.err
    assert approvals(guarded) == []


def test_decisions_are_listed_for_people_and_programs(aurora: Aurora, proposed: str):
    shown = aurora("decisions", "-A", "--model", "llama")
    assert shown.code == 0
    assert "NAMESPACE" in shown.out
    assert "replicas 2 → 3" in shown.out
    rows = json.loads(aurora("decisions", "-n", NAMESPACE, "--output", "json").out)
    assert [(row["name"], row["phase"]) for row in rows] == [(proposed, "AwaitingApproval")]
    other = aurora("decisions", "-n", NAMESPACE, "--model", "qwen")
    assert (other.code, other.out) == (0, "")
    assert f"no decisions in namespace {NAMESPACE}" in other.err


def test_a_decision_and_a_model_are_explained(aurora: Aurora, proposed: str):
    decision = aurora("explain", proposed, "-n", NAMESPACE)
    assert decision.code == 0
    assert "histogram_quantile(0.95, ...)" in decision.out
    assert f"kubectl aurora approve {proposed} -n {NAMESPACE}" in decision.out
    model = aurora("explain", "mdep/llama", "-n", NAMESPACE)
    assert model.code == 0
    assert "Why nothing is being done now" in model.out
    assert "The kill switch is set: the ConfigMap aurora-control does not exist" in model.out
    assert f"{proposed} (SCALE) waits for a person" in model.out
    neither = aurora("explain", "nothing", "-n", NAMESPACE)
    assert neither.code == 2
    assert "there is no Decision, ModelDeployment or RoutingPolicy nothing" in neither.err


def test_a_policy_is_explained(aurora: Aurora, guarded: Kubectl):
    backends = [{"name": name, "serviceRef": {"name": name, "port": 80}} for name in "ab"]
    manifest = {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": "chat"},
        "spec": {"backends": backends, "strategy": "Learned", "learning": {"percent": 20}},
    }
    guarded("apply", "-f", "-", manifest=in_namespace(manifest)).ok()
    for name in ("chat", "rpol/chat"):
        said = aurora("explain", name, "-n", NAMESPACE)
        assert (said.code, said.err) == (0, "")
        assert "AURORA has not looked at it yet" in said.out
        assert "Learned (thompson), 20 % of the traffic, the rest Weighted" in said.out
    assert aurora("explain", "mdep/chat", "-n", NAMESPACE).code == 2
    assert aurora("pause", "rpol/chat", "-n", NAMESPACE).out == "rpol/chat is paused\n"
    assert "kubectl aurora resume rpol/chat" in aurora("explain", "rpol/chat", "-n", NAMESPACE).out
    assert aurora("resume", "chat", "-n", NAMESPACE).out == "chat is resumed\n"
    guarded("delete", "rpol/chat", "-n", NAMESPACE).ok()


def test_a_model_is_paused_and_resumed_once(aurora: Aurora, guarded: Kubectl, proposed: str):
    del proposed
    place = ("llama", "-n", NAMESPACE)
    assert aurora("pause", *place).out == "llama is paused\n"
    found = guarded.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]
    assert found["annotations"]["aurora.dev/paused"] == "true"
    assert aurora("pause", *place).out == "llama is paused already\n"
    again = guarded.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]
    assert again["resourceVersion"] == found["resourceVersion"]
    assert aurora("resume", *place).out == "llama is resumed\n"
    after = guarded.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]
    assert "aurora.dev/paused" not in after.get("annotations", {})
    assert aurora("resume", *place).out == "llama is not paused\n"


def test_everything_is_stopped_with_what_is_open_and_resumed(
    aurora: Aurora, guarded: Kubectl, proposed: str, control: Callable[[], dict[str, str]]
):
    change = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "namespace": NAMESPACE,
        "name": "llama",
        "uid": "u",
        "path": "/spec/minReplicas",
        "from": "2",
        "to": "3",
        "appliedAt": AT,
    }
    status(guarded, f"dec/{proposed}", {"phase": "Verifying", "changes": [change]})
    said = aurora("pause", "--all", "--reason", "maintenance")
    assert said.code == 0
    assert (
        f"undo: kubectl -n {NAMESPACE} patch horizontalpodautoscaler.autoscaling/llama" in said.out
    )
    assert control() == {"stop": "true", "reason": "maintenance"}
    assert "no, stopped by the ConfigMap aurora-control: maintenance" in aurora("status", "-A").out
    assert aurora("resume", "--all").code == 0
    assert control() == {"stop": "false"}
    assert "allowed" in aurora("status", "-A").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("pause",), "name one MODEL, or give --all", id="neither"),
        pytest.param(("resume", "llama", "--all"), "name one MODEL, or give --all", id="both"),
        pytest.param(
            ("decisions", "-A", "-n", "x"),
            "either --namespace or --all-namespaces",
            id="one and all namespaces",
        ),
        pytest.param(
            ("explain", "pod/llama", "-n", NAMESPACE),
            "write dec/llama, mdep/llama or rpol/llama",
            id="a pod",
        ),
        pytest.param(
            ("status", "--kubeconfig", "/nonexistent"),
            "name a readable kubeconfig",
            id="no kubeconfig",
        ),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    aurora: Aurora, arguments: tuple[str, ...], says: str
):
    said = aurora(*arguments)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert said.err.count("\n") == 1


def test_pausing_what_is_not_there_fails(aurora: Aurora):
    said = aurora("pause", "nothing", "-n", NAMESPACE)
    assert said.code == 2
    told = f"there is no ModelDeployment or RoutingPolicy nothing in namespace {NAMESPACE}"
    assert told in said.err
