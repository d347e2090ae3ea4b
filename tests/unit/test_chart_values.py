"""The chart takes the values that it knows, says what is wrong with others, repeats no secret."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.config import Settings
from tests.support.chart import (
    CHART,
    container,
    environment,
    from_secrets,
    needs_helm,
    only,
    refusal,
    render,
)

ROOT = Path(__file__).parents[2]
POSTGRES = ("--set", "store.type=postgresql", "--set", "store.urlSecret.name=records")
Json = dict[str, Any]


def schema() -> Json:
    found: Json = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return found


def paths(properties: Json, prefix: str = "") -> set[str]:
    return {
        path
        for name, field in properties.items()
        for path in (
            paths(field["properties"], f"{prefix}{name}.")
            if "properties" in field
            else {f"{prefix}{name}"}
        )
    }


def test_every_value_that_is_allowed_has_a_default_and_none_has_one_that_is_not():
    given = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    allowed = {one for one in paths(schema()["properties"]) if not one.startswith("settings.")}

    def has(path: str) -> bool:
        at = given
        for part in path.split("."):
            if part not in at:
                return False
            at = at[part]
        return True

    assert {one for one in allowed if not has(one)} == {"global"}


def test_a_setting_is_given_by_a_value_of_its_own_or_among_the_settings_but_not_both():
    listed = set(schema()["properties"]["settings"]["properties"])
    known = {name.upper() for name in Settings.model_fields}
    own = {
        *("NAMESPACE", "WATCH_NAMESPACES", "ACTIONS", "STORE_URL", "INDEX_PATH"),
        *(name for name in known if name.startswith("PROMETHEUS_")),
        *("WEBHOOK_HOSTS", "WEBHOOK_SECRET", "CACHE_IMAGE", "CACHE_EXPORTER_IMAGE"),
        # In a pod there is one cluster, and the probes know the ports.
        *("KUBECONFIG", "KUBE_CONTEXT", "METRICS_PORT", "HEALTH_PORT", "BIND_ADDRESS"),
    }
    assert listed == known - own


@needs_helm
def test_every_variable_of_the_chart_is_a_setting():
    objects = render(
        *POSTGRES,
        *("--set", "watchNamespaces={a,b}", "--set", "webhooks.hosts={n8n.example.com}"),
        *("--set", "prometheus.tokenSecret.name=p", "--set", "prometheus.ca.secretName=ca"),
        *("--set", "prometheus.headers.X-Scope-OrgID=t", "--set", "settings.CYCLE_SECONDS=30"),
        *("--set", "webhooks.signatureSecret.name=signing"),
    )
    known = {f"AURORA_{name.upper()}" for name in Settings.model_fields}
    told = environment(objects)
    assert set(told) | set(from_secrets(objects)) <= known
    assert told["AURORA_WATCH_NAMESPACES"] == "a,b"
    assert told["AURORA_WEBHOOK_HOSTS"] == "n8n.example.com"
    assert told["AURORA_CYCLE_SECONDS"] == "30"


@needs_helm
def test_the_operator_reads_what_the_chart_tells_it(monkeypatch: pytest.MonkeyPatch):
    objects = render(
        *("--set", "prometheus.headers.X-Scope-OrgID=team-a"),
        *("--set", "actions.cache.enabled=true", "--set", "actions.cache.namespaces={a,b}"),
    )
    for name, value in environment(objects).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.prometheus_headers["X-Scope-OrgID"].get_secret_value() == "team-a"
    assert settings.actions == {"SCALE": ("*",), "ROUTE": ("*",), "CACHE": ("a", "b")}
    assert settings.cache_exporter_image == container(objects)["image"]


@needs_helm
def test_no_secret_is_in_the_chart_and_each_is_read_where_it_is_named():
    objects = render(
        *POSTGRES,
        *("--set", "prometheus.basicAuthSecret.name=login"),
        *("--set", "prometheus.headersSecret.name=headers"),
        *("--set", "webhooks.signatureSecret.name=signing"),
    )
    assert from_secrets(objects) == {
        "AURORA_STORE_URL": ("records", "url"),
        "AURORA_PROMETHEUS_USERNAME": ("login", "username"),
        "AURORA_PROMETHEUS_PASSWORD": ("login", "password"),
        "AURORA_PROMETHEUS_HEADERS": ("headers", "headers"),
        "AURORA_WEBHOOK_SECRET": ("signing", "key"),
    }
    assert not [one for one in objects if one["kind"] == "Secret"]


@needs_helm
def test_the_token_and_the_ca_of_prometheus_are_files():
    options = ("--set", "prometheus.tokenSecret.name=tok", "--set", "prometheus.ca.configMapName=c")
    objects = render(*options)
    told, mounts = environment(objects), container(objects)["volumeMounts"]
    places = {one["name"]: one["mountPath"] for one in mounts}
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in spec["volumes"]}
    token = volumes["prometheus-token"]["secret"]
    assert (token["secretName"], token["items"]) == ("tok", [{"key": "token", "path": "token"}])
    assert told["AURORA_PROMETHEUS_TOKEN_FILE"] == f"{places['prometheus-token']}/token"
    assert volumes["prometheus-ca"]["configMap"]["name"] == "c"
    assert told["AURORA_PROMETHEUS_CA_FILE"] == f"{places['prometheus-ca']}/ca.crt"


@needs_helm
@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["replicas=2"], "maximum: got 2, want 1", id="two writers on SQLite"),
        pytest.param(["settings.AURORA_CYCLE_SECONDS=5"], "AURORA_CYCLE_SECONDS", id="the prefix"),
        pytest.param(["settings.PROMETHEUS_TOKEN=x"], "PROMETHEUS_TOKEN", id="a secret here"),
        pytest.param(["settings.METRICS_PORT=1"], "METRICS_PORT", id="a port that is fixed"),
        pytest.param(
            ["prometheus.url=prometheus:9090"],
            "prometheus.url is not a URL: write http://host:port",
            id="a URL without its scheme",
        ),
        pytest.param(
            ["prometheus.tokenSecret.name=a", "prometheus.basicAuthSecret.name=b"],
            "Prometheus gets one of them",
            id="two ways to log in",
        ),
        pytest.param(
            ["prometheus.headers.A=b", "prometheus.headersSecret.name=b"],
            "put all headers into the Secret",
            id="headers in two places",
        ),
        pytest.param(
            ["prometheus.ca.secretName=a", "prometheus.ca.configMapName=b"],
            "leave one out",
            id="two CAs",
        ),
        pytest.param(
            ["store.type=postgresql"],
            "set store.urlSecret.name to a Secret that holds postgresql://",
            id="PostgreSQL nowhere",
        ),
        pytest.param(
            ["store.urlSecret.name=records"],
            "set store.type to postgresql",
            id="PostgreSQL that is not asked for",
        ),
        pytest.param(["store.type=mysql"], "store/type", id="another database"),
        pytest.param(["watchNamespace=a"], "watchNamespace", id="a misspelled value"),
        pytest.param(["actions.scale.enable=true"], "enable", id="a misspelled value further in"),
        pytest.param(["watchNamespaces={*}"], "watchNamespaces/0", id="a star where names belong"),
        pytest.param(
            ["watchNamespaces={a}", "actions.cache.namespaces={b}"],
            "actions.cache.namespaces names b, which is not in watchNamespaces",
            id="an action where nothing is watched",
        ),
        pytest.param(["actions.cache.namespaces={}"], "cache/namespaces", id="nowhere"),
        pytest.param(["actions.cache.namespaces=null"], "missing property", id="nor that"),
        pytest.param(
            ["webhooks.hosts={https://a.example/x}"], "webhooks/hosts", id="a URL as host"
        ),
        pytest.param(["webhooks.secretNames={}"], "secretNames", id="every Secret"),
        pytest.param(["image.pullPolicy=Sometimes"], "pullPolicy", id="a policy that is none"),
        pytest.param(["image.repository=aurora:dev"], "repository", id="two tags"),
        pytest.param(["persistence.size=much"], "persistence/size", id="a size in words"),
    ],
)
def test_wrong_values_are_refused(options: list[str], says: str):
    told = refusal(*(part for one in options for part in ("--set", one)))
    assert says in told


@needs_helm
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://me:hunter2@prometheus", id="in a URL"),
        pytest.param("me:hunter2@prometheus:9090", id="in one without its scheme"),
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str):
    assert "hunter2" not in refusal("--set", f"prometheus.url={url}")


@needs_helm
def test_the_sentence_about_sqlite_is_there_without_the_schema_too():
    told = refusal("--skip-schema-validation", "--set", "replicas=2")
    assert "set store.type to postgresql with store.urlSecret, or replicas to 1" in told


@needs_helm
def test_sqlite_has_a_volume_and_one_writer_at_a_time():
    objects = render()
    spec = only(objects, "Deployment")["spec"]
    claim = only(objects, "PersistentVolumeClaim")["metadata"]["name"]
    volumes = {one["name"]: one for one in spec["template"]["spec"]["volumes"]}
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["replicas"] == 1
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": claim}
    assert environment(objects)["AURORA_STORE_URL"].startswith("sqlite")


@needs_helm
def test_postgresql_has_no_volume_and_may_have_spares():
    objects = render(*POSTGRES, "--set", "replicas=2")
    spec = only(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    assert not [one for one in objects if one["kind"] == "PersistentVolumeClaim"]
    budget = only(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    chosen = budget["selector"]["matchLabels"]
    assert chosen == spec["selector"]["matchLabels"]


@needs_helm
def test_one_replica_does_not_keep_its_node_from_being_drained():
    assert not [one for one in render(*POSTGRES) if one["kind"] == "PodDisruptionBudget"]
