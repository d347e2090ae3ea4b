"""One small check per guardrail, named as the condition it finds.

A check returns None when it has nothing to say. The order of the chain stands in chain.py.
"""

import math

from aurora.critic.budgets import exhausted_budget
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.observe.sample import Missing, Sample, Signal
from aurora.planner.decision import Direction
from aurora.resources.vocabulary import Action, Mode, NodeProvisioning, OutcomeVerdict, Phase

__all__ = ["Finding"]

Finding = tuple[CheckReason, str] | None
"""A reason and the sentence that a person reads, or nothing."""

REGRESSION_MEMORY_S = 24 * 3600.0
"""How long a measured regression of the same action keeps AURORA from repeating it unattended."""
FAILURE_MEMORY_S = 3600.0
"""How long an action that could not be carried out is not proposed again."""
REVERTS_TOLERATED = 2
"""Writes that another manager may take back within an hour before AURORA stops repeating them."""
_NEEDED_TO_SHRINK = (Signal.REQUEST_RATE,)


def control_unreadable(given: CriticInput) -> Finding:
    if given.fleet.control.readable:
        return None
    return (
        CheckReason.CONTROL_UNREADABLE,
        (
            f"the ConfigMap aurora-control cannot be read ({given.fleet.control.detail}), "
            "which counts as a set kill switch: create it or mend the operator's rights"
        ),
    )


def kill_switch_set(given: CriticInput) -> Finding:
    if not given.fleet.control.stopped:
        return None
    return (
        CheckReason.KILL_SWITCH_SET,
        'the kill switch is set: set data.stop to "false" in the ConfigMap aurora-control to go on',
    )


def paused(given: CriticInput) -> Finding:
    if not given.observation.model.is_paused:
        return None
    return CheckReason.PAUSED, "the annotation aurora.dev/paused is set: remove it to go on"


def mode_observe(given: CriticInput) -> Finding:
    if given.observation.model.mode_of(given.request.action) is not Mode.OBSERVE:
        return None
    return CheckReason.MODE_OBSERVE, f"the mode for {given.request.action} is Observe"


def target_not_found(given: CriticInput) -> Finding:
    if given.observation.target is not None:
        return None
    ref = given.observation.model.spec.target_ref
    return CheckReason.TARGET_NOT_FOUND, f"{ref.kind} {ref.name} does not exist"


def target_replaced(given: CriticInput) -> Finding:
    target = given.observation.target
    if target is None or target.uid == given.request.target_uid:
        return None
    return CheckReason.TARGET_REPLACED, f"{target.key.name} was deleted and made anew"


def target_conflict(given: CriticInput) -> Finding:
    if not given.observation.rivals:
        return None
    older = given.observation.rivals[0]
    return CheckReason.TARGET_CONFLICT, f"{older} is older and acts on the same target"


def autoscaler_conflict(given: CriticInput) -> Finding:
    found = given.observation.autoscalers
    if given.request.action is not Action.SCALE or len(found) < 2:
        return None
    names = " and ".join(f"{one.kind} {one.key.name}" for one in found)
    return CheckReason.AUTOSCALER_CONFLICT, f"{names} scale the same target: delete one of them"


def out_of_bounds(given: CriticInput) -> Finding:
    scaling = given.observation.model.spec.scaling
    wanted = _replicas(given.request.after)
    if given.request.action is not Action.SCALE or wanted is None:
        return None
    if scaling is None:
        return CheckReason.OUT_OF_BOUNDS, "spec.scaling is not set: add minReplicas and maxReplicas"
    ceilings = [scaler.ceiling for scaler in given.observation.autoscalers]
    low, high = scaling.min_replicas, min([scaling.max_replicas, *ceilings])
    if low <= wanted <= high:
        return None
    return CheckReason.OUT_OF_BOUNDS, f"{wanted} replicas are outside of {low} to {high}"


