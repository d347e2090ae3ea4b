"""Who may write Decisions and approve, on a real API server."""

import pytest
import yaml

from aurora.resources.admission import policies
from tests.apiserver.good_objects import DECISION, MODEL, OPERATOR
from tests.apiserver.installed import NAMESPACE, eventually, in_namespace
from tests.support.kubectl import Answer, Kubectl

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("delete", "dec/llama-scale-1"), id="delete"),
        pytest.param(("label", "dec/llama-scale-1", "a=b"), id="update"),
        pytest.param(
            (
                "patch",
                "dec/llama-scale-1",
                "--subresource=status",
                "--type=merge",
                "-p",
                '{"status":{"phase":"Approved","decidedBy":"mallory"}}',
            ),
            id="write the status",
        ),
    ],
)
def test_nobody_but_the_operator_touches_a_decision(shown: Kubectl, arguments: tuple[str, ...]):
    for user in ("mallory", None):  # None is the administrator
        answer = shown(*arguments, "-n", NAMESPACE, user=user)
        assert answer.refused
        assert "Decisions are written by AURORA alone" in answer.err
        assert "create an Approval" in answer.err


def test_a_real_service_account_is_the_operator_and_another_is_not(guarded: Kubectl):
    guarded("create", "namespace", "aurora-system").ok()
    try:
        for name in ("aurora", "other"):
            guarded("create", "serviceaccount", name, "-n", "aurora-system").ok()
        assert not create_with_token(guarded, "aurora").refused
        answer = create_with_token(guarded, "other")
        assert "not by system:serviceaccount:aurora-system:other" in answer.err
    finally:
        guarded("delete", "namespace", "aurora-system", "--wait=false").ok()


def create_with_token(guarded: Kubectl, account: str) -> Answer:
    """Create a Decision with the account's own token instead of the administrator's rights."""
    token = guarded("create", "token", account, "-n", "aurora-system").ok().strip()
    config = guarded.kubeconfig.with_name(f"{account}.kubeconfig")
    content = yaml.safe_load(guarded.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    config.touch(mode=0o600)
    config.write_text(yaml.safe_dump(content))
    try:
        user = Kubectl(guarded.program, config)
        return user("create", "--dry-run=server", "-f", "-", manifest=in_namespace(DECISION))
    finally:
        config.unlink()


def test_a_decision_goes_with_its_model_although_nobody_may_delete_it(guarded: Kubectl):
    guarded("apply", "-f", "-", manifest=in_namespace(MODEL)).ok()
    uid = guarded.json("get", "mdep/llama", "-n", NAMESPACE)["metadata"]["uid"]
    owner = {
        "apiVersion": "aurora.dev/v1alpha1",
        "kind": "ModelDeployment",
        "name": "llama",
        "uid": uid,
    }
    owned = in_namespace(DECISION, ownerReferences=[owner])
    guarded("apply", "-f", "-", manifest=owned, user=OPERATOR).ok()
    guarded("delete", "mdep/llama", "-n", NAMESPACE).ok()
    eventually(
        lambda: not guarded.json("get", "dec", "-n", NAMESPACE)["items"],
        what="garbage collection of the Decision",
    )


def test_a_decision_goes_with_its_namespace(guarded: Kubectl):
    guarded("create", "namespace", "resources-gone").ok()
    manifest = in_namespace(DECISION, namespace="resources-gone")
    guarded("apply", "-f", "-", manifest=manifest, user=OPERATOR).ok()
    guarded("delete", "namespace", "resources-gone", "--timeout=60s").ok()


def test_an_operator_outside_the_cluster_is_named_when_the_policy_is_made(guarded: Kubectl):
    whoami = guarded.json("auth", "whoami")["status"]["userInfo"]["username"]
    manifest = in_namespace(DECISION)
    guarded("apply", "-f", "-", manifest=policies(operators=[OPERATOR, whoami])).ok()
    try:
        eventually(
            lambda: not guarded("create", "--dry-run=server", "-f", "-", manifest=manifest).refused,
            what="the local user being allowed",
        )
    finally:
        guarded("apply", "-f", "-", manifest=policies()).ok()
        eventually(
            lambda: guarded("create", "--dry-run=server", "-f", "-", manifest=manifest).refused,
            what="the policy being back",
        )
