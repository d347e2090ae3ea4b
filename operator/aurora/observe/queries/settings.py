"""How one installation's metrics are labelled and how far back they are read."""

from dataclasses import dataclass, field
from typing import NamedTuple

from aurora.errors import ConfigurationError

__all__ = ["LabelNames", "MetricsSettings"]


class LabelNames(NamedTuple):
    """Labels that say which pod a series is about."""

    namespace: str = "namespace"
    pod: str = "pod"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Set once per installation; every query of every object uses them.

    Attributes:
        labels: of what engines and the cache exporter are scraped with (PodMonitor defaults).
        container_labels: of cadvisor and kube-state-metrics, which carry `container` as well.
        gpu_labels: of the DCGM exporter. Scraped without honorLabels, as its chart does, the
            pod that uses the GPU is `exported_pod`; `pod` is the exporter itself.
        window_s: how far back rates and percentiles look. At least four scrape intervals, so
            that two lost scrapes still leave a rate; 120 fits the 30 s of kube-prometheus-stack.
        stale_after_s: a newest raw sample older than this makes a reading Stale. Three scrape
            intervals, so that one lost scrape is no alarm.
        remember_s: how long a workload whose series stopped is told apart (Stale) from one that
            never had any (NoData).
        recorded: rates and percentiles are read from recording rules (`queries.recording`).
    """

    labels: LabelNames = field(default_factory=LabelNames)
    container_labels: LabelNames = field(default_factory=LabelNames)
    gpu_labels: LabelNames = field(
        default_factory=lambda: LabelNames("exported_namespace", "exported_pod")
    )
    window_s: int = 120
    stale_after_s: int = 90
    remember_s: int = 600
    recorded: bool = False

    def __post_init__(self) -> None:
        if min(self.window_s, self.stale_after_s) < 1:
            raise ConfigurationError("the metrics window and its staleness limit are at least 1 s")
        if self.remember_s < self.stale_after_s:
            raise ConfigurationError(
                f"remember_s ({self.remember_s}) is at least stale_after_s ({self.stale_after_s})"
            )

    @property
    def step_s(self) -> int:
        """Resolution in seconds of the search for the last scrape of a series that stopped."""
        return max(1, self.stale_after_s // 6)
