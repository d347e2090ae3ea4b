"""What the observer asks of the metrics of both sides of a fallback, and what it remembers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from aurora.kube.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, POD, SERVICE
from aurora.observe.answers import QueryAnswer, QueryFailure, Unread
from aurora.observe.facts import ObjectKey, ProbeFacts
from aurora.observe.fleet import Fleet
from aurora.observe.observer import Observer
from aurora.observe.queries import MAX_PRESET_QUERIES, MetricsSettings
from aurora.observe.reader import MetricsReader
from aurora.observe.snapshot import ModelObservation
from tests.support import objects

KEY = ObjectKey("models", "m")
FALLBACK = {"fallback": {"serviceRef": {"name": "spare"}}}
OWN, SPARE = {"llama"}, {"small"}


class Source:
    """Answers the names of workloads, and nothing else; remembers what it was asked."""

    def __init__(self, **served: set[str]) -> None:
        self.served = {name.replace("_", "-"): names for name, names in served.items()}
        self.asked: Mapping[str, str] = {}
        self.down = False

    async def fetch(self, queries: Mapping[str, str]) -> dict[str, Unread]:
        self.asked = queries
        return {name: partial(self._answer, name) for name in queries}

    def _answer(self, query: str) -> QueryAnswer | QueryFailure:
        if self.down:
            return QueryFailure("down")
        rows = [
            {
                "metric": {
                    "namespace": "models",
                    "workload": workload,
                    "signal": "vllm:name",
                    "model_name": name,
                },
                "value": [1000.0, "1"],
            }
            for workload, names in self.served.items()
            for name in names
        ]
        return QueryAnswer(rows if query == "names" else [])


class Probe:
    async def probe(self, observation: ModelObservation) -> ProbeFacts:
        return ProbeFacts(0)


class Bench:
    """A model with a target and a spare, seen by a real observer and reader."""

    def __init__(self, source: Source, **spec: Any) -> None:
        self.source = source
        self.fleet = Fleet(control_namespace="aurora-system")
        self.apply(**spec)
        self.fleet.apply_event(DEPLOYMENT, None, objects.deployment())
        self.fleet.apply_event(POD, None, objects.pod("llama-6b4f8c9d75-x2vwz"))
        for name in ("llama", "spare"):
            service = objects.obj(name, spec={"selector": {"app": name}})
            self.fleet.apply_event(SERVICE, None, service)
        pod = objects.pod("spare-small-6b4f8c9d75-x2vwz", workload="spare-small")
        pod["metadata"]["labels"]["app"] = "spare"
        self.fleet.apply_event(POD, None, pod)
        reader = MetricsReader(source, MetricsSettings())
        self.observer = Observer(
            self.fleet, reader, Probe(), wall=lambda: 1000.0, monotonic=lambda: 1.0
        )

    def apply(self, version: int = 1, uid: str = "uid-m", **spec: Any) -> None:
        metadata = {"resourceVersion": str(version), "uid": uid}
        model = objects.model("m", metadata=metadata, spec=spec)
        self.fleet.apply_event(MODEL_DEPLOYMENT, None, model)

    async def names(self, *, in_fallback: bool = False) -> tuple[set[str], set[str]]:
        seen = await self.observer.observe(frozenset({KEY} if in_fallback else ()))
        one = seen.models[KEY]
        return set(one.model_names), set(one.fallback_model_names)


async def test_both_sides_of_a_fallback_have_their_names() -> None:
    bench = Bench(Source(llama={"llama", "alias"}, spare_small=SPARE), **FALLBACK)
    assert await bench.names() == ({"llama", "alias"}, SPARE)
    assert "spare-small-" in bench.source.asked["names"]
    assert len(bench.source.asked) <= MAX_PRESET_QUERIES


async def test_while_traffic_is_at_the_fallback_each_side_keeps_its_own_names() -> None:
    bench = Bench(Source(llama=OWN, spare_small=SPARE), **FALLBACK)
    assert await bench.names(in_fallback=True) == (OWN, SPARE)


async def test_without_a_fallback_nobody_asks_for_names() -> None:
    bench = Bench(Source(llama=OWN))
    assert await bench.names() == (set(), set())
    assert "names" not in bench.source.asked


async def test_own_names_outlast_a_primary_that_exports_nothing_and_follow_it_back() -> None:
    bench = Bench(Source(llama=OWN, spare_small=SPARE), **FALLBACK)
    await bench.names()
    bench.source.served.pop("llama")
    assert await bench.names() == (OWN, SPARE)
    assert await bench.names() == (OWN, SPARE)
    bench.source.served["llama"] = {"llama-2"}
    assert await bench.names() == ({"llama-2"}, SPARE)


async def test_names_that_were_never_read_and_those_of_a_silent_fallback_are_unknown() -> None:
    bench = Bench(Source(spare_small=SPARE), **FALLBACK)
    assert await bench.names() == (set(), SPARE)
    bench.source.down = True
    assert await bench.names() == (set(), set())


async def test_an_object_of_the_same_name_or_another_target_starts_without_names() -> None:
    bench = Bench(Source(llama=OWN, spare_small=SPARE), **FALLBACK)
    await bench.names()
    bench.source.down = True
    bench.apply(version=2, **FALLBACK, targetRef={"name": "other"})
    assert await bench.names() == (set(), set())
    bench.apply(version=3, **FALLBACK)
    assert await bench.names() == (set(), set()), "what is no longer wanted is forgotten"
    bench.source.down = False
    assert await bench.names() == (OWN, SPARE)
    bench.source.down = True
    removed = objects.model("m", metadata={"resourceVersion": "4", "uid": "uid-m"})
    bench.fleet.apply_event(MODEL_DEPLOYMENT, "DELETED", removed)
    bench.apply(version=5, uid="uid-new", **FALLBACK)
    assert await bench.names() == (set(), set())


async def test_a_service_of_the_fallback_without_pods_or_selector_has_no_names() -> None:
    bench = Bench(Source(llama=OWN, spare_small=SPARE), **FALLBACK)
    for version, selector in (("2", {"app": "nobody"}), ("3", {})):
        metadata = {"resourceVersion": version}
        service = objects.obj("spare", metadata=metadata, spec={"selector": selector})
        bench.fleet.apply_event(SERVICE, None, service)
        assert await bench.names() == (OWN, set())
        assert await bench.names(in_fallback=True) == (OWN, set())
