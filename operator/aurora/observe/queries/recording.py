"""The dear queries of a cycle as recording rules, which Prometheus computes ahead of time.

One rule holds what one query would have been answered with: its rows and their labels. A row apart
from them tells which expression was recorded, so that values of another version of AURORA, or with
another window, are never taken for its own.
https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from aurora.observe.answers import QueryAnswer, QueryFailure
from aurora.observe.queries.fleet import fleet_queries, within
from aurora.observe.queries.preset import Batch, Source
from aurora.observe.queries.promql import Frame, Label, block, tagged, union
from aurora.observe.queries.settings import LabelNames, MetricsSettings

__all__ = ["RECORDED", "RULE_INTERVAL_S", "recorded_answer", "recorded_queries", "rule_groups"]

RECORDED: Final = (Batch.TRAFFIC, Batch.LATENCY, Batch.RESOURCES, Batch.CALLERS, Batch.SAMPLES)
"""Those that read rates. Queues and the time of the newest scrape are cheap: asked as they are."""
RULE_INTERVAL_S: Final = 30
"""A third of what makes a reading Stale by default, so that one evaluation may be late."""


def rule_groups(settings: MetricsSettings) -> list[dict[str, Any]]:
    """Groups of a rule file: one rule in each, so that they are evaluated side by side."""
    return [
        {
            "name": f"aurora-{batch}",
            "interval": f"{RULE_INTERVAL_S}s",
            "rules": [{"record": _record(batch), "expr": union((text, _mark(text)))}],
        }
        for batch, text in _texts(settings).items()
    ]


def recorded_queries(
    settings: MetricsSettings, asked: Iterable[str], namespaces: Sequence[str]
) -> dict[str, str]:
    """What to ask instead of the queries of these names, as far as they are recorded."""
    if not settings.recorded:
        return {}
    texts, spaces = _texts(settings), sorted(set(namespaces))
    return {
        batch: _fresh(settings, batch, texts[batch], spaces)
        for batch in RECORDED
        if batch in asked and batch in texts
    }


def recorded_answer(
    name: str, answer: QueryAnswer | QueryFailure, settings: MetricsSettings
) -> QueryAnswer | QueryFailure:
    """The answer; a failure where it holds not even the row of its rule, which is not evaluated."""
    if not settings.recorded or name not in RECORDED:
        return answer
    if isinstance(answer, QueryFailure) or answer.evaluated_at is not None:
        return answer
    return QueryFailure(
        f"{_record(name)} has no value of the last {settings.stale_after_s} s that is of this"
        " version: load what `aurora recording-rules` prints into Prometheus"
    )


@cache
def _texts(settings: MetricsSettings) -> dict[Batch, str]:
    texts = fleet_queries(settings, list(Source))
    return {batch: texts[batch] for batch in RECORDED if batch in texts}


def _record(batch: str) -> str:
    return f"aurora:{batch}"


def _rule_tag(text: str) -> str:
    return f"rule:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _mark(text: str) -> str:
    return tagged("vector(1)", _rule_tag(text))


def _fresh(settings: MetricsSettings, batch: Batch, text: str, spaces: Sequence[str]) -> str:
    """The recorded rows, without the metric's name, while the rule's own row is not stale."""
    kinds = (settings.labels, settings.container_labels, settings.gpu_labels)
    frames = [within(Frame(settings, LabelNames(kind.namespace)), spaces) for kind in kinds]
    own = Frame(settings, settings.labels, (Label("signal", "=", _rule_tag(text)),))
    narrow = [*frames, own] if frames[0].scope else frames[:1]
    selected = dict.fromkeys(frame.select(_record(batch)) for frame in narrow)
    newest = f"timestamp({own.select(_record(batch))}) > time() - {settings.stale_after_s}"
    rows = block("(", union([f"{one} + 0" for one in selected]))
    return f"{rows}\nand on ()\n{block('(', newest)}"
