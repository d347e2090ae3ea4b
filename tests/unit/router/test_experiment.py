"""The learned strategy against rules, over HTTP: who is asked, who is taught, and what is told."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aurora.router.policy import Experiment, Policy
from aurora.router.server import RouterApi
from aurora.router.service import Router
from aurora.router.settings import RouterSettings
from aurora.router.telemetry import RouterMetrics
from aurora.routing import InputError, RoutingError

Client = TestClient[Any, Any]
ARMS = [{"provider_id": "good"}, {"provider_id": "bad"}]
HERE = RouterSettings(model_path=Path())
BAD_RULES = {"percent": 50, "rules": [{"use": ["bad"]}]}


def router_for(**policy: Any) -> Router:
    router = Router(HERE)
    router.adopt(Policy.model_validate({"providers": ARMS, **policy}).checked())
    return router


@asynccontextmanager
async def served(router: Router) -> AsyncIterator[Client]:
    api = RouterApi(router, RouterMetrics())
    async with TestClient(TestServer(api.application())) as client:
        yield client
    router.close()


async def post(client: Client, path: str, body: Any) -> dict[str, Any]:
    async with client.post(path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def live(client: Client, count: int, latency_ms: dict[str, float], seed: int = 1) -> None:
    """Requests of which one in ten fails, whoever answers; providers differ in latency."""
    rng = random.Random(seed)
    for _ in range(count):
        found = await post(client, "/decide", {})
        outcome = {
            "decision_id": found["metadata"]["decision_id"],
            "success": rng.random() < 0.9,
            "actual_cost_usd": 0.0,
            "actual_latency_ms": latency_ms[found["provider_id"]],
        }
        await post(client, "/feedback", outcome)


async def told(client: Client) -> dict[str, Any]:
    async with client.get("/status") as answer:
        return dict((await answer.json())["experiment"])


async def test_the_side_that_is_truly_better_is_told_as_such() -> None:
    async with served(router_for(experiment=BAD_RULES)) as client:
        assert (await told(client))["verdict"] == "TooFew"
        await live(client, 1200, {"good": 50.0, "bad": 2500.0})
        found = await told(client)
        async with client.get("/metrics") as answer:
            metrics = await answer.text()
    learned, rules = found["sides"]["learned"], found["sides"]["rules"]
    assert learned["outcomes"] + rules["outcomes"] == 1200
    assert 500 < learned["decisions"] < 700
    # The rules use "bad" but for the floor: 0.9 x 10 - 0.1 x 20 - 2500 / 500.
    assert rules["lower"] < 2.0 < rules["upper"]
    assert learned["lower"] > rules["mean_reward"]
    assert found["verdict"] == "LearnedBetter"
    assert found["p_value"] < 0.05
    assert 0.0 < found["lower"] < found["difference"] < found["upper"]
    assert 'aurora_router_experiment_verdict{verdict="LearnedBetter"} 1.0' in metrics
    assert 'aurora_router_experiment_requests{kind="outcomes",side="rules"}' in metrics
    assert 'aurora_router_experiment_difference{figure="lower"}' in metrics


async def test_no_difference_is_told_where_there_is_none() -> None:
    async with served(router_for(experiment=BAD_RULES)) as client:
        await live(client, 1200, {"good": 50.0, "bad": 50.0})
        found = await told(client)
    assert found["verdict"] == "NoDifference"
    assert found["lower"] < 0.0 < found["upper"]
    assert found["p_value"] > 0.05


async def test_each_decision_names_its_side_and_a_session_keeps_its_own() -> None:
    async with served(router_for(experiment=BAD_RULES)) as client:
        seen = set()
        for number in range(40):
            body = {"context": {"session_key": f"s{number % 8}"}}
            found = await post(client, "/decide", body)
            seen.add((f"s{number % 8}", found["metadata"]["side"]))
    assert len(seen) == 8
    assert {side for _, side in seen} == {"learned", "rules"}


async def test_without_an_experiment_nothing_is_told_of_one() -> None:
    async with served(router_for()) as client:
        assert "side" not in (await post(client, "/decide", {}))["metadata"]
        async with client.get("/status") as answer:
            assert (await answer.json())["experiment"] is None
        async with client.get("/metrics") as answer:
            assert "aurora_router_experiment" not in await answer.text()


@pytest.mark.parametrize(
    ("percent", "side"),
    [pytest.param(100, "learned", id="all learned"), pytest.param(0, "rules", id="all rules")],
)
def test_the_percentage_is_honoured_at_its_ends(percent: float, side: str) -> None:
    router = router_for(experiment={**BAD_RULES, "percent": percent})
    assert {router.decide({})[1]["side"] for _ in range(50)} == {side}
    router.close()


def feedback(router: Router, metadata: dict[str, Any]) -> float:
    outcome = {"success": True, "actual_cost_usd": 0.0, "actual_latency_ms": 50.0}
    return router.feedback({"decision_id": metadata["decision_id"], **outcome})


def test_a_repeated_feedback_counts_once() -> None:
    router = router_for(experiment={**BAD_RULES, "percent": 100})
    _, metadata = router.decide({})
    assert feedback(router, metadata) == feedback(router, metadata)
    report = router.report()
    assert report is not None
    assert report["sides"]["learned"]["outcomes"] == 1
    router.close()


def test_late_feedback_counts_for_the_experiment_that_decided() -> None:
    router = router_for(experiment=BAD_RULES)
    before = [router.decide({})[1] for _ in range(20)]
    router.adopt(
        Policy.model_validate({"providers": ARMS, "experiment": {**BAD_RULES, "percent": 20}})
    )
    for metadata in before:
        feedback(router, metadata)
    report = router.report()
    assert report is not None
    assert sum(side["outcomes"] for side in report["sides"].values()) == 0
    router.close()


def test_new_figures_of_the_providers_begin_no_new_experiment() -> None:
    router = router_for(experiment=BAD_RULES)
    feedback(router, router.decide({})[1])
    changed = [{**one, "latency_ms": 5.0} for one in ARMS]
    assert router.adopt(Policy.model_validate({"providers": changed, "experiment": BAD_RULES}))
    report = router.report()
    assert report is not None
    assert sum(side["outcomes"] for side in report["sides"].values()) == 1
    router.close()


def test_rules_are_conditions_on_the_request() -> None:
    pytest.importorskip("cel_expr_python")
    rules = [{"when": "complexity < 0.4", "use": ["bad"]}, {"use": ["good"]}]
    router = router_for(minPercent=0, experiment={"percent": 0, "rules": rules})
    assert router.decide({"context": {"complexity": 0.1}})[0] == "bad"
    assert router.decide({"context": {"complexity": 0.9}})[0] == "good"
    router.close()


def test_rules_that_cannot_be_read_leave_the_policy_before_in_force() -> None:
    router = router_for()
    with pytest.raises(InputError, match="rule 1"):
        router.adopt(Policy(experiment=Experiment(percent=50.0, rules=({"use": []},))))
    assert router.policy.experiment is None
    assert router.decide({})[0] in {"good", "bad"}
    router.close()


@pytest.mark.parametrize(
    ("strategy", "options", "seen"),
    [
        pytest.param("fallback", {"tiers": ["bad", "good"]}, {"bad"}, id="a chain"),
        pytest.param("weighted", {"weights": {"good": 1.0, "bad": 0.0}}, {"good"}, id="weights"),
        pytest.param("round-robin", {}, {"good", "bad"}, id="without options"),
        pytest.param("thompson", {"per_state": False}, {"good", "bad"}, id="one that learns too"),
    ],
)
def test_another_strategy_stands_in_the_place_of_rules(
    strategy: str, options: dict[str, Any], seen: set[str]
) -> None:
    wanted = {"percent": 0, "strategy": strategy, "strategyOptions": options}
    router = router_for(minPercent=0, experiment=wanted)
    found = [router.decide({}) for _ in range(40)]
    assert {provider for provider, _ in found} == seen
    assert {metadata["side"] for _, metadata in found} == {"rules"}
    router.close()


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param({"strategy": "best"}, "no strategy is named 'best'", id="unknown"),
        pytest.param({"strategy": "ucb", "strategyOptions": {"x": 1}}, "'x'", id="bad option"),
        pytest.param({"strategy": "ucb", "rules": [{"use": ["bad"]}]}, "rules", id="and rules"),
        pytest.param({}, "rules", id="neither rules nor a strategy"),
    ],
)
def test_a_strategy_that_cannot_be_used_leaves_the_policy_before_in_force(
    wanted: dict[str, Any], why: str
) -> None:
    router = router_for()
    with pytest.raises(RoutingError, match=why):
        router.adopt(Policy.model_validate({"experiment": {"percent": 50, **wanted}}))
    assert router.report() is None
    assert router.decide({})[0] in {"good", "bad"}
    router.close()


def test_each_side_learns_from_its_own_requests_alone(tmp_path: Path) -> None:
    settings = RouterSettings(model_path=tmp_path / "state.json")
    router = Router(settings)
    wanted = {"percent": 100, "strategy": "thompson", "name": "a"}
    policy = {"providers": ARMS, "strategy": "thompson", "experiment": wanted}
    router.adopt(Policy.model_validate(policy))
    begun = router.engine.snapshot()
    router.adopt(Policy.model_validate({**policy, "experiment": {**wanted, "percent": 0}}))
    for _ in range(20):
        feedback(router, router.decide({})[1])
    assert router.engine.snapshot()["state"] == begun["state"], "the other side learned"
    report = router.report()
    assert report is not None
    assert report["sides"]["rules"]["outcomes"] == 20
    router.close()
    again = Router(settings)
    again.adopt(Policy.model_validate(policy))
    assert again.engine.snapshot()["state"] == begun["state"], "and kept nothing"
    again.close()
