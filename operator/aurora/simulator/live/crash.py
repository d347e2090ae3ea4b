"""A crashed pod as its kubelet reports it, and well again. Pure documents for `pods/status`."""

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["crash_looping", "running"]

_READINESS = ("Ready", "ContainersReady")


def crash_looping(pod: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Give the status of the pod with its containers in CrashLoopBackOff.

    Args:
        pod: as read from the API server.
        at: the time of the transition, RFC 3339.
    """
    state = {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container",
        }
    }
    return _status(pod, at=at, ready=False, state=state, restarts=1)


def running(pod: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Give the status of the pod with its containers running again."""
    return _status(pod, at=at, ready=True, state={"running": {"startedAt": at}}, restarts=0)


def _status(
    pod: Mapping[str, Any], *, at: str, ready: bool, state: dict[str, Any], restarts: int
) -> dict[str, Any]:
    status = copy.deepcopy(dict(pod.get("status") or {}))
    word = "True" if ready else "False"
    for condition in status.get("conditions") or ():
        if condition.get("type") in _READINESS and condition.get("status") != word:
            condition |= {"status": word, "lastTransitionTime": at}
    for container in status.get("containerStatuses") or ():
        container |= {
            "ready": ready,
            "started": ready,
            "state": state,
            "restartCount": container.get("restartCount", 0) + restarts,
        }
    return {
        "conditions": status.get("conditions") or [],
        "containerStatuses": status.get("containerStatuses") or [],
    }
