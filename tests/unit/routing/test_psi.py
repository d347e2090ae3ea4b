"""The psi field: formula, bounds, and neutral whenever it is missing, stale or broken."""

import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.routing import EngineSettings, InputError, PsiField, PsiMetrics, RoutingEngine
from aurora.routing.psi_field import exploration_factor

CONTEXT = {"workload_type": "inference"}
PROVIDERS = [{"provider_id": "a"}, {"provider_id": "b"}]
UNIT = st.none() | st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("reading", "factor"),
    [
        pytest.param({}, 1.0, id="nothing known is neutral"),
        pytest.param({"density": 0.0}, 1.0, id="open"),
        pytest.param({"density": 1.0}, 0.1, id="dense"),
        pytest.param({"density": 0.5}, 0.55, id="half dense"),
        pytest.param({"density": 1.0, "coherence": 0.5}, 0.55, id="half trusted"),
        pytest.param({"density": 1.0, "entropy": 1.0}, 1.0, id="disordered"),
        pytest.param({"coherence": 1.0, "entropy": 0.0}, 1.0, id="no density is neutral"),
        pytest.param({"psi_density": 1.0}, 0.1, id="prefixed names"),
        pytest.param({"density": 7.0}, 0.1, id="above the bound is the bound"),
        pytest.param({"density": 10**400}, 0.1, id="however far above it is"),
        pytest.param({"density": -7.0}, 1.0, id="below the bound is the bound"),
        pytest.param({"density": math.nan}, 1.0, id="NaN is unknown"),
        pytest.param({"density": math.inf}, 1.0, id="infinite is unknown"),
        pytest.param({"density": "high"}, 1.0, id="a text is unknown"),
        pytest.param({"density": True}, 1.0, id="a truth value is unknown"),
        pytest.param(0.5, 0.55, id="a bare density"),
        pytest.param(None, 1.0, id="nothing at all"),
    ],
)
def test_the_factor_follows_the_formula(reading: Any, factor: float) -> None:
    assert exploration_factor(PsiMetrics.of(reading)) == pytest.approx(factor)


@given(UNIT, UNIT, UNIT, st.floats(0.0, 1.0))
def test_the_factor_is_bounded_and_density_never_raises_it(
    density: float | None, coherence: float | None, entropy: float | None, strength: float
) -> None:
    metrics = PsiMetrics(density, coherence, entropy)
    factor = exploration_factor(metrics, strength)
    assert 1.0 - strength - 1e-12 <= factor <= 1.0
    denser = PsiMetrics(1.0, coherence, entropy)
    assert exploration_factor(denser, strength) <= factor + 1e-12


def test_a_pushed_value_counts_until_it_is_stale() -> None:
    now = [0.0]
    field = PsiField(interval_seconds=10.0, monotonic=lambda: now[0])
    assert (field.connected, field.exploration(0.0)) == (False, 1.0)
    field.push({"density": 1.0})
    assert (field.connected, field.exploration(29.9)) == (True, pytest.approx(0.1))
    now[0] = 30.0
    assert (field.connected, field.exploration(30.0)) == (False, 1.0)
    assert field.metrics == PsiMetrics()


def test_a_failed_poll_keeps_the_last_reading_until_it_is_stale() -> None:
    now = [0.0]
    answers: list[Any] = [{"density": 1.0}, RuntimeError("down"), {"density": "?"}]

    def source() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    field = PsiField(source=source, interval_seconds=10.0, monotonic=lambda: now[0])
    assert field.poll() == PsiMetrics(1.0)
    assert field.poll() is None
    assert field.last_error == "RuntimeError: down"
    assert field.exploration(20.0) == pytest.approx(0.1)
    assert field.poll() is None
    assert field.last_error == "the answer has no usable density"
    assert field.exploration(31.0) == 1.0


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "localhost:80"])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(InputError, match="psi_field_url"):
        RoutingEngine(psi_field_url=url)


@pytest.mark.parametrize("settings", [{"strength": 1.1}, {"interval_seconds": 0.0}])
def test_settings_must_make_sense(settings: dict) -> None:
    with pytest.raises(InputError, match="psi"):
        PsiField(**settings)


class Endpoint:
    """A real HTTP endpoint on loopback whose answer can be changed."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"{}", 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                self.send_response(owner.status)
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/psi"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint()
    yield served
    served.close()


def until(condition: Any, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        threading.Event().wait(0.01)
    return False


async def test_fetch_reads_the_endpoint(endpoint: Endpoint) -> None:
    endpoint.body = json.dumps({"density": 0.5, "coherence": 0.8, "entropy": 0.1}).encode()
    async with RoutingEngine(psi_field_url=endpoint.url) as engine:
        assert await engine.fetch_psi_metrics() == {
            "density": 0.5, "coherence": 0.8, "entropy": 0.1,
        }  # fmt: skip
        assert engine.get_status()["psi_field_connected"] is True


def prometheus(kind: str, result: Any, **more: Any) -> bytes:
    """An answer of Prometheus' query API."""
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data} | more).encode()