def no_healthy_backend(given: CriticInput) -> Finding:
    if given.request.action is not Action.ROUTE:
        return None
    to_fallback = given.request.direction is Direction.FALLBACK
    seen = given.observation
    endpoints = seen.fallback_endpoints if to_fallback else seen.endpoints
    ready = endpoints.ready if endpoints is not None else 0
    primary_ready = sum(1 for pod in seen.pods if pod.ready and not pod.deleting)
    if (ready if to_fallback else primary_ready) > 0:
        return None
    return CheckReason.NO_HEALTHY_BACKEND, "the backend that would take the traffic is not ready"


def model_name_differs(given: CriticInput) -> Finding:
    seen = given.observation
    if given.request.direction is not Direction.FALLBACK or not seen.fallback_model_names:
        return None
    if not seen.model_names or seen.model_names & seen.fallback_model_names:
        return None
    return (
        CheckReason.MODEL_NAME_DIFFERS,
        (
            f"the fallback serves {', '.join(sorted(seen.fallback_model_names))} and the primary "
            f"{', '.join(sorted(seen.model_names))}: callers would get an error for the name"
        ),
    )


def evidence_missing(given: CriticInput) -> Finding:
    if not given.request.takes_away or given.request.action is not Action.SCALE:
        return None
    for signal in _NEEDED_TO_SHRINK:
        reading = given.observation.reading(signal)
        if isinstance(reading, Missing):
            return CheckReason.EVIDENCE_MISSING, f"{signal} is missing ({reading.gap})"
        if isinstance(reading, Sample) and reading.partial:
            return CheckReason.EVIDENCE_MISSING, f"{signal} is partial: some pods did not answer"
    return None


def action_in_flight(given: CriticInput) -> Finding:
    open_entry = given.ledger.in_flight(given.request.model)
    if open_entry is None or open_entry.id == given.request.decision_id:
        return None
    if given.request.protective and open_entry.phase is Phase.VERIFYING:
        return None
    return CheckReason.ACTION_IN_FLIGHT, f"{open_entry.id} is still {open_entry.phase}"


def protected_recently(given: CriticInput) -> Finding:
    if not given.request.protective or given.request.action is Action.ALERT:
        return None
    since = given.at - 2 * given.fleet.cycle_s
    recent = [
        entry
        for entry in given.ledger.acted_since(given.request.model, since)
        if entry.protective and entry.id != given.request.decision_id
    ]
    if not recent:
        return None
    return CheckReason.PROTECTED_RECENTLY, f"{recent[0].id} protected this target just now"


def cooling_down(given: CriticInput) -> Finding:
    if given.request.protective or given.request.action is Action.ALERT:
        return None
    last = given.ledger.last_acted(given.request.model)
    if last is None or last.executed_at is None or last.id == given.request.decision_id:
        return None
    cooldown = given.observation.model.spec.autonomy.cooldown
    limit = cooldown.down if given.request.takes_away else cooldown.up
    left = last.executed_at + limit.total_seconds() - given.at
    if left <= 0:
        return None
    return CheckReason.COOLING_DOWN, f"{last.id} acted recently, {math.ceil(left)} s to wait"


def failed_before(given: CriticInput) -> Finding:
    """What could not be done an hour ago is not tried again before somebody mended it."""
    since = given.at - FAILURE_MEMORY_S
    found = next(
        (
            entry
            for entry in given.ledger.of_model(given.request.model)
            if entry.phase is Phase.FAILED
            and entry.fingerprint == given.request.fingerprint
            and entry.decided_at >= since
        ),
        None,
    )
    if found is None or given.request.action is Action.ROUTE:
        return None
    return CheckReason.FAILED_BEFORE, f"{found.id} could not be carried out"


