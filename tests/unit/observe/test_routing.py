"""A RoutingPolicy as it is seen: references, places in the rule, rivals, and what callers see."""

from typing import Any

import pytest

from aurora.kube import kinds
from aurora.observe.backend_metrics import with_backend_readings, with_backends_wanted
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.observer import Observer
from aurora.observe.routing import with_policies
from aurora.observe.sample import Gap, Missing, Reading, Sample, Signal
from aurora.observe.snapshot import ModelObservation, SourceFacts
from aurora.observe.subjects import is_policy, kind_of, name_of, policy_key
from aurora.observe.view import MetricsView, Wanted, WorkloadReadings
from aurora.resources.vocabulary import SubjectKind
from tests.support import objects

AT = 1_800_000_000.0
KEY = policy_key("models", "chat")
BACKENDS = [
    {"name": "a", "serviceRef": {"name": "a", "port": 80}},
    {"name": "b", "serviceRef": {"name": "b", "port": 80}},
]


def policy(name: str = "chat", **spec: Any) -> dict[str, Any]:
    body = {"routeRef": {"name": "chat"}, "backends": BACKENDS} | spec
    made = objects.obj(name, apiVersion="aurora.dev/v1alpha1", kind="RoutingPolicy")
    return made | {"spec": body}


def refs(*over: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"group": "", "kind": "Service", "port": 80, "weight": 1} | one for one in over]


def service(name: str, *ports: int) -> dict[str, Any]:
    listed = [{"port": port} for port in ports or (80,)]
    return objects.obj(name, spec={"selector": {"app": name}, "ports": listed})


def seen(
    *more: tuple[kinds.Kind, dict[str, Any]],
    rule: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> dict[ObjectKey, ModelObservation]:
    fleet = Fleet(control_namespace="aurora-system", monotonic=lambda: 0.0)
    listed = refs({"name": "a", "weight": 90}, {"name": "b", "weight": 10})
    given = [
        (kinds.ROUTING_POLICY, policy(**spec)),
        (kinds.HTTP_ROUTE, objects.route("chat", listed if rule is None else rule)),
        *((kinds.SERVICE, service(name)) for name in "ab"),
        *((kinds.ENDPOINT_SLICE, objects.endpoints(n, ready=2, service=n)) for n in "ab"),
        *((kinds.POD, objects.pod(f"{n}-abc-12345", workload=n)) for n in "ab"),
        *more,
    ]
    for kind, one in given:
        fleet.apply_event(kind, "ADDED", one)
    from aurora.observe.cluster import observations
    from aurora.observe.served import PodIndex

    pods = PodIndex(fleet.pods.values(), frozenset({"models"}))
    return dict(with_policies(fleet, observations(fleet, at=AT), pods.behind, at=AT))


def unresolved(**given: Any) -> str:
    routing = seen(**given)[KEY].routing
    assert routing is not None
    return "" if routing.unresolved is None else routing.unresolved.message


def test_backends_have_their_place_weight_endpoints_and_workload() -> None:
    routing = seen()[KEY].routing
    assert routing is not None
    assert routing.unresolved is None
    assert [(one.place, one.weight, one.ready) for one in routing.backends] == [
        (0, 90, 2),
        (1, 10, 2),
    ]
    assert [one.workload for one in routing.backends] == [("models", "a"), ("models", "b")]
    assert routing.shares == {"a": 90.0, "b": 10.0}


def test_the_order_of_the_rule_is_not_that_of_the_policy() -> None:
    routing = seen(rule=refs({"name": "b", "weight": 1}, {"name": "a", "weight": 3}))[KEY].routing
    assert routing is not None
    assert [one.place for one in routing.backends] == [1, 0]
    assert routing.shares == {"a": 75.0, "b": 25.0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"rule": refs({"name": "a"})}, "does not list Service b:80", id="one missing"),
        pytest.param(
            {"rule": refs({"name": "a"}, {"name": "b"}, {"name": "c"})},
            "also lists Service c:80",
            id="one more",
        ),
        pytest.param(
            {"rule": refs({"name": "a"}, {"name": "b", "port": 81})},
            "does not list Service b:80",
            id="another port",
        ),
        pytest.param(
            {"rule": refs({"name": "a"}, {"name": "b", "namespace": "others"})},
            "does not list Service b:80",
            id="another namespace",
        ),
        pytest.param(
            {"rule": refs({"name": "a"}, {"name": "b"}, {"name": "b"})},
            "does not list Service b:80 exactly once",
            id="the same twice",
        ),
        pytest.param(
            {"rule": refs({"name": "a"}, {"name": "b", "kind": "InferencePool", "group": "x"})},
            "does not list Service b:80",
            id="a pool of the same name",
        ),
        pytest.param(
            {"routeRef": {"name": "none"}}, "HTTPRoute none does not exist", id="no route"
        ),
        pytest.param({"routeRef": {"name": "chat", "rule": 3}}, "has no rule 3", id="no such rule"),
        pytest.param(
            {
                "backends": [
                    BACKENDS[0],
                    {"name": "b", "serviceRef": {"name": "gone", "port": 80}},
                ]
            },
            "Backend b: Service gone does not exist.",
            id="no such Service",
        ),
        pytest.param(
            {"backends": [BACKENDS[0], {"name": "b", "serviceRef": {"name": "b", "port": 8080}}]},
            "Service b has no port 8080",
            id="no such port",
        ),
        pytest.param(
            {"backends": [BACKENDS[0], {"name": "b", "modelRef": {"name": "gone"}}]},
            "ModelDeployment gone does not exist",
            id="no such model",
        ),
    ],
)
def test_what_cannot_be_resolved_is_said(given: dict[str, Any], says: str) -> None:
    assert says in unresolved(**given)


