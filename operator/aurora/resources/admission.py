"""Admission policies: who may approve, and who may write Decisions.

They are rules about the caller, so they cannot stand in the schema. They need Kubernetes 1.30.
The operator's user names are written into the policy: no parameter object that somebody else
could edit, and nothing to look up when it is checked.
"""

import json
from collections.abc import Sequence
from typing import Any

from aurora.resources.names import GROUP, OPERATOR_USER, VERSION

_API = "admissionregistration.k8s.io/v1"

# The garbage collector and the namespace controller remove Decisions with their owner or
# namespace. Without per-controller credentials they are all system:kube-controller-manager.
CLEANERS = (
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:kube-controller-manager",
)

_APPROVER_MESSAGE = (
    "'spec.approver must be your own user name: write ' + request.userInfo.username"
    " + ' (kubectl auth whoami shows it)'"
)
_DECISION_MESSAGE = (
    "'Decisions are written by AURORA alone, not by ' + request.userInfo.username"
    " + ': to approve or deny one, create an Approval (kubectl aurora approve)'"
)


def policies(*, operators: Sequence[str] = (OPERATOR_USER,)) -> list[dict[str, Any]]:
    """Return both policies with their bindings.

    Args:
        operators: user names that may write Decisions, as `kubectl auth whoami` shows them; for
            an operator that runs outside the cluster, the user of its kubeconfig.
    """
    return [*approver_policy(), *decision_policy(operators=operators)]


def approver_policy() -> list[dict[str, Any]]:
    """An Approval names the user who creates it, so that approving cannot be done for others.

    Updates need no rule: the spec never changes, and metadata is Kubernetes' own to update.
    """
    validation = {
        "expression": "object.spec.approver == request.userInfo.username",
        "messageExpression": _APPROVER_MESSAGE,
        "reason": "Forbidden",
    }
    return _policy_and_binding(
        name=f"approver.{GROUP}",
        resources=["approvals"],
        operations=["CREATE"],
        spec={"validations": [validation]},
    )


def decision_policy(*, operators: Sequence[str]) -> list[dict[str, Any]]:
    """Only the operator writes Decisions and their status; Kubernetes itself may clean them up."""
    spec = {
        "variables": [
            {
                "name": "byOperator",
                "expression": f"request.userInfo.username in {_cel_list(operators)}",
            },
            {
                "name": "byCleaner",
                "expression": f"request.userInfo.username in {_cel_list(CLEANERS)}"
                " && request.operation != 'CREATE' && request.?subResource.orValue('') == ''",
            },
        ],
        "validations": [
            {
                "expression": "variables.byOperator || variables.byCleaner",
                "messageExpression": _DECISION_MESSAGE,
                "reason": "Forbidden",
            }
        ],
    }
    return _policy_and_binding(
        name=f"decisions.{GROUP}",
        resources=["decisions", "decisions/status"],
        operations=["CREATE", "UPDATE", "DELETE"],
        spec=spec,
    )


def _policy_and_binding(
    *, name: str, resources: list[str], operations: list[str], spec: dict[str, Any]
) -> list[dict[str, Any]]:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": operations,
        "resources": resources,
    }
    policy = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, **spec},
    }
    binding = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def _cel_list(names: Sequence[str]) -> str:
    """Quote names as CEL string literals; JSON's escapes are a subset of CEL's."""
    return json.dumps(list(names))