def series(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [1.8e9, value]}


@pytest.mark.parametrize(
    ("body", "reading"),
    [
        pytest.param(prometheus("scalar", [1.8e9, "0.7"]), (0.7, None, None), id="a scalar"),
        pytest.param(
            prometheus("vector", [series("0.7", job="x")]), (0.7, None, None), id="one series"
        ),
        pytest.param(
            prometheus(
                "vector",
                [
                    series("0.5", __name__="psi_density"),
                    series("0.8", __name__="psi_coherence"),
                    series("0.1", __name__="entropy"),
                ],
            ),
            (0.5, 0.8, 0.1),
            id="three series by name",
        ),
    ],
)
async def test_the_endpoint_may_be_a_query_of_prometheus(
    endpoint: Endpoint, body: bytes, reading: tuple[float | None, ...]
) -> None:
    endpoint.body = body
    async with RoutingEngine(psi_field_url=f"{endpoint.url}?query=avg(busy)") as engine:
        found = await engine.fetch_psi_metrics()
    assert found == dict(zip(("density", "coherence", "entropy"), reading, strict=True))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(200, prometheus("vector", []), "no usable density", id="no series"),
        pytest.param(
            200, prometheus("vector", [series("NaN")]), "no usable density", id="a series of NaN"
        ),
        pytest.param(
            200,
            prometheus("vector", [series("0.1", job="a"), series("0.9", job="b")]),
            "aggregate it to one",
            id="series that cannot be told apart",
        ),
        pytest.param(
            200,
            prometheus("vector", [series("0.1", __name__="psi_density", job=j) for j in "ab"]),
            "aggregate it to one",
            id="two densities",
        ),
        pytest.param(200, prometheus("matrix", []), "ask for an instant vector", id="a range"),
        pytest.param(
            200,
            prometheus("vector", [series("0.1")], warnings=["a store did not answer"]),
            "in part: a store did not answer",
            id="a part of the answer",
        ),
        pytest.param(500, b"{}", "HTTP Error 500", id="server error"),
        pytest.param(200, b"<html>", "JSONDecodeError", id="no JSON"),
        pytest.param(200, b"[1]", "no usable density", id="a list"),
        pytest.param(200, b" " * 70_000, "more than 65536 bytes", id="far too much"),
        pytest.param(200, b"NaN", "no usable density", id="NaN"),
    ],
)
async def test_a_bad_answer_is_no_answer(
    endpoint: Endpoint, status: int, body: bytes, said: str
) -> None:
    endpoint.status, endpoint.body = status, body
    async with RoutingEngine(psi_field_url=endpoint.url) as engine:
        assert await engine.fetch_psi_metrics() is None
        told = engine.get_status()
        assert told["psi_field_connected"] is False
        assert said in told["psi_field_error"]


async def test_an_engine_without_a_psi_field_fetches_nothing() -> None:
    assert await RoutingEngine().fetch_psi_metrics() is None


def test_the_endpoint_is_polled_in_the_background_and_damps_decisions(endpoint: Endpoint) -> None:
    endpoint.body = b'{"density": 1.0}'
    settings = EngineSettings(
        seed=1, psi_interval_seconds=0.05, min_percent=0.0,
        strategy_options={"epsilon": 0.8, "epsilon_decay": 1.0},
    )  # fmt: skip
    with RoutingEngine(psi_field_url=endpoint.url, settings=settings) as engine:
        assert until(lambda: engine.psi_field.connected and endpoint.asked >= 2)
        engine.strategist.update_q_value(("inference", "", ""), "a", 10.0)
        engine.decide(CONTEXT, PROVIDERS)
        # epsilon 0.8 * 0.1 over two arms
        assert engine.decisions()[-1].propensities == pytest.approx({"a": 0.96, "b": 0.04})
        endpoint.status = 503
        assert until(lambda: not engine.psi_field.connected)
        engine.decide(CONTEXT, PROVIDERS)
        assert engine.decisions()[-1].propensities == pytest.approx({"a": 0.6, "b": 0.4})


def test_a_reading_can_come_with_one_decision() -> None:
    engine = RoutingEngine(settings=EngineSettings(seed=1, min_percent=0.0,
                           strategy_options={"epsilon": 0.8, "epsilon_decay": 1.0}))  # fmt: skip
    engine.strategist.update_q_value(("inference", "", ""), "a", 10.0)
    engine.decide(CONTEXT, PROVIDERS, psi_metrics={"density": 1.0})
    assert engine.decisions()[-1].propensities["b"] == pytest.approx(0.04)
    engine.decide(CONTEXT, PROVIDERS)
    assert engine.decisions()[-1].propensities["b"] == pytest.approx(0.4)


def test_close_ends_the_background_thread(endpoint: Endpoint) -> None:
    engine = RoutingEngine(psi_field_url=endpoint.url)
    assert until(lambda: endpoint.asked)
    engine.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("aurora-psi")]
