"""The fleet of a soak: models under a steady load that the operator has known for a day.

What the operator remembers of a model fills within a day (25 kB), and would hide whether anything
else grows. The fleet begins in its right size: with more replicas than it needs it would be made
smaller by a tenth at a time, which is work that has nothing to do with the faults.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

from bench.learned import keep_a_day

from aurora.observe.facts import WorkloadFacts
from aurora.observe.projections import workload
from aurora.observe.sample import Signal
from aurora.resources import ModelDeployment
from aurora.store import Store
from tests.faults.world import World
from tests.support.modelserver import ModelServer

__all__ = ["REPLICAS", "deploy_fleet"]

PARALLEL = 16
REPLICAS = 2
RATES = 20


async def deploy_fleet(world: World, models: int) -> None:
    """Deploy the models, a metrics page for each, and what was learned of them."""
    gate = asyncio.Semaphore(PARALLEL)

    async def one(number: int) -> tuple[ModelDeployment, WorkloadFacts]:
        name = f"model-{number}"
        async with gate:
            target = workload(await world.deploy(name, REPLICAS), kind="Deployment")
            model = await world.apply_model(
                name,
                scaling={"minReplicas": REPLICAS, "maxReplicas": 6},
                autonomy=_autonomy(),
            )
        world.serve(name, pods=REPLICAS, rate=_rate(number))
        assert target is not None
        ready = replace(target, ready_replicas=REPLICAS, updated_replicas=REPLICAS)
        return ModelDeployment.model_validate(model), ready

    found = await asyncio.gather(*(one(number) for number in range(models)))
    store = await Store.open(world.settings()["store_url"])
    for place in range(min(RATES, models)):
        await keep_a_day(store, found[place::RATES], _shown(_rate(place)), time.time())
    await store.close()


def _rate(number: int) -> float:
    """Requests/s of each pod of a model."""
    return 5.0 + number % RATES


def _shown(rate: float) -> dict[Signal, float]:
    """What is read of a model whose pods show a `ModelServer` at this rate."""
    own = ModelServer(rate=rate)
    return {
        Signal.REQUEST_RATE: REPLICAS * rate,
        Signal.SERVER_ERROR_RATIO: own.error_share,
        Signal.PROMPT_TOKEN_RATE: 500.0 * REPLICAS * rate,
        Signal.GENERATION_TOKEN_RATE: 100.0 * REPLICAS * rate,
        Signal.LATENCY_P95: own.e2e_s,
        Signal.LATENCY_MEAN: own.e2e_s,
        Signal.TTFT_P95: own.ttft_s,
        Signal.TPOT_P95: (own.e2e_s - own.ttft_s) / 100,
        Signal.RUNNING: REPLICAS * rate * own.e2e_s,
        Signal.WAITING: 0.0,
        Signal.KV_CACHE_RATIO: 0.2,
    }


def _autonomy() -> dict[str, Any]:
    return {
        "mode": "Auto",
        "verification": {"after": "1s", "for": "30s"},
        "cooldown": {"up": "10s", "down": "10s"},
        "budgets": [{"actions": 1000, "per": "1h"}],
    }
