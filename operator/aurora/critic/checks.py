"""Whether AURORA may act at all: what people switched off, and whether there is one target.

A check returns None when it has nothing to say, and is named as the condition it finds. The order
of the chain stands in chain.py.
"""

from aurora.critic.finding import Finding
from aurora.critic.reasons import CheckReason
from aurora.critic.request import CriticInput
from aurora.resources.vocabulary import Action, Mode


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


def action_not_installed(given: CriticInput) -> Finding:
    action, namespace = given.request.action, given.request.model.namespace
    if given.fleet.rights.cover(action, namespace):
        return None
    return (
        CheckReason.ACTION_NOT_INSTALLED,
        (
            f"this installation may not carry out {action} in {namespace}: an administrator allows "
            f"it with actions.{action.lower()} of the chart (AURORA_ACTIONS)"
        ),
    )


def mode_observe(given: CriticInput) -> Finding:
    """An ALERT changes nothing: only a mode of its own keeps it from being told."""
    model, action = given.observation.model, given.request.action
    own = model.spec.autonomy.actions.get(action)
    mode = own if action is Action.ALERT else model.mode_of(action)
    if mode is not Mode.OBSERVE:
        return None
    return CheckReason.MODE_OBSERVE, f"the mode for {action} is Observe"


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
