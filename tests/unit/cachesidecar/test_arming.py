"""The patches that arm and disarm, applied by a real JSON Patch library."""

import json
import os
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aurora.cachesidecar.arming import ARMED_ANNOTATION, arm, disarm, is_armed
from aurora.cachesidecar.manifests import config_map
from aurora.cachesidecar.nginxconf import nginx_config
from aurora.cachesidecar.settings import CacheSettings
from aurora.errors import UsageError
from tests.unit.cachesidecar.objects import Change, Object, deployment, put, server_of, service

DATA = Path(__file__).parent / "data"
SERVER = "spec.template.spec.containers.1"
POD = "spec.template.spec"
SETTINGS = CacheSettings()
EXPORTING = CacheSettings(exporter_image="ghcr.io/aurora/aurora:0.1.0")


def golden(name: str, text: str) -> None:
    """Compare with the file; AURORA_UPDATE_GOLDEN=1 writes it instead."""
    path = DATA / name
    if os.environ.get("AURORA_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def patched(made: Object, operations: tuple[Any, ...]) -> Object:
    result: Object = jsonpatch.apply_patch(made, list(operations))
    return result


def armed(made: Object, settings: CacheSettings = SETTINGS) -> Object:
    return patched(made, arm(made, service(), settings).operations)


@pytest.mark.parametrize("settings", [SETTINGS, EXPORTING], ids=["plain", "with-exporter"])
def test_the_armed_pod_template_is_golden(settings: CacheSettings) -> None:
    template = armed(deployment(), settings)["spec"]["template"]
    name = "armed.yaml" if settings is SETTINGS else "armed-exporter.yaml"
    golden(name, yaml.safe_dump(template, sort_keys=False, width=100))


def test_the_configuration_is_golden() -> None:
    golden("nginx.conf", nginx_config(EXPORTING, upstream_port=8000))


VARIANTS: list[Any] = [
    pytest.param((), id="the usual one"),
    pytest.param((put("metadata.annotations", None),), id="no annotations"),
    pytest.param(
        (
            put(f"{POD}.initContainers", [{"name": "download"}]),
            put(f"{POD}.volumes", [{"name": "v"}]),
        ),
        id="init containers and volumes of its own",
    ),
    pytest.param(
        (put(f"{SERVER}.lifecycle", {"preStop": {"httpGet": {"path": "/drain", "port": "http"}}}),),
        id="a preStop hook by port name",
    ),
    pytest.param(
        (put(f"{SERVER}.lifecycle", {"postStart": {"httpGet": {"path": "/", "port": "http"}}}),),
        id="a postStart hook by port name and no preStop",
    ),
    pytest.param((put(f"{POD}.terminationGracePeriodSeconds", None),), id="no grace period"),
    pytest.param((put(f"{POD}.terminationGracePeriodSeconds", 3600),), id="a long grace period"),
]


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("settings", [SETTINGS, EXPORTING], ids=["plain", "with-exporter"])
def test_undo_and_disarm_restore_what_was_there(
    changes: tuple[Change, ...], settings: CacheSettings
) -> None:
    before = deployment(*changes)
    plan = arm(before, service(), settings)
    after = patched(before, plan.operations)
    assert is_armed(after)
    for operations in (plan.undo, disarm(after).operations):
        restored = patched(after, operations)
        assert _without_empties(restored) == _without_empties(before)


def _without_empties(made: Object) -> Object:
    """Drop empty lists and maps: the API server does not keep them."""
    if isinstance(made, dict):
        pairs = ((k, _without_empties(v)) for k, v in made.items())
        return {k: v for k, v in pairs if v not in ([], {})}
    return [_without_empties(v) for v in made] if isinstance(made, list) else made


def test_the_name_moves_and_the_servers_own_references_become_numbers() -> None:
    after = armed(deployment())
    server, spec = server_of(after), after["spec"]["template"]["spec"]
    sidecar = spec["initContainers"][0]
    assert [p["name"] for p in server["ports"]] == ["grpc", "aurora-direct"]
    assert sidecar["ports"] == [{"name": "http", "containerPort": 18080, "protocol": "TCP"}]
    assert server["startupProbe"]["tcpSocket"]["port"] == 8000
    assert server["readinessProbe"]["httpGet"]["port"] == 8000
    assert server["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    assert spec["terminationGracePeriodSeconds"] == 45


def test_every_port_name_is_a_legal_one() -> None:
    spec = armed(deployment(), EXPORTING)["spec"]["template"]["spec"]
    names = [
        port["name"]
        for container in (*spec["initContainers"], *spec["containers"])
        for port in container.get("ports", ())
    ]
    assert all(len(name) <= 15 for name in names)
    assert len(set(names)) == len(names)


def test_an_existing_pre_stop_hook_is_left_as_it_is() -> None:
    hook = {"preStop": {"sleep": {"seconds": 3}}}
    after = armed(deployment(put(f"{SERVER}.lifecycle", hook)))
    assert server_of(after)["lifecycle"] == hook
    assert after["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_a_rollout_without_pre_stop_is_warned_about() -> None:
    assert "no preStop hook" in arm(deployment(), service(), SETTINGS).warnings[0]


def test_arming_an_armed_deployment_writes_nothing() -> None:
    again = arm(armed(deployment()), service(), SETTINGS)
    assert (again.operations, again.upstream_port) == ((), 8000)
    assert disarm(deployment()).operations == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put("metadata.uid", "other"), id="another object of that name"),
        pytest.param(put("metadata.resourceVersion", "42"), id="a later version"),
        pytest.param(put(f"{SERVER}.ports.1.name", "web"), id="a renamed port"),
    ],
)
def test_the_patch_applies_only_to_what_was_seen(change: Change) -> None:
    plan = arm(deployment(), service(), SETTINGS)
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        patched(deployment(change), plan.operations)