def test_a_model_behind_the_same_service_lends_its_preset_and_is_a_neighbour() -> None:
    model = objects.model("a", target="a", spec={"serviceRef": {"name": "a"}, "engine": "tgi"})
    found = seen((kinds.DEPLOYMENT, objects.deployment("a")), (kinds.MODEL_DEPLOYMENT, model))
    routing = found[KEY].routing
    assert routing is not None
    assert routing.backends[0].engine == "tgi"
    assert found[KEY].neighbours == (ObjectKey("models", "a"),)
    assert found[ObjectKey("models", "a")].neighbours == (KEY,)


def test_a_pools_pods_are_its_endpoints() -> None:
    model = objects.model("a", target="a", spec={"serviceRef": {"name": "other"}})
    pool = {"name": "a", "inferencePoolRef": {"name": "pool"}, "modelRef": {"name": "a"}}
    listed = refs(
        {"name": "pool", "kind": "InferencePool", "group": "inference.networking.k8s.io"},
        {"name": "b"},
    )
    del listed[0]["port"]
    found = seen(
        (kinds.DEPLOYMENT, objects.deployment("a")),
        (kinds.MODEL_DEPLOYMENT, model),
        rule=listed,
        backends=[pool, BACKENDS[1]],
    )
    routing = found[KEY].routing
    assert routing is not None
    assert routing.unresolved is None
    assert routing.backends[0].ready == 1
    assert routing.backends[0].workload == ("models", "a")


def test_the_older_policy_and_a_models_fallback_go_first() -> None:
    younger = policy("younger")
    younger["metadata"]["creationTimestamp"] = "2026-11-22T09:00:00Z"
    found = seen((kinds.ROUTING_POLICY, younger))
    assert found[KEY].rivals == ()
    assert found[policy_key("models", "younger")].rivals != ()
    fallback = {"serviceRef": {"name": "b"}, "httpRouteRef": {"name": "chat"}}
    model = objects.model("a", target="a", spec={"serviceRef": {"name": "a"}, "fallback": fallback})
    routing = seen((kinds.MODEL_DEPLOYMENT, model))[KEY].routing
    assert routing is not None
    assert routing.rival == "ModelDeployment a"


def test_a_policy_and_a_model_of_one_name_are_two_subjects() -> None:
    model = objects.model("chat", target="a", spec={"serviceRef": {"name": "a"}})
    found = seen((kinds.MODEL_DEPLOYMENT, model))
    assert {ObjectKey("models", "chat"), KEY} <= found.keys()
    assert found[KEY].key == KEY
    assert (is_policy(KEY), name_of(KEY), kind_of(KEY)) == (
        True,
        "chat",
        SubjectKind.ROUTING_POLICY,
    )


