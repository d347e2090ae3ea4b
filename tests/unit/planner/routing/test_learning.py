"""What a policy learns cycle by cycle: each request once, whole numbers only, no dithering."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from aurora.planner.routing.learned import state_document
from aurora.planner.routing.learner import LEAST_OUTCOMES
from aurora.planner.routing.learning import advanced
from aurora.resources.routing_learning import Algorithm
from aurora.routing.strategies import Registry
from aurora.routing.types import WorkloadContext
from aurora.state.memory import ModelMemory
from aurora.state.routing_memory import RoutingMemory
from tests.support.routing import NOW, Seen, given, seen

CYCLE_S = 15.0
LEARNED: dict[str, Any] = {"strategy": "Learned"}
ALGORITHMS = [pytest.param(one.value, id=one.value) for one in Algorithm]

Look = Callable[[int], dict[str, Seen]]


def learning(algorithm: str = "thompson", **spec: Any) -> dict[str, Any]:
    return LEARNED | {"learning": {"algorithm": algorithm, **spec}}


def cycles(
    look: Look | dict[str, Seen],
    count: int,
    memory: RoutingMemory | None = None,
    *,
    start: float = NOW,
    **spec: Any,
) -> Iterator[RoutingMemory]:
    for turn in range(count):
        found = look(turn) if callable(look) else look
        at = start + turn * CYCLE_S
        memory = advanced(memory, given(found, at=at, **(spec or LEARNED)))
        assert memory is not None
        yield memory


def after(
    look: Look | dict[str, Seen], count: int, memory: RoutingMemory | None = None, **spec: Any
) -> RoutingMemory:
    return list(cycles(look, count, memory, **spec))[-1]


def outcomes(memory: RoutingMemory) -> dict[str, int]:
    return {name: arm.outcomes for name, arm in memory.arms.items()}


HALF = {"a": seen(50), "b": seen(50)}
SEEN: list[tuple[str, dict[str, Seen], int, int]] = [
    ("a window of 60 s teaches once a minute, not each cycle", HALF, 8, 2),
    ("a window that was partial teaches nothing", {"a": seen(50, partial=True)}, 8, 0),
    ("no error ratio, nothing learned", {"a": seen(50, errors=None)}, 8, 0),
    ("no latency, nothing learned", {"a": seen(50, mean=None)}, 8, 0),
    ("no request rate, nothing learned", {"a": seen(50, rate=None)}, 8, 0),
    ("no requests, nothing learned", {"a": seen(50, rate=0.0)}, 8, 0),
    ("a mean latency of days is a broken exporter", {"a": seen(50, mean=1e6)}, 8, 0),
    ("a latency beyond every number is one as well", {"a": seen(50, mean=1e300)}, 8, 0),
    ("a rate beyond every number is one too", {"a": seen(50, rate=1e300)}, 8, 0),
    ("a rate next to nothing is none", {"a": seen(50, rate=1e-300)}, 8, 0),
    ("few requests wait until they are enough", {"a": seen(50, rate=0.2)}, 8, 1),
]


@pytest.mark.parametrize(
    ("found", "count", "expected"), [pytest.param(*case[1:], id=case[0]) for case in SEEN]
)
def test_what_is_learned_of(found: dict[str, Seen], count: int, expected: int) -> None:
    memory = after({"b": seen(50), **found}, count)
    assert outcomes(memory)["a"] == expected
    assert outcomes(memory)["b"] == 2


def test_the_same_sample_never_teaches_twice() -> None:
    memory = after(HALF, 1)
    again = memory
    for _ in range(5):
        found = advanced(again, given(HALF, **LEARNED))
        assert found is not None
        again = found
    assert (again.revision, again.state) == (memory.revision, memory.state)


@pytest.mark.parametrize(
    ("back_s", "goes_on"),
    [
        pytest.param(300.0, False, id="five minutes: the old time comes again soon"),
        pytest.param(86_400.0, True, id="a day: nothing would be learned for a day"),
    ],
)
def test_a_clock_that_goes_back(back_s: float, goes_on: bool) -> None:
    before = after(HALF, 9)
    found = list(cycles(HALF, 9, before, start=NOW - back_s))[-1]
    assert (outcomes(found)["a"] - outcomes(before)["a"]) == (3 if goes_on else 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("worse", "spec"),
    [
        pytest.param({"mean": 2.8}, {}, id="slower"),
        pytest.param({"errors": 0.04}, {}, id="failing more often"),
        pytest.param(
            {},
            {
                "declared": {
                    "a": {"costPerReplicaHour": "1"},
                    "b": {"costPerReplicaHour": "9"},
                },
                "reward": {"costWeight": "1000"},
            },
            id="dearer",
        ),
    ],
)
def test_who_is_worse_loses_its_share(
    algorithm: str, worse: dict[str, Any], spec: dict[str, Any]
) -> None:
    own = dict(spec)
    reward = {"reward": own.pop("reward")} if "reward" in own else {}
    memory = after(
        {"a": seen(50), "b": seen(50, **worse)}, 120, **learning(algorithm, **reward), **own
    )
    assert memory.shares["a"] > 0.85
    assert sum(memory.shares.values()) == pytest.approx(1.0)
    assert memory.scores["a"] > memory.scores["b"]
    assert memory.versus.difference.count > 3
    assert memory.versus.difference.mean > 0.0, "the rules go on giving half to each"


def test_a_price_counts_only_where_every_backend_has_one() -> None:
    dear = learning(reward={"costWeight": "1000000"})
    declared = {"b": {"costPerReplicaHour": "99"}}
    memory = after(HALF, 60, **dear, declared=declared)
    assert memory.scores["a"] == pytest.approx(memory.scores["b"])


def test_a_price_does_not_count_more_for_who_has_little_traffic() -> None:
    """Else whoever is explored with a few requests would look dear and never get more."""
    prices = {"a": {"costPerReplicaHour": "5"}, "b": {"costPerReplicaHour": "5"}}
    found = {"a": seen(99, rate=99.0), "b": seen(1, rate=1.0)}
    memory = after(found, 60, **learning(reward={"costWeight": "1000"}), declared=prices)
    assert memory.scores["a"] == pytest.approx(memory.scores["b"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_between_equals_the_shares_do_not_dither(algorithm: str) -> None:
    """Eight hours of two backends that differ by chance alone, and much."""
    rng = np.random.default_rng(7)

    def noisy(_: int) -> dict[str, Seen]:
        means = rng.normal(0.8, 0.2, 2)
        return {
            "a": seen(50, mean=max(0.1, float(means[0]))),
            "b": seen(50, mean=max(0.1, float(means[1]))),
        }

    followed = [
        tuple(memory.shares.values()) for memory in cycles(noisy, 8 * 240, **learning(algorithm))
    ]
    moves = sum(now != then for now, then in itertools.pairwise(followed))
    assert moves <= 6


def test_a_backend_that_becomes_slow_loses_what_it_had_learned_to_get() -> None:
    rng = np.random.default_rng(3)

    def turning(turn: int) -> dict[str, Seen]:
        a, b = (0.8, 2.0) if turn < 400 else (3.0, 2.0)
        return {
            "a": seen(50, mean=a + float(rng.normal(0.0, 0.05))),
            "b": seen(50, mean=b + float(rng.normal(0.0, 0.05))),
        }

    found = list(cycles(turning, 800, **LEARNED))
    assert found[399].shares["a"] > 0.9
    assert found[-1].shares["b"] > 0.9


def test_one_lucky_outcome_gives_no_share() -> None:
    found = list(cycles(HALF, 4 * LEAST_OUTCOMES, **LEARNED))
    early = [one.shares for one in found if max(outcomes(one).values()) < LEAST_OUTCOMES]
    assert len(early) > LEAST_OUTCOMES
    assert not any(early)
    assert found[-1].shares


def test_the_same_state_gives_the_same_shares() -> None:
    rng = np.random.default_rng(5)
    looks = [
        {"a": seen(50, mean=float(m)), "b": seen(50, mean=float(n))}
        for m, n in rng.normal(1.0, 0.2, (60, 2))
    ]
    assert after(looks.__getitem__, 60) == after(looks.__getitem__, 60)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_learned_survives_its_record(algorithm: str) -> None:
    looks = {"a": seen(50), "b": seen(50, mean=1.4)}
    memory = after(looks, 60, **learning(algorithm))
    record = ModelMemory(at=NOW, routing=memory).to_json()
    read = ModelMemory.from_json(record).routing
    assert read is not None
    assert read.shares == pytest.approx(memory.shares, rel=1e-5)
    later = {"start": NOW + 60 * CYCLE_S, **learning(algorithm)}
    one, other = (after(looks, 40, start, **later) for start in (memory, read))
    assert other.revision == one.revision
    assert other.shares == pytest.approx(one.shares, rel=1e-3)
    assert other.versus.difference.mean == pytest.approx(one.versus.difference.mean, rel=1e-3)


@pytest.mark.parametrize(
    ("then", "forgotten"),
    [
        pytest.param({"algorithm": "ucb"}, True, id="another algorithm begins anew"),
        pytest.param({"reward": {"costWeight": "2"}}, True, id="another reward begins anew"),
        pytest.param({"percent": 10}, False, id="another percentage keeps all"),
        pytest.param({"rules": "Equal"}, False, id="other rules keep what was learned"),
    ],
)
def test_a_change_of_the_spec(then: dict[str, Any], forgotten: bool) -> None:
    memory = after(HALF, 60)
    changed = advanced(memory, given(HALF, at=NOW + 900.0, **(LEARNED | {"learning": then})))
    assert changed is not None
    assert (changed.revision < memory.revision) is forgotten


def test_a_backend_that_became_another_one_is_learned_anew_and_the_others_are_kept() -> None:
    memory = after(HALF, 60)
    other = {"b": {"serviceRef": {"name": "b-v2", "port": 80}}}
    changed = advanced(memory, given(HALF, at=NOW + 900.0, declared=other, **LEARNED))
    assert changed is not None
    assert outcomes(changed)["a"] >= outcomes(memory)["a"]
    assert outcomes(changed)["b"] <= 1
    assert list(changed.shares) == ["a"]


def test_what_another_backend_of_that_name_earned_is_forgotten() -> None:
    slow, quick = ({"a": seen(50), "b": seen(50, mean=mean)} for mean in (5.0, 0.4))
    other = {"b": {"serviceRef": {"name": "b-v2", "port": 80}}}
    memory = after(slow, 60)
    changed = after(quick, 20, memory, start=NOW + 900.0, declared=other, **LEARNED)
    assert changed.scores["b"] > changed.scores["a"]


def test_backends_that_all_became_others_have_no_share_left() -> None:
    memory = after({"a": seen(50), "b": seen(50, mean=5.0)}, 60)
    others = {name: {"serviceRef": {"name": f"{name}-v2", "port": 80}} for name in HALF}
    changed = advanced(memory, given(HALF, at=NOW + 900.0, declared=others, **LEARNED))
    assert changed is not None
    assert (changed.shares, changed.scores) == ({}, {})


def test_a_damaged_state_is_learned_again() -> None:
    memory = after(HALF, 60)
    broken = ModelMemory.from_json(ModelMemory(at=NOW, routing=memory).to_json()).routing
    assert broken is not None
    broken.state["states"][0]["cells"] = "gone"
    found = after({"a": seen(50), "b": seen(50, mean=3.0)}, 120, broken, start=NOW + 900.0)
    assert found.shares["a"] > 0.85


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_router_can_begin_with_what_was_learned(algorithm: str) -> None:
    memory = after({"a": seen(50), "b": seen(50, mean=3.0)}, 120, **learning(algorithm))
    document = state_document(memory)
    assert document is not None
    assert (document["format"], document["strategy"]) == ("aurora-routing-state", algorithm)
    strategy = Registry().create(algorithm)
    strategy.restore(document["state"])  # type: ignore[arg-type]
    shares, _ = strategy.distribution(WorkloadContext(), ("a", "b"), np.random.default_rng(0))
    assert shares[0] > 0.8


def test_there_is_nothing_for_a_router_before_something_was_learned() -> None:
    assert state_document(None) is None
    assert state_document(after({"a": seen(50, rate=0.0), "b": seen(50, rate=0.0)}, 3)) is None


def test_a_policy_of_another_strategy_remembers_nothing() -> None:
    assert advanced(after(HALF, 20), given(HALF, strategy="Equal")) is None
