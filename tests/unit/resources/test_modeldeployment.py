from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from aurora.errors import UsageError
from aurora.observe.sample import Signal
from aurora.resources import (
    Approval,
    DecisionObject,
    ModelDeployment,
    ModelDeploymentSpec,
    Queries,
)
from aurora.resources.base import MalformedObjectError
from aurora.resources.vocabulary import Action, CacheMode, Engine, Mode, NodeProvisioning

ROOT = Path(__file__).parents[3]
MINIMAL = {
    "metadata": {"name": "llama-8b", "namespace": "models"},
    "spec": {"targetRef": {"name": "llama-8b"}, "serviceRef": {"name": "llama-8b"}},
}


def minimal(**spec):
    return ModelDeployment.parse({**MINIMAL, "spec": MINIMAL["spec"] | spec})


def sample(name):
    return yaml.safe_load((ROOT / "manifests/samples" / name).read_text())


def test_the_least_object_gets_the_defaults_of_the_design():
    spec = minimal().spec
    autonomy = spec.autonomy
    assert (spec.engine, spec.cache.mode, autonomy.mode) == (
        Engine.VLLM,
        CacheMode.OFF,
        Mode.RECOMMEND,
    )
    assert (autonomy.thresholds.auto_percent, autonomy.thresholds.monitored_percent) == (90, 70)
    assert autonomy.verification.after == timedelta(minutes=2)
    assert autonomy.verification.window == timedelta(minutes=5)
    assert autonomy.cooldown.down == timedelta(minutes=15)
    assert autonomy.max_step_percent == 25
    assert autonomy.approval_ttl == timedelta(hours=1)
    assert (spec.scaling, spec.fallback) == (None, None)
    assert spec.metrics.min_samples == 100


def test_the_planner_thresholds_default_to_the_documented_values():
    triggers = minimal().spec.triggers.to_kubernetes()
    assert triggers == {
        "latencyP95": "1s",
        "baselinePercent": 150,
        "errorRatePercent": 5,
        "clientErrorRatePercent": 5,
        "utilizationPercent": 85,
        "noEndpointFor": "30s",
        "retrainAccuracyPercent": 70,
        "fineTuneAccuracyPercent": 90,
        "driftPercent": 50,
    }


def test_the_full_sample_sets_every_field_of_the_spec():
    written = sample("modeldeployment-full.yaml")
    parsed = ModelDeployment.parse(written).to_kubernetes()["spec"]
    assert set(parsed) == {field.alias for field in ModelDeploymentSpec.model_fields.values()}
    assert parsed["scaling"]["costPerReplicaHour"] == "2.50"


def test_a_sample_is_read_and_written_without_a_difference():
    written = sample("modeldeployment-full.yaml")
    read = ModelDeployment.parse(written)
    assert read.spec.scaling.cost_per_replica_hour == Decimal("2.50")
    assert read.spec.scaling.node_provisioning is NodeProvisioning.AUTO
    again = read.to_kubernetes()["spec"]
    again["autonomy"]["budgets"][1].pop("reasons")
    assert again == written["spec"]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        pytest.param({"enginee": "vllm"}, "spec.enginee", id="an unknown field is named"),
        pytest.param(
            {"objectives": {"ttftP95": "fast"}},
            "write it as 500ms",
            id="a bad duration says how to write one",
        ),
        pytest.param(
            {"scaling": {"maxReplicas": 0}}, "spec.scaling.maxReplicas", id="a bound is named"
        ),
        pytest.param(
            {"autonomy": {"actions": {"NO_ACTION": "Auto"}}},
            "never an object",
            id="NO_ACTION has no mode",
        ),
    ],
)
def test_a_malformed_object_is_one_line_that_names_object_and_field(spec, fault):
    with pytest.raises(MalformedObjectError) as raised:
        minimal(**spec)
    text = str(raised.value)
    assert text.startswith("ModelDeployment llama-8b: ")
    assert fault in text
    assert "\n" not in text
    assert isinstance(raised.value, UsageError)


def test_another_kind_is_refused():
    with pytest.raises(MalformedObjectError, match=r"expected .* Approval, found .* Decision"):
        Approval.parse({"kind": "Decision", "metadata": {"name": "a"}, "spec": {}})


def test_a_status_written_by_a_newer_version_is_still_read():
    read = ModelDeployment.parse({**MINIMAL, "status": {"observedGeneration": 2, "novel": True}})
    assert read.status.observed_generation == 2


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [
        pytest.param({}, False, id="no annotation"),
        pytest.param({"aurora.dev/paused": "true"}, True, id="true"),
        pytest.param({"aurora.dev/paused": ""}, True, id="an empty value pauses"),
        pytest.param({"aurora.dev/paused": "no"}, True, id="what is not understood pauses"),
        pytest.param({"aurora.dev/paused": "false"}, False, id="false lifts it"),
        pytest.param({"aurora.dev/paused": " False "}, False, id="false in another spelling"),
    ],
)
def test_only_false_lifts_the_pause(annotations, paused):
    metadata = MINIMAL["metadata"] | {"annotations": annotations}
    assert ModelDeployment.parse({**MINIMAL, "metadata": metadata}).is_paused is paused


def test_the_mode_of_an_action_overrides_the_mode_of_the_object():
    read = minimal(autonomy={"mode": "Auto", "actions": {"CACHE": "Observe"}})
    assert read.mode_of(Action.CACHE) is Mode.OBSERVE
    assert read.mode_of(Action.SCALE) is Mode.AUTO


def test_every_own_query_is_for_a_signal_that_is_observed():
    names = {field.alias for field in Queries.model_fields.values()}
    assert names == {signal.value for signal in Signal}


def test_an_own_query_is_found_by_the_name_of_its_signal():
    read = minimal(metrics={"queries": {"ttftP95": "vector(1)"}})
    assert read.spec.metrics.queries.by_signal() == {Signal.TTFT_P95: "vector(1)"}


def test_an_approval_survives_reading_and_writing():
    written = sample("approval.yaml")
    written["metadata"]["name"] = "llama-8b-x"
    assert Approval.parse(written).to_kubernetes()["spec"] == written["spec"]


def test_no_action_is_never_an_object():
    with pytest.raises(MalformedObjectError, match="NO_ACTION is recorded, never an object"):
        DecisionObject.parse({"metadata": {"name": "a"}, "spec": {"action": "NO_ACTION"}})
