"""The demo's manifests: good objects that fit the scenario and the fleet."""

import json
from typing import Any

import pytest

from aurora.cachesidecar.arming import arm
from aurora.cachesidecar.settings import CacheSettings
from aurora.demo.install import manifests
from aurora.demo.look import scene_of
from aurora.demo.run import operator_settings
from aurora.demo.scenario import DEFAULT_FAULTS, EPISODES, MODELS, NAMESPACE, UNTOUCHED, episodes
from aurora.kube.kinds import CONFIG_MAP, DECISION, DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE
from aurora.local.controlplane import Endpoints
from aurora.resources import Autonomy, ModelDeployment
from aurora.resources.vocabulary import Mode
from aurora.simulator.live.objects import facts_of


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == kind}


MODEL_OBJECTS = {
    name: ModelDeployment.parse(raw) for name, raw in of_kind("ModelDeployment").items()
}


def test_there_are_four_models_and_each_has_its_workload() -> None:
    assert set(MODEL_OBJECTS) == set(MODELS)
    for model in MODEL_OBJECTS.values():
        assert model.metadata.namespace == NAMESPACE
        assert model.spec.target_ref.name in of_kind("Deployment")
        assert model.spec.service_ref.name in of_kind("Service")


@pytest.mark.parametrize("name", MODELS)
def test_only_windows_differ_from_the_default_policy(name: str) -> None:
    given = MODEL_OBJECTS[name].spec.autonomy
    windows = {"mode": Mode.AUTO, "verification": given.verification, "cooldown": given.cooldown}
    assert given == Autonomy().model_copy(update=windows)


def test_the_fleet_takes_every_deployment_and_calls_every_model() -> None:
    found = facts_of(
        deployments=of_kind("Deployment").values(),
        pods=(),
        services=of_kind("Service").values(),
        config_maps=(),
    )
    assert found.problems == ()
    assert {name for _, name in found.workloads} == set(of_kind("Deployment"))
    assert {one.name for one in found.services} == set(MODELS)
    # A fallback that serves another name would answer every caller with an error.
    assert {one.model_name for one in found.workloads.values()} == {"llama-3.1-8b"}


def test_the_cached_model_can_be_armed() -> None:
    target = of_kind("Deployment")["faq"]
    target["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    plan = arm(target, of_kind("Service")["faq"], CacheSettings())
    assert plan.upstream_port == 8000


def test_every_fault_hits_a_model_that_allows_its_answer() -> None:
    specs = {name: model.spec for name, model in MODEL_OBJECTS.items()}
    assert specs[EPISODES["load"].model].scaling is not None
    assert specs[EPISODES["errors"].model].fallback is not None
    assert specs[EPISODES["repeats"].model].cache.mode == "Auto"
    assert UNTOUCHED not in {episode.model for episode in EPISODES.values()}


def test_the_default_faults_are_known_and_a_count_takes_the_first() -> None:
    assert [one.fault for one in episodes()] == list(DEFAULT_FAULTS)
    assert [one.fault for one in episodes(2)] == ["load", "errors"]


def test_the_scene_is_read_from_the_objects_themselves() -> None:
    targets = of_kind("Deployment")
    targets["chat"]["status"] = {"readyReplicas": 1}
    services = of_kind("Service")
    services["assistant"]["spec"]["selector"] = {"app": "assistant-spare"}
    objects = {
        MODEL_DEPLOYMENT: of_kind("ModelDeployment").values(),
        DEPLOYMENT: targets.values(),
        SERVICE: services.values(),
        DECISION: (),
        CONFIG_MAP: (),
    }
    found = scene_of(objects, {"now": 5.0, "services": [], "faults": []}, {})
    chat = found.models["chat"]
    assert (chat.ready, chat.replicas, chat.cache) == (1, 2, "Off")
    assert chat.objectives == {"ttftP95": 2.0}
    assert not chat.metrics
    assert [m.name for m in found.models.values() if m.route == "fallback"] == ["assistant"]


def test_the_operator_s_settings_are_ones_that_it_knows(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurora.config import Settings

    where = Endpoints(tmp_path / "k", "c", "https://x", "http://127.0.0.1:9", tmp_path, tmp_path)
    given = operator_settings(where, tmp_path, "http://127.0.0.1:7")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    known = {f"AURORA_{name.upper()}" for name in Settings.model_fields} | {"KUBECONFIG"}
    assert set(given) <= known
    assert settings.metrics_window_seconds == 30.0
    assert settings.probe_url == "http://127.0.0.1:7/pods/{namespace}/{pod}{path}"
    assert json.dumps(settings.bind_address) == '"127.0.0.1"'
