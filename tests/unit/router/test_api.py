"""The router's API, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.router.policy import Policy
from aurora.router.server import RouterApi
from aurora.router.service import Router
from aurora.router.settings import RouterSettings
from aurora.router.telemetry import MOST_PROVIDERS, RouterMetrics

Client = TestClient[Any, Any]
TWO = [{"provider_id": "a", "latency_ms": 900.0}, {"provider_id": "b", "latency_ms": 50.0}]
OUTCOME = {"success": True, "actual_cost_usd": 0.01, "actual_latency_ms": 50.0}
HERE = RouterSettings(model_path=Path(), _env_file=None)  # type: ignore[call-arg]


@asynccontextmanager
async def served(router: Router | None = None) -> AsyncIterator[tuple[Client, RouterApi]]:
    router = router or Router(HERE)
    api = RouterApi(router, RouterMetrics())
    async with TestClient(TestServer(api.application())) as client:
        yield client, api
    router.close()


async def decide(client: Client, **body: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/decide", json={"context": {}, "providers": TWO, **body}) as answer:
        return answer.status, await answer.json()


async def test_a_decision_and_its_feedback() -> None:
    async with served() as (client, _):
        status, found = await decide(client)
        assert status == 200
        assert found["provider_id"] in {"a", "b"}
        assert set(found["metadata"]) >= {
            *("decision_id", "mode", "q_value", "propensity", "scores", "violations", "reason")
        }
        body = {"decision_id": found["metadata"]["decision_id"], **OUTCOME}
        async with client.post("/feedback", json=body) as answer:
            first = await answer.json()
            assert first == {"reward": pytest.approx(10 - 0.01 - 50 / 500)}
        async with client.post("/feedback", json=body) as answer:
            assert await answer.json() == first
        async with client.get("/status") as answer:
            told = await answer.json()
        assert (told["executor"]["total_outcomes"], told["executor"]["pending_feedback"]) == (1, 0)
        async with client.get("/audit?limit=5") as answer:
            assert len((await answer.json())["entries"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "says"),
    [
        pytest.param("/decide", "no json", 400, "bad-input", "one JSON object", id="not JSON"),
        pytest.param("/decide", "[]", 400, "bad-input", "one JSON object", id="a list"),
        pytest.param(
            "/decide", '{"contxt": {}}', 400, "bad-input", "unknown keys ['contxt']", id="a typo"
        ),
        pytest.param(
            "/decide",
            '{"context": {"region": 5}, "providers": [{"provider_id": "a"}]}',
            400,
            "bad-input",
            "region must be a text",
            id="a number for a region",
        ),
        pytest.param(
            "/decide", '{"providers": []}', 422, "no-eligible-provider", "", id="no candidate"
        ),
        pytest.param(
            "/decide", '{"providers": 5}', 400, "bad-input", "providers", id="no list of providers"
        ),
        pytest.param(
            "/decide", '{"providers": [{}]}', 400, "bad-input", "no provider_id", id="no name"
        ),
        pytest.param(
            "/feedback", '{"decision_id": "x"}', 400, "bad-input", "missing keys", id="half of it"
        ),
        pytest.param(
            "/feedback",
            json.dumps({"decision_id": "x", **OUTCOME}),
            404,
            "unknown-decision",
            "",
            id="never decided here",
        ),
        pytest.param(
            "/feedback",
            '{"decision_id": "x", "success": true, "actual_cost_usd": NaN, "actual_latency_ms": 1}',
            400,
            "bad-input",
            "NaN",
            id="NaN",
        ),
        pytest.param(
            "/decide",
            f'{{"context": {{"gpu_hours": 1{"0" * 400}}}}}',
            400,
            "bad-input",
            "gpu_hours",
            id="a number of 401 digits",
        ),
        pytest.param("/nowhere", "{}", 404, "not-found", "", id="an unknown path"),
    ],
)
async def test_bad_input_is_a_problem_that_says_what_to_do(
    path: str, body: str, status: int, kind: str, says: str
) -> None:
    async with served() as (client, _), client.post(path, data=body) as answer:
        found = json.loads(await answer.read())
        assert (answer.status, found["status"]) == (status, status)
        assert answer.content_type == "application/problem+json"
        assert found["type"] == f"urn:aurora:router:{kind}"
        assert says in found["detail"]
        assert found["detail"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "1" * 5000])
async def test_a_wrong_limit_of_the_audit_trail_is_a_problem(limit: str) -> None:
    async with served() as (client, _), client.get(f"/audit?limit={limit}") as answer:
        assert answer.status == 400


async def test_strict_audit_tells_what_stood_against_each() -> None:
    strict = Router(HERE.model_copy(update={"strict_audit": True}))
    async with served(strict) as (client, _):
        status, found = await decide(client, constraints={"max_latency_ms": 10})
    assert status == 422
    assert set(found["refused"]) == {"a", "b"}


async def test_a_body_beyond_the_bound_is_refused() -> None:
    async with served() as (client, _):
        async with client.post("/decide", data=BytesIO(b" " * (5 * 1024**2))) as answer:
            assert answer.status == 413
            assert answer.content_type == "application/problem+json"
        assert (await decide(client))[0] == 200


async def test_a_policy_gives_candidates_and_limits() -> None:
    router = Router(HERE)
    policy = {"providers": TWO, "strictAudit": True, "constraints": {"max_latency_ms": 100}}
    assert router.adopt(Policy.model_validate(policy).checked())
    async with served(router) as (client, _), client.post("/decide", json={}) as answer:
        assert (await answer.json())["provider_id"] == "b"


async def test_it_stops_being_ready_before_it_stops() -> None:
    async with served() as (client, api):
        async with client.get("/readyz") as answer:
            assert answer.status == 200
        api.ready = False
        async with client.get("/readyz") as answer:
            assert answer.status == 503
        assert (await decide(client))[0] == 200
        async with client.get("/healthz") as answer:
            assert answer.status == 200


async def test_metrics_are_bounded_however_many_providers_there_are() -> None:
    async with served() as (client, _):
        for number in range(MOST_PROVIDERS + 20):
            await decide(client, providers=[{"provider_id": f"p{number}"}])
        async with client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
    series = [one for one in lines if one.startswith("aurora_router_decisions_total{")]
    assert len(series) == MOST_PROVIDERS + 1
    assert any('provider="other"' in one and one.endswith(" 20.0") for one in series)


async def test_without_a_policy_file_no_policy_is_refused() -> None:
    async with served() as (client, _), client.get("/metrics") as answer:
        assert "aurora_router_policy_ok 1.0" in await answer.text()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = ("context", "providers", "constraints", "psi_metrics")
FEEDBACK = ("decision_id", "success", "actual_cost_usd", "actual_latency_ms", "next_context")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    decide=st.dictionaries(st.sampled_from(KEYS), JSON),
    feedback=st.dictionaries(st.sampled_from(FEEDBACK), JSON),
)
def test_no_body_is_an_internal_error(decide: dict[str, Any], feedback: dict[str, Any]) -> None:
    async def send() -> list[int]:
        found = []
        async with served() as (client, _):
            for path, body in (("/decide", decide), ("/feedback", feedback)):
                async with client.post(path, json=body) as answer:
                    found.append(answer.status)
        return found

    assert all(status < 500 for status in asyncio.run(send()))
