"""All PromQL that AURORA sends for its presets: read `fleet` first, then one file per exporter."""

from aurora.observe.queries.fleet import (
    MAX_PRESET_QUERIES,
    PRESETS,
    fleet_queries,
    resolved,
)
from aurora.observe.queries.preset import Batch, Preset, Source
from aurora.observe.queries.recording import recorded_answer, recorded_queries, rule_groups
from aurora.observe.queries.settings import LabelNames, MetricsSettings

__all__ = [
    "MAX_PRESET_QUERIES",
    "PRESETS",
    "Batch",
    "LabelNames",
    "MetricsSettings",
    "Preset",
    "Source",
    "fleet_queries",
    "recorded_answer",
    "recorded_queries",
    "resolved",
    "rule_groups",
]
