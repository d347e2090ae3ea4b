"""Counts and ages of what the cluster's watches say of one model."""

from collections.abc import Iterable

from aurora.observe.facts import AutoscalerFacts, EndpointFacts, PodFacts, WorkloadFacts
from aurora.state.system_state import EndpointState, PodState, Replicas

__all__ = ["endpoint_state", "pod_state", "replicas_of"]


def replicas_of(target: WorkloadFacts | None, autoscalers: tuple[AutoscalerFacts, ...]) -> Replicas:
    """Counts of replicas; the autoscaler's only when exactly one has a hand on the target."""
    if target is None:
        return Replicas()
    # An HPA owned by a ScaledObject is that ScaledObject, not a second hand.
    hands = [a for a in autoscalers if not a.owner.startswith("ScaledObject/")]
    hand = hands[0] if len(hands) == 1 else None
    wishes = (a.desired for a in autoscalers if a.desired is not None)
    return Replicas(
        spec=target.replicas,
        ready=target.ready_replicas,
        updated=target.updated_replicas,
        floor=hand.floor if hand else None,
        ceiling=hand.ceiling if hand else None,
        desired=next(wishes, None) if hand else None,
    )


def pod_state(pods: Iterable[PodFacts], at: float) -> PodState:
    """Count the pods that are not on their way out."""
    pods = tuple(pods)
    if not [p for p in pods if not p.ready or p.deleting or p.crash_looping]:  # as nearly always
        return PodState(len(pods), len(pods))
    alive = [p for p in pods if not p.deleting]
    pending = [p for p in alive if not p.ready and p.ready_at is None and not p.crash_looping]
    stuck = [p for p in pending if p.unschedulable]
    return PodState(
        total=len(alive),
        ready=sum(p.ready for p in alive),
        crash_looping=sum(p.crash_looping for p in alive),
        pending=len(pending),
        oldest_pending_s=_oldest(pending, at),
        unschedulable=len(stuck),
        oldest_unschedulable_s=_oldest(stuck, at),
        why=stuck[0].unschedulable if stuck else "",
    )


def endpoint_state(facts: EndpointFacts | None, at: float) -> EndpointState | None:
    """Endpoints of a Service, None when nothing is known of them."""
    if facts is None:
        return None
    since = facts.not_ready_since
    age = 0.0 if since is None else max(0.0, at - since)
    return EndpointState(facts.ready, facts.total, age)


def _oldest(pods: list[PodFacts], at: float) -> float:
    return max((max(0.0, at - p.created_at) for p in pods), default=0.0)
