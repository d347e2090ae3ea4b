"""Dashboard, alerts and monitors name metrics that exist and pods that are there."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
from prometheus_client import CollectorRegistry

from aurora.cachesidecar.exporter import CacheMetrics
from aurora.cachesidecar.repeats import RepeatWindow
from aurora.chart_reference import INSTALL_GUIDE
from aurora.telemetry import Telemetry
from tests.support.chart import (
    needs_helm,
    only,
    render,
)

ROOT = Path(__file__).parents[2]
MONITORED = tuple(
    option
    for name in ("podMonitor", "serviceMonitor", "prometheusRule", "dashboard")
    for option in ("--set", f"monitoring.{name}.enabled=true")
)
Json = dict[str, Any]


def exported() -> set[str]:
    """Every metric that this code exports, or reads and documents."""
    own, cache = Telemetry(), CollectorRegistry()
    CacheMetrics(registry=cache, window=RepeatWindow(secret=b"0" * 32, clock=lambda: 0.0))
    found = {
        f"{family.name}{suffix}"
        for registry in (own.registry, cache)
        for family in registry.collect()
        for suffix in SUFFIXES[family.type]
    }
    document = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    read = set(re.findall(r"vllm:\w+", document))
    return found | read | {f"{name}_bucket" for name in read if name.endswith("_seconds")}


SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def named(promql: str) -> set[str]:
    """Names of the metrics in a query, which has to be one."""
    filled = promql.replace("$__rate_interval", "5m")
    tree = promql_parser.parse(filled).prettify()
    return set(re.findall(r"(?<![\w\"$])(?:aurora_|vllm:)\w+", tree))


def dashboard() -> Json:
    text = only(render(*MONITORED), "ConfigMap", "aurora-dashboard")["data"]["aurora.json"]
    found: Json = json.loads(text)
    return found


@needs_helm
def test_every_panel_of_the_dashboard_shows_a_metric_that_exists():
    panels = [one for one in dashboard()["panels"] if one["type"] != "row"]
    asked = {one["title"]: [t["expr"] for t in one["targets"]] for one in panels}
    known = exported()
    assert len(panels) > 10
    for title, queries in asked.items():
        for promql in queries:
            names = named(promql)
            assert names, title
            assert names <= known, title


@needs_helm
def test_every_metric_of_aurora_itself_is_on_the_dashboard_and_in_the_guide():
    shown = {
        name
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
        for name in named(target["expr"])
    }
    guide = (ROOT / INSTALL_GUIDE).read_text(encoding="utf-8")
    for family in Telemetry().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert any(one.startswith(name) for one in shown), name
        assert f"| `{name}` |" in guide


@needs_helm
def test_panels_do_not_lie_on_each_other():
    places = [one["gridPos"] for one in dashboard()["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


@needs_helm
def test_every_alert_asks_for_a_metric_that_exists_and_says_what_to_do():
    (group,) = only(render(*MONITORED), "PrometheusRule")["spec"]["groups"]
    known = exported()
    assert len(group["rules"]) >= 6
    for rule in group["rules"]:
        assert named(rule["expr"]) <= known
        assert named(rule["expr"])
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


@needs_helm
def test_a_cycle_counts_as_slow_against_its_own_length():
    options = (*MONITORED, "--set", "settings.CYCLE_SECONDS=60")
    (group,) = only(render(*options), "PrometheusRule")["spec"]["groups"]
    (slow,) = [one["expr"] for one in group["rules"] if one["alert"] == "AuroraCyclesSlow"]
    assert slow.endswith("> 48")


@needs_helm
def test_a_monitor_selects_the_operator_and_the_annotations_then_go():
    objects = render(*MONITORED)
    pod = only(objects, "Deployment")["spec"]["template"]["metadata"]
    service, labels = only(objects, "Service"), pod["labels"]
    monitor = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    for chosen in (
        only(objects, "PodMonitor")["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
    ):
        assert chosen.items() <= labels.items()
    assert monitor.items() <= service["metadata"]["labels"].items()
    assert "prometheus.io/scrape" not in pod["annotations"]
    plain = only(render(), "Deployment")["spec"]["template"]["metadata"]
    assert plain["annotations"]["prometheus.io/scrape"] == "true"
