"""Faults composed at random: a few long stories, the same in every run.

The rules break things in any order and number; after each step nothing forbidden may have been
written, and when everything is mended at the end the cluster comes to rest in what was decided.
"""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.opening import open_world
from tests.faults.world import World
from tests.support.cluster import eventually, set_switch
from tests.support.controlplane import TestControlPlane
from tests.support.failpoints import OperatorProcess, Patience
from tests.support.faultproxy import Fault
from tests.support.faultproxy_calls import Call, effects
from tests.support.faultproxy_handlings import delayed, lost_answer, refused, reset
from tests.support.faultproxy_prometheus import Wrong
from tests.support.oracle import (
    no_double_actuation,
    nothing_foreign,
    undo_hint_first,
    within_bounds,
)

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(600)]

EXAMPLES, STEPS = 2, 10
STEP_S = 1.5
Result = TypeVar("Result")
HANDLINGS = {
    "503": refused(503),
    "409": refused(409),
    "429": refused(429, retry_after="1"),
    "reset": reset,
    "answer lost": lost_answer,
    "late": delayed(1.0),
}


class Background:
    """An event loop in a thread: the rules of a state machine are no coroutines."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], within_s: float = 240.0) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(within_s)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Faults(RuleBasedStateMachine):
    """One model, one operator process, and everything that can go wrong with them."""

    plane: ClassVar[TestControlPlane]
    told: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.back = Background()
        self.stack = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="aurora-faults-"))
        self.world: World = self.back.run(self._open())
        self.process: OperatorProcess = self.world.process()
        self.process.patience = Patience(inactivity_s=4.0, sweep_s=20.0)

    async def _open(self) -> World:
        return await self.stack.enter_async_context(open_world(self.plane, self.folder / "world"))

    @initialize()
    def begin(self) -> None:
        self.back.run(self._begin())

    async def _begin(self) -> None:
        await self.world.deploy("llama", 2)
        self.world.serve(pods=2)
        await self.world.apply_model(autonomy={"budgets": [{"actions": 100, "per": "1h"}]})
        self.process.start()

    @rule(low=st.integers(1, 4))
    def somebody_edits_the_bounds(self, low: int) -> None:
        self.back.run(self.world.edit_model(scaling={"minReplicas": low}))
        self._pass(f"minReplicas {low}")

    @rule(count=st.integers(1, 5))
    def somebody_sets_replicas(self, count: int) -> None:
        self.back.run(self.world.set_replicas(count))
        self._pass(f"replicas {count} by somebody")

    @rule(how=st.sampled_from(sorted(HANDLINGS)), every=st.integers(2, 3))
    def writes_fail(self, how: str, every: int) -> None:
        seen = iter(range(10**6))

        def picks(call: Call) -> bool:
            return call.is_write and next(seen) % every == 0

        self.world.proxy.inject(Fault(how, picks, HANDLINGS[how]))
        self._pass(f"each {every}. write: {how}")

    @rule()
    def connections_are_cut(self) -> None:
        self.back.loop.call_soon_threadsafe(self.world.proxy.cut)
        self._pass("connections cut")

    @rule()
    def watches_fall_silent(self) -> None:
        self.world.proxy.silent = True
        self._pass("watches silent")

    @rule(resource=st.sampled_from(["modeldeployments", "decisions", "deployments"]))
    def a_watch_is_gone(self, resource: str) -> None:
        gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
        self.back.run(self.world.proxy.tell(resource, gone))
        self._pass(f"410 for {resource}")

    @rule(wrong=st.sampled_from(Wrong))
    def metrics_are_wrong(self, wrong: Wrong) -> None:
        self.world.metrics.wrong = wrong
        self._pass(f"Prometheus {wrong}")

    @rule()
    def the_operator_is_killed(self) -> None:
        self.process.kill()
        self.back.run(self.world.free_the_lease())
        self.process.start()
        self._pass("operator killed")

    @rule()
    def the_operator_is_paused(self) -> None:
        if self.process.alive:
            self.process.stop()
            self._pass("operator paused")
            self.process.resume()

    @rule(stop=st.booleans())
    def the_switch_is_set(self, stop: bool) -> None:
        self.back.run(set_switch(self.world.client, self.world.system, str(stop).lower()))
        self._pass(f"kill switch {stop}")

    @rule()
    def all_is_mended(self) -> None:
        self._mend()
        self._pass("mended")

    def _pass(self, what: str) -> None:
        """Let the operator live with it for a cycle or two."""
        self.told.append(what)
        time.sleep(STEP_S)
        if not self.process.alive:  # a pod is started anew, whatever ended it
            self.process.start()

    def _mend(self) -> None:
        self.back.loop.call_soon_threadsafe(self.world.proxy.lift)
        self.back.loop.call_soon_threadsafe(self.world.proxy.cut)
        self.world.metrics.wrong = None
        self.back.run(set_switch(self.world.client, self.world.system, "false"))

    @invariant()
    def nothing_forbidden_was_written(self) -> None:
        calls = self.world.calls
        nothing_foreign(calls)
        within_bounds(effects(calls), self.world.bounds)
        no_double_actuation(calls)
        undo_hint_first(calls)

    def teardown(self) -> None:
        try:
            self._mend()
            self.told.append("at rest")
            self.back.run(self._comes_to_rest())
        finally:
            self.process.kill()
            self.back.run(self.stack.aclose())
            self.back.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _comes_to_rest(self) -> None:
        world = self.world
        await eventually(self._rests, within_s=120)
        await world.settles(within_s=120)
        await world.judged()

    async def _rests(self) -> bool:
        """Replicas are within the bounds, or a person is asked: somebody wrote against us."""
        if not self.process.alive:
            self.process.start()
        model = (await self.world.seen()).models[0]
        enough = await self.world.replicas() >= model["spec"]["scaling"]["minReplicas"]
        return enough or bool(await self.world.decisions(phase="AwaitingApproval"))


def test_whatever_happens_in_any_order_it_comes_to_rest(control_plane: TestControlPlane) -> None:
    Faults.plane = control_plane
    run_state_machine_as_test(
        Faults,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking a story of a minute would take an hour
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Faults.told.count("at rest") >= EXAMPLES
    assert len(Faults.told) > EXAMPLES * STEPS / 2, "too little happened"
