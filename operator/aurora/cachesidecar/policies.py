"""NetworkPolicies that allow a port by number: they would cut the sidecar's new number off."""

from collections.abc import Iterable, Mapping
from typing import Any

from aurora.cachesidecar.selectors import selects

__all__ = ["egress_by_number", "ingress_by_number"]

Json = Mapping[str, Any]


def ingress_by_number(
    policies: Iterable[Json], *, namespace: str, labels: Json, number: int
) -> str | None:
    """Return the first policy that lets callers in to these pods by that port number."""
    for policy in policies:
        spec = policy.get("spec", {})
        mine = policy.get("metadata", {}).get("namespace") == namespace
        if not mine or not selects(spec.get("podSelector") or {}, labels):
            continue
        if any(_names_number(rule, number) for rule in spec.get("ingress") or ()):
            return _name(policy)
    return None


def egress_by_number(
    policies: Iterable[Json], *, namespace: str, labels: Json, number: int
) -> str | None:
    """Return the first policy that lets callers out to these pods by that port number.

    A rule whose peers are picked by namespace is taken to reach them: the labels of namespaces
    are not looked up, and a refusal costs less than an outage. Address blocks are left alone.
    """
    for policy in policies:
        near = policy.get("metadata", {}).get("namespace") == namespace
        for rule in policy.get("spec", {}).get("egress") or ():
            reaches = _reaches(rule.get("to") or (), near=near, labels=labels)
            if reaches and _names_number(rule, number):
                return _name(policy)
    return None


def _reaches(peers: Iterable[Json], *, near: bool, labels: Json) -> bool:
    peers = tuple(peers)
    if not peers:
        return True
    return any(
        selects(peer.get("podSelector") or {}, labels)
        and (near or peer.get("namespaceSelector") is not None)
        for peer in peers
        if "ipBlock" not in peer
    )


def _names_number(rule: Json, number: int) -> bool:
    for port in rule.get("ports") or ():
        low = port.get("port")
        if isinstance(low, int) and low <= number <= port.get("endPort", low):
            return True
    return False


def _name(policy: Json) -> str:
    metadata = policy.get("metadata", {})
    return f"{metadata.get('namespace')}/{metadata.get('name')}"