def test_disarming_keeps_what_another_hand_has_changed() -> None:
    after = armed(deployment())
    server_of(after)["lifecycle"]["preStop"]["sleep"]["seconds"] = 99
    plan = disarm(after)
    assert plan.kept == ("server.lifecycle",)
    restored = patched(after, plan.operations)
    assert server_of(restored)["lifecycle"] == {"preStop": {"sleep": {"seconds": 99}}}
    assert not is_armed(restored)


def test_disarming_finds_its_entries_among_later_ones() -> None:
    after = armed(deployment(), EXPORTING)
    spec = after["spec"]["template"]["spec"]
    spec["initContainers"].insert(0, {"name": "first"})
    spec["initContainers"].append({"name": "last"})
    spec["containers"].reverse()
    spec["volumes"].insert(1, {"name": "between"})
    restored = patched(after, disarm(after).operations)["spec"]["template"]["spec"]
    assert [c["name"] for c in restored["initContainers"]] == ["first", "last"]
    assert [v["name"] for v in restored["volumes"]] == ["between"]
    assert restored["containers"][0] == server_of(deployment())


FORGED: list[Any] = [
    pytest.param("", id="empty"),
    pytest.param("{", id="not JSON"),
    pytest.param("[]", id="not an object"),
    pytest.param('{"upstreamPort":"x","volumes":[],"changes":[]}', id="a port that is none"),
    pytest.param('{"upstreamPort":1,"volumes":["data"],"changes":[]}', id="a foreign volume"),
    pytest.param(
        json.dumps(
            {
                "upstreamPort": 1,
                "volumes": [],
                "changes": [
                    {"container": "server", "path": ["image"], "old": "evil", "new": "vllm"}
                ],
            }
        ),
        id="a field that arming never writes",
    ),
    pytest.param(
        '{"upstreamPort":1,"volumes":[],"changes":[{"container":null,"path":["hostNetwork"],'
        '"old":true,"new":null}]}',
        id="a pod field that arming never writes",
    ),
]


@pytest.mark.parametrize("text", FORGED)
def test_a_forged_record_is_refused(text: str) -> None:
    after = armed(deployment())
    after["metadata"]["annotations"][ARMED_ANNOTATION] = text
    with pytest.raises(UsageError, match="by hand"):
        disarm(after)


@given(st.text(max_size=60))
def test_no_record_makes_disarming_crash(text: str) -> None:
    after = armed(deployment())
    after["metadata"]["annotations"][ARMED_ANNOTATION] = text
    with pytest.raises(UsageError):
        disarm(after)


def test_a_port_that_does_not_resolve_is_refused() -> None:
    with pytest.raises(UsageError, match="models/llama: TargetPortUnknown"):
        arm(deployment(), service(put("spec.ports.0.targetPort", "api")), SETTINGS)


def test_the_config_map_carries_the_switch_only_while_on() -> None:
    off, on = (
        config_map(deployment(), SETTINGS, upstream_port=8000, on=on) for on in (False, True)
    )
    assert sorted(off["data"]) == ["nginx.conf"]
    assert sorted(on["data"]) == ["nginx.conf", "on"]
    assert off["metadata"]["name"] == "llama-aurora-cache"
    assert off["metadata"]["ownerReferences"][0]["uid"] == "9d3b"


@pytest.mark.parametrize("name", ["aurora-cache", "aurora-cache-exporter"])
def test_the_sidecars_satisfy_the_restricted_standard(name: str) -> None:
    spec = armed(deployment(), EXPORTING)["spec"]["template"]["spec"]
    container = next(c for c in spec["initContainers"] if c["name"] == name)
    context = container["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert set(container["resources"]) == {"requests", "limits"}
    assert container["restartPolicy"] == "Always"


def test_the_store_fits_into_its_volume_and_the_volume_into_the_memory() -> None:
    spec = armed(deployment())["spec"]["template"]["spec"]
    store = next(v for v in spec["volumes"] if v["name"] == "aurora-cache-store")["emptyDir"]
    memory = spec["initContainers"][0]["resources"]["limits"]["memory"]
    assert store == {"medium": "Memory", "sizeLimit": "640Mi"}
    assert memory == "896Mi"
