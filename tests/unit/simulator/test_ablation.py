"""AURORA with a part left out, or with a capacity that it learned elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from aurora.critic.verdict import Approved
from aurora.simulator.ablation import Part, without_forecast
from aurora.simulator.aurora_controller import EPOCH, AuroraController
from aurora.simulator.compare import Plan, draw, simulate
from aurora.simulator.controllers import CONTROLLERS, Context, build
from aurora.simulator.precedents import RunPrecedents
from aurora.simulator.profile import builtin_profile
from aurora.simulator.run import play
from aurora.simulator.settings import SimulationSettings
from aurora.simulator.teaching import capacity_learned_on
from aurora.simulator.trace import Trace
from aurora.state.advance import advance
from aurora.state.capacity import CapacityModel, Sustainable
from aurora.state.memory import ModelMemory

SETTINGS = SimulationSettings()
PLAN = Plan(source=builtin_profile(), factor=0.39, settings=SETTINGS)


def played(name: str, plan: Plan = PLAN, seed: int = 1):
    trace = draw(plan, seed)
    controller = build(name, Context(plan.settings, trace, seed))
    return controller, play(trace, controller, seed, plan.settings)


def burst(duration: float = 1800.0) -> Trace:
    """Two requests a second, six of them from minute 10 on."""
    times = np.concatenate([np.arange(0, 600, 0.5), np.arange(600, duration, 1 / 6)])
    ones = np.ones(len(times), dtype=np.int64)
    return Trace("burst", times, ones * 800, ones * 40, ones * -1, duration)


@pytest.mark.parametrize("part", Part)
def test_every_part_can_be_left_out_by_name(part):
    name = f"aurora-without-{part.value}"
    controller, _ = played(name, replace(PLAN, factor=0.1))
    assert controller.without is part
    assert controller.name == name
    assert simulate(replace(PLAN, factor=0.1), name, 1).controller == name


def test_a_fresh_controller_is_the_same_one_before_its_first_cycle():
    used, _ = played("aurora-without-critic")
    fresh = used.fresh()
    assert (fresh.without, fresh.name, fresh.entries) == (Part.CRITIC, used.name, ())


def test_without_the_critic_nothing_is_refused():
    chosen = replace(SETTINGS, initial=4)
    plan = replace(PLAN, settings=chosen)
    with_critic, _ = played("aurora", plan)
    without, _ = played("aurora-without-critic", plan)
    assert any(not isinstance(one.verdict, Approved) for one in with_critic.decided)
    assert all(isinstance(one.verdict, Approved) for one in without.decided)


def test_without_the_capacity_model_nothing_is_learned_of_a_replica():
    assert played("aurora")[0].capacity.curves
    assert played("aurora-without-capacity")[0].capacity.curves == {}


def test_without_memory_no_precedent_is_looked_for(monkeypatch):
    asked = []

    def recall(_, given, candidate):
        asked.append(candidate)
        return ()

    monkeypatch.setattr(RunPrecedents, "recall", recall)
    played("aurora-without-memory")
    assert asked == []
    played("aurora")
    assert asked


def test_without_the_forecast_the_load_of_now_is_the_load_to_come():
    memory, at = ModelMemory(), EPOCH
    controller = AuroraController(SETTINGS)
    seen = []

    class Watch:
        name, window_s = "watch", controller.window_s

        def step(self, view, pool):
            nonlocal memory
            observation = controller._lookout.observe(view, pool, at + view.now)
            memory, state = advance(memory, observation, at + view.now)
            seen.append(state)
            return controller.step(view, pool)

    play(burst(), Watch(), 1, SETTINGS)
    rising = next(s for s in seen if s.at > at + 640 and s.forecast(120.0) is not None)
    blind = without_forecast(rising).forecast(120.0)
    assert blind.low == blind.mean == blind.high == rising.memory.work.now.level
    assert rising.forecast(120.0).high > blind.high
    assert without_forecast(rising).capacity is rising.capacity


def test_what_was_learned_on_faster_servers_overrates_a_replica_and_on_slower_ones_underrates_it():
    known = {speed: capacity_learned_on(speed, SETTINGS) for speed in (0.5, 2.0)}
    goals = _goals(known[2.0])
    fast = known[2.0].sustainable_load_per_replica(goals)
    slow = known[0.5].sustainable_load_per_replica(goals)
    assert isinstance(fast, Sustainable)
    assert not isinstance(slow, Sustainable) or slow.load < fast.load / 2
    assert known[2.0].at < EPOCH + 15.0, "it was learned before the run"


def _goals(known: CapacityModel):
    return {signal: SETTINGS.objectives.tpot_s for signal in known.curves if signal == "tpotP95"}


def test_a_misled_controller_starts_with_the_wrong_curve_and_an_ordinary_one_with_none():
    context = Context(SETTINGS, draw(PLAN, 1), 1)
    assert build("aurora-overrating", context).capacity.curves
    assert build("aurora-underrating", context).capacity.curves
    assert build("aurora", context).capacity.curves == {}
    assert {"aurora-overrating", "aurora-underrating"} <= CONTROLLERS.keys()
