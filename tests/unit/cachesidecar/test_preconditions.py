"""Each precondition is found by name and says what to change; the order is pinned."""

from typing import Any

import pytest

from aurora.cachesidecar.preconditions import ArmingFacts, check_preconditions
from aurora.cachesidecar.room import SurgeRoom
from aurora.cachesidecar.settings import CacheSettings
from tests.unit.cachesidecar.objects import Change, Object, deployment, put, service

POD = "spec.template.spec"
SERVER = f"{POD}.containers.1"
FACTS = ArmingFacts((1, 32), (), SurgeRoom(fits=True, message=""))


def policy(spec: Object, namespace: str = "models") -> Object:
    return {"metadata": {"name": "np", "namespace": namespace}, "spec": spec}


def reasons(made: Object, serving: Object, facts: ArmingFacts = FACTS) -> list[str]:
    found = check_preconditions(made, serving, CacheSettings(), facts)
    return [refusal.reason for refusal in found]


def test_a_good_deployment_meets_them_all() -> None:
    assert reasons(deployment(), service()) == []
    assert reasons(deployment(), service(), ArmingFacts()) == []


ROLLING = "spec.strategy"
OF_DEPLOYMENT: list[Any] = [
    (put("kind", "StatefulSet"), "NotADeployment", "not on a StatefulSet"),
    (put(ROLLING, {"type": "Recreate"}), "StrategyNotRollingUpdate", "set RollingUpdate"),
    (put(f"{ROLLING}.rollingUpdate.maxUnavailable", "25%"), "MaxUnavailableNotZero", "set it to 0"),
    (put(ROLLING, None), "MaxUnavailableNotZero", "is 25%: set it to 0"),
    (put(f"{SERVER}.readinessProbe", None), "ReadinessProbeMissing", "container server"),
    (put(f"{SERVER}.readinessProbe.httpGet.scheme", "HTTPS"), "ProtocolNotHTTP1", "speaks https"),
    (put(f"{POD}.hostNetwork", True), "HostPortInUse", "remove it"),
    (put(f"{SERVER}.ports.1.hostPort", 80), "HostPortInUse", "remove it"),
    (put(f"{POD}.initContainers", [{"name": "aurora-cache"}]), "SidecarNameTaken", "rename it"),
    (
        put(f"{POD}.containers.0.ports", [{"containerPort": 18080}]),
        "SidecarPortTaken",
        "agent uses port 18080",
    ),
    (put("spec.paused", True), "DeploymentPaused", "resume it"),
    (put("status.updatedReplicas", 1), "RolloutInProgress", "wait"),
    (put("metadata.generation", 3), "RolloutInProgress", "wait"),
    (put("status", None), "RolloutInProgress", "only 0 of 2"),
    (put(f"{SERVER}.ports.1.name", "web"), "TargetPortUnknown", "'http'"),
]


@pytest.mark.parametrize(("change", "reason", "says"), OF_DEPLOYMENT)
def test_faults_of_the_deployment(change: Change, reason: str, says: str) -> None:
    found = check_preconditions(deployment(change), service(), CacheSettings(), FACTS)
    assert [refusal.reason for refusal in found] == [reason]
    assert says in found[0].message


OF_SERVICE: list[Any] = [
    (put("spec.clusterIP", "None"), "ServiceHeadless", "a cluster IP"),
    (put("spec.selector", None), "ServiceSelectsNoPods", "selector"),
    (put("spec.type", "ExternalName"), "ServiceSelectsNoPods", "selector"),
    (put("spec.selector.app", "other"), "ServiceSelectsOtherPods", "serviceRef"),
    (put("spec.ipFamilies", ["IPv6"]), "ServiceIsIPv6", "IPv4"),
    (put("spec.ports.0.targetPort", 8000), "TargetPortNotNamed", "targetPort is 8000"),
    (put("spec.ports.0.protocol", "UDP"), "ServicePortMissing", "no TCP port"),
    (put("spec.ports.0.appProtocol", "kubernetes.io/h2c"), "ProtocolNotHTTP1", "kubernetes.io/h2c"),
    (
        put(
            "spec.ports",
            [{"port": 80, "targetPort": "http"}, {"port": 90, "targetPort": "grpc"}],
        ),
        "ServicePortAmbiguous",
        "grpc, http",
    ),
]