def read(**workloads: dict[Signal, Reading]) -> MetricsView:
    found = {("models", name): WorkloadReadings(s, {}) for name, s in workloads.items()}
    return MetricsView(AT, found, SourceFacts(7))


def sample(value: float, samples: float | None = 100.0) -> Sample:
    return Sample(value, AT, 60.0, samples)


def test_callers_of_the_rule_see_the_mean_by_requests() -> None:
    one = with_backend_readings(
        seen()[KEY],
        read(
            a={
                Signal.REQUEST_RATE: sample(9.0),
                Signal.SERVER_ERROR_RATIO: sample(0.0, 900.0),
                Signal.LATENCY_P95: sample(1.0, 900.0),
            },
            b={
                Signal.REQUEST_RATE: sample(1.0),
                Signal.SERVER_ERROR_RATIO: sample(0.5, 100.0),
                Signal.LATENCY_P95: sample(3.0, 100.0),
            },
        ),
    )
    values = {s: r.value for s, r in one.signals.items() if isinstance(r, Sample)}
    assert values[Signal.REQUEST_RATE] == 10.0
    assert values[Signal.SERVER_ERROR_RATIO] == pytest.approx(0.05)
    assert values[Signal.LATENCY_P95] == pytest.approx(1.2)


def test_what_one_backend_does_not_tell_is_missing_and_not_0() -> None:
    quiet = {Signal.REQUEST_RATE: sample(9.0), Signal.SERVER_ERROR_RATIO: sample(0.0)}
    gone: dict[Signal, Reading] = {
        s: Missing(Gap.STALE) for s in (Signal.REQUEST_RATE, Signal.SERVER_ERROR_RATIO)
    }
    one = with_backend_readings(seen()[KEY], read(a=dict(quiet), b=gone))
    errors = one.signals[Signal.SERVER_ERROR_RATIO]
    assert isinstance(errors, Sample)
    assert errors.partial, "it is not what all callers see"
    both = with_backend_readings(seen()[KEY], read(a=gone, b=gone))
    assert both.signals[Signal.SERVER_ERROR_RATIO] == Missing(Gap.STALE)


def test_a_backend_without_weight_is_no_part_of_what_callers_see() -> None:
    rule = refs({"name": "a", "weight": 100}, {"name": "b", "weight": 0})
    bad = {Signal.REQUEST_RATE: sample(1.0), Signal.SERVER_ERROR_RATIO: sample(1.0)}
    good = {Signal.REQUEST_RATE: sample(9.0), Signal.SERVER_ERROR_RATIO: sample(0.0)}
    one = with_backend_readings(seen(rule=rule)[KEY], read(a=dict(good), b=dict(bad)))
    assert one.signals[Signal.SERVER_ERROR_RATIO] == sample(0.0)


def test_backends_join_the_queries_that_are_asked_anyway() -> None:
    known = {("models", "a"): Wanted("tgi", frozenset({Signal.TTFT_P95}))}
    asked = with_backends_wanted(known, seen())
    assert asked[("models", "a")] == known[("models", "a")], "a model's own wish goes first"
    assert asked[("models", "b")].engine == "vllm"
    assert asked[("models", "b")].min_samples == 100


async def test_the_observer_gives_policies_beside_models() -> None:
    fleet = Fleet(control_namespace="aurora-system", monotonic=lambda: 0.0)
    fleet.apply_event(kinds.ROUTING_POLICY, "ADDED", policy())

    class Nothing:
        async def read(self, at: float, wanted: Any) -> MetricsView:
            found = {key: WorkloadReadings({}, {}) for key in wanted}
            return MetricsView(at, found, SourceFacts(0))

        async def probe(self, observation: ModelObservation) -> Any:
            raise AssertionError(observation)

    observer = Observer(fleet, Nothing(), Nothing(), wall=lambda: AT, monotonic=lambda: 1.0)
    snapshot = await observer.observe(frozenset())
    assert list(snapshot.models) == [KEY]
