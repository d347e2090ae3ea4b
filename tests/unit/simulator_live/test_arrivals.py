"""Arrivals: the asked rate, in order, none lost and none twice, however time is cut."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.simulator.faults import RepeatedPrompts
from aurora.simulator.live.arrivals import Arrivals
from aurora.simulator.profile import builtin_profile
from aurora.simulator.requests import Request


def arrivals(*, rate: float = 10.0, callers: int = 32, start: float = 0.0) -> Arrivals:
    return Arrivals(
        builtin_profile(),
        rate=rate,
        callers=callers,
        rng=np.random.default_rng(7),
        identifiers=itertools.count(1),
        start=start,
    )


def test_the_mean_rate_is_the_asked_one_over_a_lap() -> None:
    lap = builtin_profile().duration_s
    found = arrivals(rate=10.0).until(lap)
    assert abs(len(found) / lap - 10.0) < 0.3


def test_it_goes_on_after_a_lap() -> None:
    lap = builtin_profile().duration_s
    stream = arrivals()
    stream.until(lap)
    more = stream.until(lap + 600.0)
    assert 4000 < len(more) < 8000
    assert all(lap < request.arrival <= lap + 600.0 for request in more)


def test_many_callers_are_steadier_than_one() -> None:
    def variation(callers: int) -> float:
        times = [r.arrival for r in arrivals(callers=callers).until(3400.0)]
        counts = np.histogram(times, bins=340, range=(0.0, 3400.0))[0]
        return float(counts.std() / counts.mean())

    assert variation(1) > 1.4
    assert variation(32) < 0.3


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.floats(0.0, 120.0), max_size=30),
    factor=st.sampled_from([0.3, 1.0, 2.5]),
)
def test_however_time_is_cut_each_arrival_comes_once_and_in_order(
    cuts: list[float], factor: float
) -> None:
    stream = arrivals(start=5.0)
    found: list[Request] = []
    for at in sorted([*cuts, 125.0]):
        part = stream.until(at, factor=factor)
        assert all(request.arrival <= at for request in part)
        found += part
    times = [request.arrival for request in found]
    assert times == sorted(times)
    assert all(5.0 <= at <= 125.0 for at in times)
    assert len({request.identifier for request in found}) == len(found)
    # 1,200 are expected at factor 1; bursts make a short time vary.
    assert 0.5 * 1200 * factor < len(found) < 1.7 * 1200 * factor


def test_a_load_step_is_whole_however_short_the_ticks_are() -> None:
    """Copies of an arrival come up to a second after it: a tick must not lose them."""
    stream = arrivals(rate=20.0)
    ticks = [stream.until(0.2 * tick, factor=2.5) for tick in range(1, 3001)]
    once = len(arrivals(rate=20.0).until(600.0))
    assert 2.3 * once < sum(len(part) for part in ticks) < 2.7 * once


def test_repeats_come_from_a_few_prompts_and_end_with_the_fault() -> None:
    stream = arrivals(rate=50.0)
    fault = RepeatedPrompts(0.0, 60.0, share=0.6, distinct=20)
    during = [*stream.until(30.0, repeats=fault), *stream.until(60.0, repeats=fault)]
    repeated = [request for request in during if request.prompt_id is not None]
    assert 0.55 < len(repeated) / len(during) < 0.65
    prompts = {(r.prompt_id, r.prompt_tokens, r.output_tokens) for r in repeated}
    assert len(prompts) == len({prompt_id for prompt_id, _, _ in prompts}) == 20
    after = stream.until(90.0)
    assert {request.prompt_id for request in after} == {None}
    again = stream.until(120.0, repeats=fault)
    assert not {r.prompt_id for r in again if r.prompt_id} & {r.prompt_id for r in repeated}
