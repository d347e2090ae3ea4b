"""What the loop looks after: ModelDeployments, and RoutingPolicies under names that never collide.

One key names both kinds, so that ledger, memory and records need no second set of tables. The name
of a policy's key holds a '/', which no object's name does.
"""

from typing import Final

from aurora.observe.facts import ObjectKey
from aurora.resources.vocabulary import SubjectKind

__all__ = ["is_policy", "kind_of", "name_of", "policy_key", "subject_key"]

_PREFIX: Final = "routingpolicy/"


def policy_key(namespace: str, name: str) -> ObjectKey:
    """The key of a RoutingPolicy."""
    return ObjectKey(namespace, f"{_PREFIX}{name}")


def subject_key(kind: SubjectKind, namespace: str, name: str) -> ObjectKey:
    """The key of what a Decision is about."""
    if kind is SubjectKind.ROUTING_POLICY:
        return policy_key(namespace, name)
    return ObjectKey(namespace, name)


def is_policy(key: ObjectKey) -> bool:
    return key.name.startswith(_PREFIX)


def kind_of(key: ObjectKey) -> SubjectKind:
    return SubjectKind.ROUTING_POLICY if is_policy(key) else SubjectKind.MODEL_DEPLOYMENT


def name_of(key: ObjectKey) -> str:
    """The object's own name."""
    return key.name.removeprefix(_PREFIX)
