"""One model, one cycle: candidates, precedents, arbiter, decision."""

import hashlib
import json
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from aurora.observe.facts import ObjectKey
from aurora.observe.subjects import name_of
from aurora.planner.arbiter import Blocked, choose, standing
from aurora.planner.cases import Precedent
from aurora.planner.confidence import confidence
from aurora.planner.decision import Candidate, Decision, TargetRef, fingerprint
from aurora.planner.inputs import PlanInput
from aurora.planner.rules import candidates
from aurora.resources import ModelDeployment, RoutingPolicy
from aurora.resources.vocabulary import Action

__all__ = ["Recall", "plan", "policy_hash"]

Recall = Callable[[PlanInput, Candidate], Sequence[Precedent]]
"""Past cases that are similar to what a candidate would do now."""


def plan(
    given: PlanInput,
    *,
    recall: Recall,
    told: AbstractSet[str],
    blocked: Sequence[Blocked] = (),
) -> Decision | None:
    """Decide on at most one action.

    Args:
        given: the model now.
        recall: finds similar past cases with their outcomes.
        told: fingerprints of alerts that people were told of within the last hour: they do not
            stand in the way of an action.
        blocked: better proposals that may not be carried out now.
    """
    uid = given.observation.model.metadata.uid
    found = [
        one
        for one in candidates(given)
        if one.action is not Action.ALERT or fingerprint(uid, one) not in told
    ]
    winner, losers = choose(standing(found, blocked))
    if winner is None:
        return None
    precedents = tuple(recall(given, winner))
    mark = fingerprint(uid, winner)
    key = given.observation.key
    ttl = given.spec.autonomy.approval_ttl.total_seconds()
    return Decision(
        id=decision_id(key, winner, given.at, mark),
        model=key,
        model_uid=uid,
        target=_target(given),
        action=winner.action,
        direction=winner.direction,
        reason=winner.reason,
        message=winner.message,
        before=winner.before,
        after=winner.after,
        confidence=confidence(winner.evidence_confidence, precedents),
        evidence=winner.evidence,
        expected=winner.expected,
        rollback_if=winner.rollback_if,
        precedents=precedents,
        alternatives=(*(one.lost for one in blocked), *losers),
        protective=winner.protective,
        decided_at=given.at,
        expires_at=given.at + ttl,
        policy_hash=policy_hash(given.observation.routing.policy)
        if given.observation.routing is not None
        else policy_hash(given.observation.model),
        fingerprint=mark,
        advice=winner.advice,
    )


def decision_id(key: ObjectKey, candidate: Candidate, at: float, mark: str) -> str:
    """A name of 63 characters at most that sorts by time: two cycles are never in one second.

    The mark tells models of one namespace apart whose names begin alike.
    """
    action = candidate.action.lower().replace("_", "-")
    return f"{name_of(key)[:30].rstrip('-.')}-{action}-{int(at):x}-{mark}"


def _target(given: PlanInput) -> TargetRef:
    ref, target = given.spec.target_ref, given.observation.target
    return TargetRef(
        ref.api_version,
        ref.kind,
        given.observation.key.namespace,
        ref.name,
        target.uid if target is not None else "",
    )


def policy_hash(model: ModelDeployment | RoutingPolicy) -> str:
    """Name the policy that decided: everything of the spec but what it is called."""
    text = json.dumps(model.spec.to_kubernetes(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
