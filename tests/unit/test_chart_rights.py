"""The chart grants what is asked for, there alone, and locks its pods down."""

import json

import pytest

from aurora.decisions.desk import LEASE_NAME
from tests.support.chart import (
    container,
    environment,
    needs_helm,
    only,
    render,
)
from tests.support.rbac import Right, granted

POSTGRES = ("--set", "store.type=postgresql", "--set", "store.urlSecret.name=records")


def rights(*options: str) -> set[Right]:
    return granted(render(*options), "aurora", "aurora-system")


@needs_helm
def test_every_role_is_bound_to_the_operator_alone():
    objects = render("--set", "actions.cache.enabled=true")
    for one in objects:
        if one["kind"].endswith("RoleBinding"):
            account = {"kind": "ServiceAccount", "name": "aurora", "namespace": "aurora-system"}
            assert one["subjects"] == [account]


@needs_helm
def test_watching_and_acting_are_roles_of_their_own():
    objects = render("--set", "actions.cache.enabled=true")
    rules = only(objects, "ClusterRole", "aurora-watcher")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    changing = {"create", "update", "patch", "delete"}
    foreign = {
        one["metadata"]["name"]
        for one in objects
        if one["kind"] == "ClusterRole" and one["metadata"]["name"].startswith("aurora-actuator-")
        for rule in one["rules"]
        if changing & set(rule["verbs"]) and rule["apiGroups"] != ["aurora.dev"]
    }
    assert foreign == {"aurora-actuator-scale", "aurora-actuator-route", "aurora-actuator-cache"}


@needs_helm
@pytest.mark.parametrize(
    ("action", "right"),
    [
        ("scale", Right("patch", "deployments/scale.apps", "*")),
        ("route", Right("patch", "services", "*")),
        ("cache", Right("patch", "deployments.apps", "*")),
    ],
)
def test_an_action_has_its_rights_only_while_it_is_on(action: str, right: Right):
    assert right in rights("--set", f"actions.{action}.enabled=true")
    assert right not in rights("--set", f"actions.{action}.enabled=false")


@needs_helm
def test_config_maps_are_written_only_where_routers_are_fed():
    wrote = Right("patch", "configmaps", "*")
    assert wrote not in rights()
    assert wrote in rights("--set", "routers.enabled=true")


@needs_helm
def test_deployments_are_not_patched_by_default():
    given = render()
    assert not [one for one in rights() if one.verb == "patch" and one.resource in WORKLOADS]
    assert "CACHE" not in json.loads(environment(given)["AURORA_ACTIONS"])


WORKLOADS = {"deployments.apps", "statefulsets.apps", "pods", "jobs.batch"}


@needs_helm
def test_rights_end_at_the_watched_namespaces():
    objects = render("--set", "watchNamespaces={a,b}", "--set", "webhooks.hosts={x.example}")
    found = granted(objects, "aurora", "aurora-system")
    wide = {one.resource for one in found if one.namespace == "*"}
    assert wide == {"nodes"}
    assert {one.namespace for one in found} == {"*", "a", "b", "aurora-system"}
    home = {one.resource for one in found if one.namespace == "aurora-system"}
    assert home == {"leases.coordination.k8s.io", "configmaps", "deployments/scale.apps"}


@needs_helm
def test_one_action_may_be_kept_to_some_of_the_namespaces():
    options = ("--set", "watchNamespaces={a,b}", "--set", "actions.cache.enabled=true")
    found = rights(*options, "--set", "actions.cache.namespaces={b}")
    assert {one.namespace for one in found if one.resource == "deployments.apps"} == {"a", "b"}
    patched = [one for one in found if (one.verb, one.resource) == ("patch", "deployments.apps")]
    assert [one.namespace for one in patched] == ["b"]


@needs_helm
def test_secrets_are_read_by_name_and_only_where_webhooks_are_allowed():
    assert not [one for one in rights() if one.resource == "secrets"]
    options = ("--set", "webhooks.hosts={x.example}", "--set", "webhooks.secretNames={n8n}")
    found = [one for one in rights(*options) if one.resource == "secrets"]
    assert found == [Right("get", "secrets", "*", "n8n")]


@needs_helm
def test_no_rule_has_a_wildcard_or_deletes_what_is_not_auroras():
    for one in render("--set", "actions.cache.enabled=true"):
        for rule in one.get("rules", []) if one["kind"] in {"Role", "ClusterRole"} else []:
            everything = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in everything
            assert not {"deletecollection", "escalate", "bind", "impersonate"} & set(everything)
            ours = rule["apiGroups"] == ["aurora.dev"] or rule.get("resourceNames") == [LEASE_NAME]
            assert "delete" not in rule["verbs"] or ours


@needs_helm
def test_the_role_names_the_lease_that_is_taken():
    rules = only(render(), "Role", "aurora-own")["rules"]
    named = [rule.get("resourceNames") for rule in rules if rule["resources"] == ["leases"]]
    assert named == [None, [LEASE_NAME]]


@needs_helm
def test_the_pods_are_locked_down():
    objects = render(*POSTGRES)
    for one in (only(objects, "Deployment"), only(objects, "Job")):
        spec = one["spec"]["template"]["spec"]
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert each["resources"]["limits"]["memory"]
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False


@needs_helm
def test_the_pod_is_probed_and_given_time_to_start():
    found = container(render())
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert found[probe]["httpGet"] == {"path": "/healthz", "port": "health"}
    startup = found["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 120


@needs_helm
def test_deleting_the_release_runs_uninstall_first():
    objects = render("--set", "watchNamespaces={a}")
    job = only(objects, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert container(objects, "Job")["args"] == ["uninstall", "--stop-operator", "aurora"]
    assert environment(objects, "Job")["AURORA_WATCH_NAMESPACES"] == "a"
    # A pod of the hook is none of the operator's.
    chosen = only(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert not chosen.items() <= job["spec"]["template"]["metadata"]["labels"].items()


@needs_helm
def test_an_image_may_be_held_to_its_digest():
    digest = "sha256:" + "0123456789abcdef" * 4
    options = ("--set", "image.repository=r.example:5000/aurora", "--set", f"image.digest={digest}")
    assert container(render(*options))["image"] == f"r.example:5000/aurora:0.1.0@{digest}"


@needs_helm
@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://prometheus-operated.monitoring.svc:9090", 9090),
        ("https://mimir.example.com/prometheus", 443),
        ("http://prometheus", 80),
    ],
)
def test_the_network_policy_lets_out_what_is_needed_and_nothing_else(url: str, port: int):
    options = ("--set", "networkPolicy.enabled=true", "--set", f"prometheus.url={url}")
    objects = render(*options, "--set", "watchNamespaces={a}")
    spec = only(objects, "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    numbers = [one["port"] for rule in spec["egress"] for one in rule.get("ports", [])]
    assert numbers == [53, 53, 443, 6443, port]
    (inside,) = [rule["to"] for rule in spec["egress"] if "to" in rule]
    assert inside == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}}}]
    for one in (only(objects, "Deployment"), only(objects, "Job")):
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()
