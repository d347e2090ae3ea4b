"""Prometheus is wrong in fourteen ways: no action on such evidence, no restart to recover."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.opening import open_world
from tests.faults.pool import scenario_marks
from tests.faults.stories import made
from tests.faults.world import World
from tests.support.cluster import eventually
from tests.support.controlplane import TestControlPlane
from tests.support.faultproxy_prometheus import Wrong

pytestmark = scenario_marks

REASONS: dict[str, set[str]] = {
    "NaN": {"NotFinite"},
    "stale": {"MetricsStale"},
    Wrong.DOWN: {"PrometheusError"},
    Wrong.UNAVAILABLE: {"PrometheusError"},
    Wrong.SLOW: {"PrometheusError"},
    Wrong.EMPTY: {"MetricsMissing"},
    Wrong.NEGATIVE: {"NotFinite", "MetricsMissing", "MetricsStale"},
    Wrong.INFINITE: {"NotFinite", "MetricsStale"},
    Wrong.PARTIAL: {"PartialResponse"},
    Wrong.WRONG_TYPE: {"PrometheusError"},
    Wrong.TRUNCATED: {"PrometheusError"},
    Wrong.DUPLICATE: {"DuplicateSeries"},
    Wrong.HUGE: {"MetricsFound"},
    Wrong.REPEATED: {"MetricsStale"},
}
"""What the condition MetricsAvailable says of each; thousands of series of others hide nothing."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(
    control_plane: TestControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A model with four replicas at a load that one could carry, and its operator."""
    async with open_world(control_plane, tmp_path_factory.mktemp("world")) as world:
        await world.deploy("llama", 4)
        world.serve(pods=4, rate=20.0)
        await world.apply_model(autonomy={"mode": "Recommend"})
        async with world.operator():
            await eventually(lambda: says(world, {"MetricsFound"}), within_s=60)
            yield world
            await world.judged()


async def says(world: World, reasons: set[str]) -> bool:
    return (await world.condition("MetricsAvailable")).get("reason") in reasons


async def decided(world: World) -> set[str]:
    return {one["metadata"]["name"] for one in await world.decisions()}


def _spoil(world: World, wrong: str | None) -> None:
    """Two kinds come from the exporter itself; the proxy makes the others."""
    server = world.servers["llama"]
    server.nan, server.gone = wrong == "NaN", wrong == "stale"
    world.metrics.wrong = Wrong(wrong) if wrong in set(Wrong) else None


@pytest.mark.parametrize("wrong", REASONS, ids=str)
async def test_no_action_on_wrong_evidence_and_no_restart_to_recover(
    watched: World, wrong: str
) -> None:
    world = watched
    known = await decided(world)
    _spoil(world, wrong)
    try:
        try:
            await eventually(lambda: says(world, REASONS[wrong]), within_s=60)
        except AssertionError as error:
            error.add_note(str(await world.condition("MetricsAvailable")))
            raise
        if wrong == Wrong.REPEATED:
            known = await decided(world)  # until then the samples were no older than they may be
        seen = len(world.calls)
        await world.cycles(2)
        assert await decided(world) == known
        assert not [call for call in world.calls[seen:] if call.is_foreign]
        ready = (await world.condition("Ready"))["status"]
        assert ready == ("True" if wrong in {Wrong.HUGE, Wrong.PARTIAL} else "False")
    finally:
        _spoil(world, None)
    await eventually(lambda: says(world, {"MetricsFound"}), within_s=60)
    assert made(world) == {}
    assert await world.replicas() == 4
    assert world.restarts == []