@pytest.mark.parametrize(("change", "reason", "says"), OF_SERVICE)
def test_faults_of_the_service(change: Change, reason: str, says: str) -> None:
    found = check_preconditions(deployment(), service(change), CacheSettings(), FACTS)
    assert [refusal.reason for refusal in found] == [reason]
    assert says in found[0].message


def test_the_service_port_may_be_named() -> None:
    ports = [
        {"name": "web", "port": 80, "targetPort": "http"},
        {"name": "rpc", "port": 90, "targetPort": "grpc"},
    ]
    settings = CacheSettings(service_port="web")
    found = check_preconditions(deployment(), service(put("spec.ports", ports)), settings, FACTS)
    assert found == ()


NUMBER = {"ports": [{"port": 8000}]}
RANGE = {"ports": [{"port": 7000, "endPort": 9000}]}
NAMED = {"ports": [{"port": "http"}]}
MINE = {"matchLabels": {"app": "llama"}}
POLICIES: list[Any] = [
    pytest.param(policy({"podSelector": MINE, "ingress": [NUMBER]}), True, id="in by number"),
    pytest.param(policy({"podSelector": {}, "ingress": [NUMBER]}), True, id="in, for all pods"),
    pytest.param(policy({"podSelector": MINE, "ingress": [RANGE]}), True, id="in by range"),
    pytest.param(policy({"podSelector": MINE, "ingress": [NAMED]}), False, id="in by name"),
    pytest.param(policy({"podSelector": MINE, "ingress": [{}]}), False, id="in on every port"),
    pytest.param(policy({"podSelector": MINE, "ingress": [NUMBER]}, "x"), False, id="elsewhere"),
    pytest.param(
        policy(
            {
                "podSelector": {
                    "matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]
                },
                "ingress": [NUMBER],
            }
        ),
        False,
        id="for other pods",
    ),
    pytest.param(policy({"podSelector": {}, "egress": [NUMBER]}, "x"), True, id="out to anywhere"),
    pytest.param(
        policy({"egress": [{**NUMBER, "to": [{"podSelector": MINE}]}]}), True, id="out to the pods"
    ),
    pytest.param(
        policy({"egress": [{**NUMBER, "to": [{"podSelector": MINE}]}]}, "x"),
        False,
        id="out to such pods of another namespace",
    ),
    pytest.param(
        policy({"egress": [{**NUMBER, "to": [{"namespaceSelector": {}}]}]}, "x"),
        True,
        id="out to namespaces",
    ),
    pytest.param(
        policy({"egress": [{**NUMBER, "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
        False,
        id="out to addresses",
    ),
]


@pytest.mark.parametrize(("given", "refused"), POLICIES)
def test_network_policies_by_the_old_number(given: Object, refused: bool) -> None:
    facts = ArmingFacts((1, 32), (given,))
    expected = ["NetworkPolicyByNumber"] if refused else []
    assert reasons(deployment(), service(), facts) == expected


def test_a_named_target_on_a_native_sidecar_needs_a_new_enough_server() -> None:
    assert reasons(deployment(), service(), ArmingFacts((1, 31))) == ["KubernetesTooOld"]


def test_no_room_names_the_nearest_miss() -> None:
    facts = ArmingFacts(surge=SurgeRoom(fits=False, message="gpu-1 lacks nvidia.com/gpu"))
    (refusal,) = check_preconditions(deployment(), service(), CacheSettings(), facts)
    assert refusal.reason == "NoRoomForSurgePod"
    assert "gpu-1 lacks nvidia.com/gpu" in refusal.message


def test_all_faults_are_told_at_once_and_in_order() -> None:
    made = deployment(
        put(ROLLING, None), put(f"{SERVER}.readinessProbe", None), put("status", None)
    )
    facts = ArmingFacts((1, 30), (), SurgeRoom(fits=False, message="full"))
    assert reasons(made, service(put("spec.clusterIP", "None")), facts) == [
        "KubernetesTooOld",
        "MaxUnavailableNotZero",
        "ServiceHeadless",
        "ReadinessProbeMissing",
        "NoRoomForSurgePod",
        "RolloutInProgress",
    ]
