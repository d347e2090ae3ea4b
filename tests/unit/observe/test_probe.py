"""Probes: every pod of the primary, at the port that it had before traffic went away."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from aurora.errors import ConfigurationError
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.plan import status_changes
from aurora.observe.facts import ServicePort
from aurora.observe.probe import HttpProber
from aurora.observe.projections import workload
from aurora.observe.snapshot import ModelObservation
from aurora.resources.names import ORIGINAL_ANNOTATION
from tests.support.builders import NAMESPACE, model, observation, pod, service, target
from tests.support.objects import deployment

FALLBACK = {"serviceRef": {"name": "spare"}, "probe": {"path": "/health", "count": 4}}
SERVICE = ObjectRef("v1", "Service", NAMESPACE, "llama", "uid-service-llama")


def kept(before: Any, after: Any = 9000) -> dict[str, str]:
    """What AURORA keeps of a Service whose targetPort it switched."""
    original = Change(SERVICE, "/spec/ports/0/targetPort", after, before)
    return {ORIGINAL_ANNOTATION: json.dumps(status_changes([original]))}


def seen(
    *, port: str = "http", annotations: dict[str, str] | None = None, **over: Any
) -> ModelObservation:
    fields: dict[str, Any] = {
        "model": model(fallback=FALLBACK, annotations=annotations),
        "service": service(ports=(ServicePort("http", 80, port),)),
        "pods": (pod(0, ip="10.0.0.1"), pod(1, ip="10.0.0.2")),
    }
    return observation(**(fields | over))


@pytest.fixture
async def asked() -> AsyncIterator[Any]:
    """A server that all probes go to, through the template; it notes what was asked for."""
    got: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        got.append(request.path)
        return web.Response(status=503 if "llama-7c9d8f6b5d-00001/bad" in request.path else 200)

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        yield got, session, url
    await runner.cleanup()


@pytest.mark.parametrize(
    ("one", "port"),
    [
        pytest.param(seen(port="8000"), "8000", id="by number"),
        pytest.param(seen(port="http", target=target(ports={"http": 8000})), "8000", id="by name"),
        pytest.param(seen(port="http"), "80", id="by a name that no container has"),
        pytest.param(
            seen(port="9000", annotations=kept(8000)), "8000", id="switched: as it was found"
        ),
        pytest.param(
            seen(port="9000", annotations=kept("http"), target=target(ports={"http": 8001})),
            "8001",
            id="switched: the name that was found",
        ),
        pytest.param(
            seen(port="9000", annotations={ORIGINAL_ANNOTATION: "[[["}), "9000", id="hostile"
        ),
        pytest.param(seen(service=None), "80", id="no Service"),
    ],
)
async def test_the_port_is_the_pods_own(asked: Any, one: ModelObservation, port: str) -> None:
    got, session, url = asked
    await HttpProber(session, f"{url}/{{ip}}/{{port}}{{path}}").probe(one)
    assert sorted(got) == [f"/10.0.0.1/{port}/health", f"/10.0.0.2/{port}/health"]


async def test_answers_in_a_row_are_counted_and_one_failure_clears_them(asked: Any) -> None:
    _, session, url = asked
    prober = HttpProber(session, f"{url}/{{pod}}{{path}}")
    assert [(await prober.probe(seen())).successes for _ in range(3)] == [2, 4, 6]
    bad = seen(model=model(fallback=FALLBACK | {"probe": {"path": "/bad"}}))
    found = await prober.probe(bad)
    assert (found.successes, found.failure) == (0, "llama-7c9d8f6b5d-00001 answered 503")
    assert (await prober.probe(seen())).successes == 2


async def test_pods_that_are_not_ready_are_not_asked(asked: Any) -> None:
    got, session, url = asked
    prober = HttpProber(session, f"{url}/{{pod}}{{path}}")
    none = seen(pods=(pod(0, ready=False), pod(1, deleting=True)))
    assert (await prober.probe(none)).failure == "no pod is ready"
    assert got == []


async def test_a_pod_that_does_not_answer_is_a_failure_and_no_fault() -> None:
    async with aiohttp.ClientSession() as session:
        found = await HttpProber(session, "http://127.0.0.1:9{path}").probe(seen())
    assert found.successes == 0
    assert "did not answer" in found.failure


async def test_a_template_with_another_name_is_refused() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="AURORA_PROBE_URL may hold only"):
            HttpProber(session, "http://{host}/")


def test_named_ports_are_read_off_the_template() -> None:
    ports = [{"name": "http", "containerPort": 8000}, {"containerPort": 1}, "odd", {"name": "x"}]
    obj = deployment(spec={"template": {"spec": {"containers": [{"ports": ports}]}}})
    found = workload(obj, kind="Deployment")
    assert found is not None
    assert found.ports == {"http": 8000}
