import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.simulator.engine import Replica, RequestTooLargeError
from aurora.simulator.parameters import NAMED_SERVERS, ServerParameters
from aurora.simulator.requests import Completion, Request
from tests.unit.simulator import reference

SERVER = ServerParameters(
    step_s=0.040, decode_s=1e-4, kv_s=1e-7, prefill_s=1e-4, kv_capacity=10_000, max_running=16
)
# Small enough that prompts are chunked, sequences are queued and the cache overflows.
TIGHT = ServerParameters(
    step_s=0.010,
    decode_s=1e-3,
    kv_s=1e-5,
    prefill_s=1e-3,
    kv_capacity=120,
    max_running=6,
    token_budget=16,
)
RUNS = Path(__file__).parents[4] / "shared" / "data" / "vllm_runs"


def serve(parameters: ServerParameters, requests: list[Request]) -> list[Completion]:
    replica = Replica(parameters)
    done: list[Completion] = []
    for request in requests:
        done += replica.advance(request.arrival)
        replica.submit(request)
    return done + replica.advance(1e9)


def test_a_single_request_takes_its_prompt_and_one_step_per_further_token():
    [done] = serve(SERVER, [Request(0, 1.0, 500, 11)])
    prefill = 0.040 + 500 * 1e-4 + 500 * 1e-7
    decode = sum(0.040 + 1e-4 + 1e-7 * (500 + step) for step in range(1, 11))
    assert done.ttft_s == pytest.approx(prefill)
    assert done.finish - done.first_token == pytest.approx(decode)
    assert done.tpot_s == pytest.approx(decode / 10)


def test_a_prompt_above_the_token_budget_takes_two_steps():
    [done] = serve(SERVER, [Request(0, 0.0, 3000, 1)])
    assert done.ttft_s == pytest.approx(2 * 0.040 + 3000 * 1e-4 + (2048 + 3000) * 1e-7)
    assert done.tpot_s is None


def test_an_idle_server_has_no_next_event_and_no_busy_time():
    replica = Replica(SERVER)
    assert replica.next_event == math.inf
    replica.advance(1000.0)
    assert (replica.busy_s, replica.now, replica.kv_usage) == (0.0, 1000.0, 0.0)


def test_a_request_that_can_never_fit_is_refused_with_both_numbers():
    with pytest.raises(RequestTooLargeError, match=r"10001 tokens .* holds 10000"):
        Replica(SERVER).submit(Request(0, 0.0, 10_000, 1))


def test_a_slowdown_of_three_triples_the_time_of_later_steps():
    healthy, slow = Replica(SERVER), Replica(SERVER)
    slow.set_slowdown(3.0)
    for replica in (healthy, slow):
        replica.submit(Request(0, 0.0, 100, 20))
    [fast_done], [slow_done] = healthy.advance(100), slow.advance(100)
    assert slow_done.e2e_s == pytest.approx(3 * fast_done.e2e_s)


def test_abort_gives_back_what_runs_and_what_waits_and_leaves_an_idle_server():
    replica = Replica(TIGHT)
    for number in range(12):
        replica.submit(Request(number, 0.0, 10, 5))
    replica.advance(0.05)
    lost = {request.identifier for request in replica.abort()}
    assert lost == set(range(12))
    assert (replica.outstanding, replica.kv_usage, replica.next_event) == (0, 0.0, math.inf)


workloads = st.lists(
    st.tuples(st.floats(1e-4, 0.3), st.integers(1, 60), st.integers(1, 50)), min_size=1, max_size=25
)


def as_requests(workload: list[tuple[float, int, int]]) -> list[Request]:
    times = np.cumsum([gap for gap, _, _ in workload]).tolist()
    return [
        Request(i, at, prompt, output)
        for i, (at, (_, prompt, output)) in enumerate(zip(times, workload, strict=True))
    ]


@given(workloads)
@settings(deadline=None, max_examples=150)
def test_event_stretches_give_the_times_of_single_steps(workload):
    requests = as_requests(workload)
    expected = reference.simulate(TIGHT, requests)
    got = {c.request.identifier: (c.first_token, c.finish) for c in serve(TIGHT, requests)}
    assert got.keys() == expected.keys()
    for identifier, times in expected.items():
        assert got[identifier] == pytest.approx(times, abs=1e-6)


@given(workloads, st.lists(st.floats(0.0, 2.0), max_size=20))
@settings(deadline=None, max_examples=60)
def test_looking_at_a_server_does_not_change_it_and_limits_hold(workload, looks):
    requests = as_requests(workload)
    replica, done = Replica(TIGHT), []
    events = sorted([(r.arrival, r) for r in requests] + [(at, None) for at in looks], key=first)
    for at, request in events:
        done += replica.advance(at)
        if request is not None:
            replica.submit(request)
        assert 0.0 <= replica.kv_usage <= 1.0
        assert replica.running <= TIGHT.max_running
        assert replica.busy_s <= replica.now + 1e-9
    done += replica.advance(1e6)
    assert done == serve(TIGHT, requests)
    assert replica.generation_tokens_total == sum(r.output_tokens for r in requests)
    assert (replica.outstanding, replica.kv_usage) == (0, 0.0)


def first(pair):
    return pair[0]


def test_an_overflowing_cache_preempts_and_still_finishes_everything():
    requests = [Request(i, 0.0, 20, 40) for i in range(6)]
    replica = Replica(TIGHT)
    for request in requests:
        replica.submit(request)
    assert len(replica.advance(1e6)) == 6
    assert replica.preemptions_total > 0
    assert replica.prompt_tokens_total > 6 * 20  # recomputed


@pytest.mark.skipif(not RUNS.is_dir(), reason="the measured runs are not beside the checkout")
@pytest.mark.parametrize("folder", ["RTX4090_Llama-3.1-8B", "RTXPRO6000_Qwen3-32B"])
def test_shipped_parameters_meet_the_measured_run_within_5_percent(folder):
    from bench.fit_server import CELLS, NAMES, named_for, read_run, score

    run = read_run(RUNS / folder)
    shipped = np.array([getattr(named_for(folder), name) for name in NAMES])
    errors = dict(zip(CELLS, score(run, shipped), strict=True))
    assert max(map(abs, errors.values())) <= 5.0, errors


def test_every_named_server_states_its_source():
    assert all("measured" in server.source for server in NAMED_SERVERS.values())
