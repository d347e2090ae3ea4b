"""What one cycle decided is started together, what protects first, and for a limited time."""

import asyncio
from dataclasses import replace

from aurora.critic.verdict import Approved
from aurora.deliberation import Deliberated
from aurora.observe.facts import ObjectKey
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import Risk, Tier
from aurora.starting import AT_ONCE, start_all
from aurora.telemetry import Telemetry
from tests.support.situations import decision, decision_object

MADE = decision_object()


def wanted(name: str, *, protective: bool = True) -> Deliberated:
    one = replace(decision(), model=ObjectKey("models", name), protective=protective)
    return Deliberated(one, Approved(Tier.AUTO, Risk.LOW))


async def test_models_do_not_wait_for_each_other() -> None:
    here = 0
    all_here = asyncio.Event()

    async def start(_: Deliberated) -> DecisionObject:
        nonlocal here
        here += 1
        if here == AT_ONCE:
            all_here.set()
        async with asyncio.timeout(20):
            await all_here.wait()
        return MADE

    found = [wanted(f"m{number}") for number in range(AT_ONCE)]
    assert len(await start_all(found, start, telemetry=Telemetry(), for_s=60.0)) == AT_ONCE


async def test_when_the_time_is_up_the_rest_waits_and_what_protects_came_first() -> None:
    now, begun = 0.0, list[str]()

    async def start(found: Deliberated) -> DecisionObject:
        nonlocal now
        begun.append(found.decision.model.name)
        now += 1.0
        return MADE

    found = [wanted("down", protective=False), *(wanted(f"up{number}") for number in range(5))]
    made = await start_all(found, start, telemetry=Telemetry(), for_s=2.5, monotonic=lambda: now)
    assert begun == ["up0", "up1", "up2"]
    assert len(made) == 3


async def test_one_that_fails_or_writes_nothing_stays_alone() -> None:
    async def start(found: Deliberated) -> DecisionObject | None:
        if found.decision.model.name == "bad":
            raise RuntimeError("nobody thought of this")
        return None if found.decision.model.name == "same" else MADE

    telemetry = Telemetry()
    found = [wanted("bad"), wanted("same"), wanted("good")]
    assert await start_all(found, start, telemetry=telemetry, for_s=60.0) == [MADE]
    labels = {"stage": "decide", "error": "Unexpected"}
    assert telemetry.registry.get_sample_value("aurora_model_failures_total", labels) == 1.0
