import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.simulator.pod import Phase
from aurora.simulator.pool import Served
from tests.unit.simulator.support import make_pool, make_request, send


def test_an_added_replica_serves_only_after_its_cold_start():
    pool = make_pool(1, cold=100.0)
    pool.scale(2)
    pool.advance(99.0)
    assert (pool.count(Phase.READY), pool.count(Phase.STARTING)) == (1, 1)
    pool.advance(100.0)
    assert (pool.count(Phase.READY), pool.cold_starts_s) == (2, [100.0])


def test_requests_go_to_the_replica_with_the_fewest_outstanding():
    pool = make_pool(3)
    send(pool, 7, at=1.0)
    assert sorted(pod.replica.outstanding for pod in pool.pods) == [2, 2, 3]


def test_with_no_replica_ready_requests_wait_at_the_gateway_and_the_wait_counts():
    pool = make_pool(1, cold=30.0)
    pool.lose(1)
    send(pool, 3, at=10.0)
    assert pool.gateway_waiting == 3
    pool.advance(60.0)
    assert pool.gateway_waiting == 0
    assert all(outcome.first_token > 30.0 for outcome in pool.outcomes)


def test_a_replica_scaled_away_finishes_what_it_holds_and_takes_nothing_new():
    pool = make_pool(2)
    send(pool, 4, at=1.0)
    pool.scale(1)
    assert (pool.count(Phase.READY), pool.count(Phase.DRAINING)) == (1, 1)
    send(pool, 2, at=1.1)
    [draining] = [pod for pod in pool.pods if pod.phase is Phase.DRAINING]
    assert draining.replica.outstanding == 2
    pool.advance(60.0)
    assert len(pool.pods) == 1
    assert len(pool.outcomes) == 6
    assert not any(outcome.failed for outcome in pool.outcomes)


def test_scaling_down_takes_the_replica_that_is_not_ready_first():
    pool = make_pool(2)
    pool.scale(3)
    pool.scale(2)
    assert (pool.count(Phase.READY), pool.count(Phase.STARTING)) == (2, 0)


def test_a_lost_pod_fails_its_requests_and_is_replaced_cold():
    pool = make_pool(2)
    send(pool, 4, at=1.0)
    pool.lose(1)
    assert sum(outcome.failed for outcome in pool.outcomes) == 2
    assert pool.gateway.counters["errors"] == 2
    assert (pool.count(Phase.READY), pool.count(Phase.STARTING)) == (1, 1)


def test_replica_seconds_are_held_from_creation_until_the_last_answer():
    pool = make_pool(2, cold=100.0)
    pool.advance(10.0)
    pool.scale(3)
    pool.advance(30.0)
    pool.scale(2)
    pool.advance(50.0)
    assert pool.replica_seconds == pytest.approx(2 * 50.0 + 20.0)


def test_a_cached_prompt_is_answered_at_once_until_its_time_is_over():
    pool = make_pool(1)
    pool.cache_ttl_s = 60.0
    for at in (0.0, 10.0, 200.0):
        send(pool, 1, at=at, prompt_id=7)
    pool.advance(300.0)
    served = [outcome.served for outcome in sorted(pool.outcomes, key=lambda o: o.finish)]
    assert served == [Served.PRIMARY, Served.CACHE, Served.PRIMARY]
    [pod] = pool.pods
    assert pod.metrics.counters["cache_hits"] == 1
    assert pod.metrics.counters["success"] == 2  # the engine never sees a hit


def test_each_replica_has_its_own_cache():
    pool = make_pool(2)
    pool.cache_ttl_s = 60.0
    for at in (0.0, 5.0, 10.0):
        send(pool, 1, at=at, prompt_id=7)
    pool.advance(60.0)
    assert sum(outcome.served is Served.CACHE for outcome in pool.outcomes) == 1


def test_unique_prompts_never_hit():
    pool = make_pool(1)
    pool.cache_ttl_s = 60.0
    send(pool, 5, at=0.0)
    pool.advance(60.0)
    assert all(outcome.served is Served.PRIMARY for outcome in pool.outcomes)


def test_the_fallback_takes_the_traffic_while_it_is_routed_to():
    pool = make_pool(1, fallback=make_pool(1))
    pool.error_ratio = 1.0
    send(pool, 2, at=0.0)
    pool.to_fallback = True
    send(pool, 2, at=1.0)
    pool.advance(60.0)
    assert [(o.failed, o.served) for o in pool.outcomes] == [
        *([(True, Served.PRIMARY)] * 2),
        *([(False, Served.FALLBACK)] * 2),
    ]


def test_a_request_too_large_for_the_cache_is_an_error_not_a_crash():
    pool = make_pool(1)
    pool.submit(make_request(0, 0.0).__class__(0, 0.0, 50_000, 1))
    assert [outcome.failed for outcome in pool.outcomes] == [True]


events = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 5)),
        st.tuples(st.just("scale"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.floats(0.1, 150.0)),
        st.tuples(st.just("lose"), st.integers(1, 2)),
    ),
    max_size=30,
)


@given(events)
@settings(deadline=None, max_examples=60)
def test_every_request_ends_exactly_once_whatever_happens_to_the_pool(sequence):
    pool, now, sent = make_pool(2), 0.0, 0
    for kind, value in sequence:
        if kind == "send":
            send(pool, value, at=now)
            sent, now = sent + value, now + 0.01
        elif kind == "scale":
            pool.scale(value)
        elif kind == "lose":
            pool.lose(value)
        else:
            now += value
        pool.advance(now)
        active = pool.count(Phase.READY) + pool.count(Phase.STARTING)
        assert active == pool.desired
        assert pool.in_system + len(pool.outcomes) == sent
    pool.advance(now + 10_000.0)
    assert sorted(o.request.identifier for o in pool.outcomes) == list(range(sent))