def step_too_large(given: CriticInput) -> Finding:
    before, after = _replicas(given.request.before), _replicas(given.request.after)
    if given.request.protective or before is None or after is None:
        return None
    percent = given.observation.model.spec.autonomy.max_step_percent
    allowed = max(1, before * percent // 100)
    if abs(after - before) <= allowed:
        return None
    return (
        CheckReason.STEP_TOO_LARGE,
        f"{before} to {after} replicas is more than {percent} % ({allowed}) in one step",
    )


def budget_exhausted(given: CriticInput) -> Finding:
    if given.request.protective:
        return None
    budgets = given.observation.model.spec.autonomy.budgets
    acted = tuple(
        entry
        for entry in given.ledger.of_model(given.request.model)
        if entry.acted and entry.id != given.request.decision_id
    )
    found = exhausted_budget(budgets, given.request.action, acted, at=given.at)
    if found is None:
        return None
    if found.actions == 0:
        return CheckReason.FREEZE_WINDOW, "a freeze window is in force: autonomy.budgets allows 0"
    return CheckReason.BUDGET_EXHAUSTED, f"the budget of {found.actions} actions is used up"


def blast_radius(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT or given.fleet.in_flight < given.blast_radius:
        return None
    if given.ledger.in_flight(given.request.model) is not None:
        return None
    return (
        CheckReason.BLAST_RADIUS,
        (
            f"{given.fleet.in_flight} of {given.fleet.models} models are being changed, "
            f"{given.blast_radius} at most"
        ),
    )


def quota_exceeded(given: CriticInput) -> Finding:
    target, more = given.observation.target, _added(given)
    if target is None or more <= 0:
        return None
    needs = {
        "pods": more,
        "requests.cpu": more * target.cpu_request_m / 1000,
        "requests.memory": more * target.memory_request_bytes,
        "requests.nvidia.com/gpu": more * target.gpus_per_pod,
    }
    for quota in given.observation.quotas:
        for resource, needed in needs.items():
            left = quota.remaining.get(resource)
            if left is not None and needed > left:
                return (
                    CheckReason.QUOTA_EXCEEDED,
                    (
                        f"ResourceQuota {quota.key.name} has {left:g} {resource} left, "
                        f"{needed:g} are needed"
                    ),
                )
    return None


def gpu_shortage(given: CriticInput) -> Finding:
    target, more, nodes = given.observation.target, _added(given), given.fleet.nodes
    scaling = given.observation.model.spec.scaling
    if target is None or scaling is None or nodes is None or more <= 0:
        return None
    needed = more * target.gpus_per_pod
    on_demand = scaling.node_provisioning is NodeProvisioning.AUTO
    if on_demand or needed <= nodes.gpus_free:
        return None
    return (
        CheckReason.GPU_SHORTAGE,
        (
            f"{needed} GPUs are needed and {nodes.gpus_free} are free: add nodes, or set "
            "scaling.nodeProvisioning to Auto where nodes appear on demand"
        ),
    )


def externally_reverted(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT or given.reverted < REVERTS_TOLERATED:
        return None
    return (
        CheckReason.EXTERNALLY_REVERTED,
        (
            f"another manager took our write back {given.reverted} times within an hour: "
            "see the condition ExternallyReverted"
        ),
    )


def regressed_before(given: CriticInput) -> Finding:
    since = given.at - REGRESSION_MEMORY_S
    found = next(
        (
            entry
            for entry in given.ledger.acted_since(given.request.model, since)
            if entry.verdict is OutcomeVerdict.REGRESSED
            and (entry.action, entry.direction) == (given.request.action, given.request.direction)
            and dict(entry.after) == dict(given.request.after)
        ),
        None,
    )
    if found is None or given.request.protective:
        return None
    return CheckReason.REGRESSED_BEFORE, f"{found.id} did the same and was measured as Regressed"


def mode_recommend(given: CriticInput) -> Finding:
    if given.request.action is Action.ALERT:
        return None
    if given.observation.model.mode_of(given.request.action) is not Mode.RECOMMEND:
        return None
    return CheckReason.MODE_RECOMMEND, f"the mode for {given.request.action} is Recommend"


def confidence_low(given: CriticInput) -> Finding:
    limit = given.observation.model.spec.autonomy.thresholds.monitored_percent
    if given.request.action is Action.ALERT or given.request.confidence * 100 >= limit:
        return None
    return (
        CheckReason.CONFIDENCE_LOW,
        f"confidence {given.request.confidence:.0%} is below {limit} %",
    )


def _replicas(parameters: object) -> int | None:
    value = parameters.get("replicas") if isinstance(parameters, dict) else None
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _added(given: CriticInput) -> int:
    before, after = _replicas(given.request.before), _replicas(given.request.after)
    return 0 if before is None or after is None else after - before
