"""One cycle's reading of the metrics, from a real Prometheus."""

import asyncio
import time
from collections.abc import Mapping

from aurora.observe.prometheus import PrometheusClient, PrometheusSettings
from aurora.observe.queries import MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.observe.view import MetricsView, Wanted

__all__ = ["read_view"]


def read_view(
    url: str,
    settings: MetricsSettings,
    wanted: Mapping[tuple[str, str], Wanted],
    *,
    allow_custom: bool = False,
) -> MetricsView:
    """What is read now of the wanted workloads, by (namespace, workload)."""
    client = PrometheusClient(PrometheusSettings(url, retries=0))
    try:
        reader = MetricsReader(client, settings, allow_custom=allow_custom)
        return asyncio.run(reader.read(time.time(), wanted))
    finally:
        client.close()
