"""What kubectl shows of the custom resources."""

import re

import pytest

from aurora.resources import Approval, DecisionObject, ModelDeployment
from tests.apiserver.good_objects import APPROVAL, DECISION, MODEL
from tests.apiserver.installed import NAMESPACE, in_namespace
from tests.support.kubectl import Kubectl

pytestmark = pytest.mark.apiserver


def table(kubectl: Kubectl, *what: str) -> list[list[str]]:
    text = kubectl("get", *what, "-n", NAMESPACE).ok()
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line]


def test_kubectl_get_shows_what_matters_about_a_model(shown: Kubectl):
    head, line = table(shown, "mdep")
    assert head[:5] == ["NAME", "READY", "MODE", "REPLICAS", "DESIRED"]
    assert head[5:] == ["LAST-ACTION", "CONFIDENCE", "OUTCOME", "AGE"]
    assert line[:7] == ["llama", "True", "Recommend", "2", "3", "SCALE", "87"]


def test_the_wide_output_adds_latency_target_and_reason(shown: Kubectl):
    head, line = table(shown, "mdep", "-o", "wide")
    assert head[-4:] == ["P95", "TARGET", "REASON", "MESSAGE"]
    assert line[-4:] == ["3.1", "llama", "Reconciled", "all there"]


def test_kubectl_get_shows_where_a_policys_weights_are(shown: Kubectl):
    head, line = table(shown, "rpol")
    assert head == ["NAME", "READY", "STRATEGY", "MODE", "WEIGHTS", "WANTED", "AUDIT", "AGE"]
    assert line[1:4] == ["True", "Weighted", "Recommend"]
    assert line[4:7] == ["stable=100 canary=0", "stable=90 canary=10", "True"]
    wide, line = table(shown, "rpol", "-o", "wide")
    assert wide[-6:] == ["ROUTE", "P95", "LEARNED", "ROUTERS", "REASON", "MESSAGE"]
    assert line[-4:] == ["chat", "0.41", "Reconciled", "all there"]


def test_kubectl_get_shows_what_became_of_a_decision(shown: Kubectl):
    head, line = table(shown, "dec")
    assert head == ["NAME", "MODEL", "ACTION", "TIER", "CONFIDENCE", "PHASE", "OUTCOME", "AGE"]
    assert line[:-1] == [
        "llama-scale-1",
        "llama",
        "SCALE",
        "Monitored",
        "87",
        "Completed",
        "Improved",
    ]
    wide = table(shown, "dec", "-o", "wide")[0]
    assert wide[-3:] == ["REASON", "MESSAGE", "EXPIRES"]


def test_kubectl_get_shows_who_approved(shown: Kubectl):
    head, line = table(shown, "appr")
    assert head == ["NAME", "DECISION", "VERDICT", "APPROVER", "AGE"]
    assert line[1:4] == ["llama-scale-1", "Approve", "jane"]


def test_the_category_lists_all_kinds(shown: Kubectl):
    names = shown("get", "aurora", "-n", NAMESPACE, "-o", "name").ok().split()
    assert sorted(names) == [
        "approval.aurora.dev/llama-scale-1-jane",
        "decision.aurora.dev/llama-scale-1",
        "modeldeployment.aurora.dev/llama",
        "routingpolicy.aurora.dev/chat",
    ]


def test_what_is_stored_is_read_as_the_value_that_was_sent(shown: Kubectl):
    decision = shown.json("get", "dec/llama-scale-1", "-n", NAMESPACE)
    assert DecisionObject.parse(decision).spec == DecisionObject.parse(DECISION).spec
    approval = shown.json("get", "appr/llama-scale-1-jane", "-n", NAMESPACE)
    assert Approval.parse(approval).spec == Approval.parse(APPROVAL).spec
    read = ModelDeployment.parse(shown.json("get", "mdep/llama", "-n", NAMESPACE))
    assert [signal.value is None for signal in read.status.signals] == [False, True]


def test_a_status_is_not_written_with_the_spec(shown: Kubectl):
    forged = in_namespace(MODEL) | {"status": {"observedGeneration": 99}}
    shown("apply", "-f", "-", manifest=forged).ok()
    stored = shown.json("get", "mdep/llama", "-n", NAMESPACE)
    assert stored["status"]["observedGeneration"] == 1


def test_kubectl_explain_tells_values_and_meaning(guarded: Kubectl):
    text = guarded("explain", "mdep.spec.autonomy.mode").ok()
    words = " ".join(text.split())
    assert "ENUM: Observe Recommend Auto" in words
    assert "Recommend (propose and wait)" in words


def test_there_is_no_scale_to_pull(shown: Kubectl):
    answer = shown("scale", "mdep/llama", "--replicas=3", "-n", NAMESPACE)
    assert answer.refused
