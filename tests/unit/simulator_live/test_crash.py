"""A crashed pod as its kubelet reports it."""

from aurora.observe.pods import pod as pod_facts
from aurora.simulator.live.crash import crash_looping, running

POD = {
    "metadata": {"name": "a-0", "namespace": "demo", "uid": "u"},
    "status": {
        "phase": "Running",
        "conditions": [
            {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
        "containerStatuses": [
            {"name": "vllm", "ready": True, "restartCount": 2, "state": {"running": {}}}
        ],
    },
}
NOON = "2026-01-01T12:00:00Z"


def test_a_crash_is_read_back_as_what_it_is_and_ends() -> None:
    down = POD | {"status": POD["status"] | crash_looping(POD, at=NOON)}
    facts = pod_facts(down)
    assert facts is not None
    assert (facts.ready, facts.crash_looping, facts.restarts) == (False, True, 3)
    up = pod_facts(down | {"status": down["status"] | running(down, at=NOON)})
    assert up is not None
    assert (up.ready, up.crash_looping, up.restarts) == (True, False, 3)


def test_what_was_read_stays_as_it_is_and_other_conditions_keep_their_time() -> None:
    before = repr(POD)
    status = crash_looping(POD, at=NOON)
    assert repr(POD) == before
    times = {one["type"]: one["lastTransitionTime"] for one in status["conditions"]}
    assert times == {"Initialized": "2026-01-01T00:00:00Z", "Ready": NOON}


def test_a_pod_without_a_status_is_no_error() -> None:
    assert crash_looping({}, at=NOON) == {"conditions": [], "containerStatuses": []}
