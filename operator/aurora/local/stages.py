"""How the simulated kubelet behaves: kwok Stage objects.

A Node is Ready at once and stays so. A Pod is Ready at once, or after the seconds in its
annotation `aurora.dev/simulated-start-seconds` counted from `status.startTime` (the time that a
model server needs to load its weights). A Job's Pod completes, after the seconds in
`aurora.dev/simulated-run-seconds`. A deleted Pod is gone at once. A status that somebody else
writes to a running Pod stays, so a test can make one unready.

Stage fields and template functions: kwok.x-k8s.io/v1alpha1.
"""

from typing import Any

import yaml

START_SECONDS = "aurora.dev/simulated-start-seconds"
RUN_SECONDS = "aurora.dev/simulated-run-seconds"

_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_JOB = '.metadata.ownerReferences.[] | select( .kind == "Job" ) | .kind'


def render() -> str:
    """All stages as one multi-document YAML text."""
    return yaml.safe_dump_all(stages(), sort_keys=False)


def stages() -> list[dict[str, Any]]:
    """The stages of nodes and pods; their selectors exclude one another."""
    pending = _when(".status.phase", "In", "Pending")
    alive = _when(".metadata.deletionTimestamp", "DoesNotExist")
    slow = f'.metadata.annotations["{START_SECONDS}"]'
    return [
        _stage("node-ready", "Node", [_when(_READY, "NotIn", "True")], _NODE_READY),
        _stage(
            "pod-ready",
            "Pod",
            [alive, pending, _when(slow, "DoesNotExist")],
            _POD_NETWORK + _POD_RUNNING,
        ),
        _stage(
            "pod-starting",
            "Pod",
            [alive, pending, _when(slow, "Exists"), _when(".status.startTime", "DoesNotExist")],
            _POD_NETWORK + _POD_WAITING,
        ),
        _stage(
            "pod-started",
            "Pod",
            [alive, pending, _when(slow, "Exists"), _when(".status.startTime", "Exists")],
            _POD_RUNNING,
            until=_after(".status.startTime", START_SECONDS),
        ),
        _stage(
            "pod-complete",
            "Pod",
            [alive, _when(".status.phase", "In", "Running"), _when(_JOB, "In", "Job")],
            _POD_COMPLETE,
            until=_after(".status.startTime", RUN_SECONDS),
        ),
        _delete("pod-delete", _when(".metadata.deletionTimestamp", "Exists")),
    ]


def _when(key: str, operator: str, *values: str) -> dict[str, Any]:
    expression: dict[str, Any] = {"key": key, "operator": operator}
    return {**expression, "values": list(values)} if values else expression


def _after(start: str, annotation: str) -> str:
    # A point in time, not a length: when something touches the waiting pod, kwok starts a length
    # over. An annotation that is no number is an error here, which kwok reads as no delay.
    seconds = f'(.metadata.annotations["{annotation}"] | tonumber)'
    return f"({start} | fromdate) + {seconds} | floor | todate"


def _base(name: str, kind: str, selector: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": selector},
        },
    }


def _stage(
    name: str,
    kind: str,
    selector: list[dict[str, Any]],
    template: str,
    *,
    until: str | None = None,
) -> dict[str, Any]:
    stage = _base(name, kind, selector)
    stage["spec"]["next"] = {"statusTemplate": template}
    if until is not None:
        stage["spec"]["delay"] = {
            "durationMilliseconds": 0,
            "durationFrom": {"expressionFrom": until},
        }
    return stage


def _delete(name: str, *selector: dict[str, Any]) -> dict[str, Any]:
    stage = _base(name, "Pod", list(selector))
    stage["spec"]["next"] = {"finalizers": {"empty": True}, "delete": True}
    return stage


_NODE_READY = """\
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
addresses:
- type: InternalIP
  address: {{ NodeIP | Quote }}
- type: Hostname
  address: {{ NodeName | Quote }}
phase: Running
"""

_POD_NETWORK = """\
{{ $now := Now }}
{{ $hosts := NodeIPsWith .spec.nodeName }}
{{ with $hosts }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $host := or .spec.hostNetwork false }}
{{ $uid := or .metadata.uid "" }}
{{ $ips := PodIPsWith .spec.nodeName $host $uid .metadata.name .metadata.namespace }}
{{ with $ips }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
startTime: {{ $now | Quote }}
"""

_POD_WAITING = """\
phase: Pending
conditions:
- {type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "False", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "False", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state: {waiting: {reason: ContainerCreating}}
{{ end }}
"""

_POD_RUNNING = """\
{{ $ready := Now }}
phase: Running
conditions:
- {type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $ready | Quote }}}
- {type: Initialized, status: "True", lastTransitionTime: {{ $ready | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $ready | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $ready | Quote }}}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $ready | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $ready | Quote }}}}
{{ end }}
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $ready | Quote }}}}
  {{ else }}
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $ready | Quote }}, \
finishedAt: {{ $ready | Quote }}}}
  {{ end }}
{{ end }}
{{ end }}
"""

_POD_COMPLETE = """\
{{ $now := Now }}
phase: Succeeded
conditions:
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "False", reason: PodCompleted, \
lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, \
finishedAt: {{ $now | Quote }}}}
{{ end }}
"""
