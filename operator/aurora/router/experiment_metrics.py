"""The figures of a router's experiment as Prometheus reads them; none while nothing is known."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

__all__ = ["ExperimentCollector"]

_NAME = "aurora_router_experiment"
_BOUNDS = ("lower", "upper")


class ExperimentCollector(Collector):
    """Asks for the report when it is scraped.

    Args:
        report: of the experiment that runs; None when none does.
    """

    def __init__(self, report: Callable[[], Mapping[str, Any] | None]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        found = self._report()
        if found is None:
            return
        sides: Mapping[str, Mapping[str, Any]] = found["sides"]
        counts = GaugeMetricFamily(
            f"{_NAME}_requests", "Decisions and outcomes of each side.", labels=("side", "kind")
        )
        rewards = GaugeMetricFamily(
            f"{_NAME}_reward",
            "Mean reward of each side with its 95 % interval.",
            labels=("side", "figure"),
        )
        for side, told in sides.items():
            for kind in ("decisions", "outcomes"):
                counts.add_metric((side, kind), told[kind])
            _add(rewards, (side,), {"mean": told["mean_reward"], **_picked(told)})
        yield counts
        yield rewards
        yield from _compared(found)


def _compared(found: Mapping[str, Any]) -> Iterator[Metric]:
    difference = GaugeMetricFamily(
        f"{_NAME}_difference",
        "Mean reward of learned less rules with its 95 % interval.",
        labels=("figure",),
    )
    _add(difference, (), {"mean": found["difference"], **_picked(found)})
    yield difference
    if found["p_value"] is not None:
        about = "Of the hypothesis that both sides are alike; holds at every look."
        yield GaugeMetricFamily(f"{_NAME}_p_value", about, value=found["p_value"])
    verdict = GaugeMetricFamily(
        f"{_NAME}_verdict", "1 for the verdict that holds.", labels=("verdict",)
    )
    verdict.add_metric((found["verdict"],), 1.0)
    yield verdict


def _picked(told: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: told[name] for name in _BOUNDS}


def _add(
    family: GaugeMetricFamily, labels: tuple[str, ...], figures: Mapping[str, float | None]
) -> None:
    for name, value in figures.items():
        if value is not None:
            family.add_metric((*labels, name), value)
