"""What is kept and told of an action, on objects as they are known and as they are."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from aurora.errors import ConflictError, NotFoundError
from aurora.executor import keepsakes
from aurora.executor.cache import CacheActuator, CacheImages
from aurora.executor.changes import Change, ObjectRef
from aurora.executor.effects import Effects, Result, Tag
from aurora.executor.keepsakes import Keepsakes
from aurora.executor.plan import Plan
from aurora.executor.projections import stored_annotation
from aurora.kube.control import ControlSwitch
from aurora.kube.events import EventRecorder
from aurora.kube.kinds import CONFIG_MAP, DEPLOYMENT, EVENT, HPA, MODEL_DEPLOYMENT, Kind, Ref
from aurora.kube.writer import Writer
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.projections import LAST_APPLIED
from aurora.resources import DecisionObject
from aurora.resources.names import FINALIZER, LAST_DECISION_ANNOTATION, ORIGINAL_ANNOTATION
from tests.support.builders import NAMESPACE, NOW, SPEC
from tests.support.decision_objects import decision_object
from tests.support.fakecluster import FakeCluster

KEY = ObjectKey(NAMESPACE, "llama")
MODEL, SCALER = Ref(MODEL_DEPLOYMENT, *KEY), Ref(HPA, *KEY)


class Fence:
    def remaining_s(self) -> float:
        return 30.0


class Nobody:
    async def notify(self, found: DecisionObject) -> None:
        """Tell no one."""


class Counting(FakeCluster):
    """Counts what is read, the kill switch aside."""

    reads = 0

    async def get(self, ref: Ref, subresource: str = "", **more: Any) -> dict[str, Any] | None:
        self.reads += ref.kind != CONFIG_MAP
        return await super().get(ref, subresource, **more)


@dataclass
class Rig:
    """A cluster, and a fleet that knows what it was told."""

    cluster: Counting = field(default_factory=lambda: Counting(wall=lambda: NOW))
    fleet: Fleet = field(default_factory=lambda: Fleet(control_namespace="aurora-system"))

    def __post_init__(self) -> None:
        switch = {"name": "aurora-control", "namespace": "aurora-system"}
        self.cluster.put(CONFIG_MAP, {"metadata": switch, "data": {"stop": "false"}})
        self.cluster.listeners.append(self.fleet.apply_event)
        self.put(MODEL_DEPLOYMENT, "aurora.dev/v1alpha1", SPEC)
        self.put(HPA, HPA.api_version, {"minReplicas": 1})
        client: Any = self.cluster
        self.writer = Writer(
            client, fence=Fence(), switch=ControlSwitch(client, namespace="aurora-system")
        )
        self.keepsakes = Keepsakes(
            client,
            self.writer,
            EventRecorder(client, fence=Fence(), instance="test"),
            Nobody(),
            seen=lambda kind, body: self.fleet.apply_event(kind, "MODIFIED", body),
            renewed=self.fleet.written_metadata,
            known=self.fleet.subject,
        )
        images = CacheImages("nginx", None)
        cache = CacheActuator(client, self.writer, images)
        self.effects = Effects(client, self.writer, cache, known=self.fleet.autoscaler)

    def put(self, kind: Kind, version: str, spec: Any) -> None:
        metadata = {"name": KEY.name, "namespace": KEY.namespace}
        body = {"apiVersion": version, "kind": kind.kind, "metadata": metadata, "spec": spec}
        self.cluster.put(kind, body)

    def unseen(self, ref: Ref = MODEL, /, *, floor: int | None = None, **metadata: Any) -> None:
        """Somebody writes to an object, and no watch has told of it."""
        listeners, self.cluster.listeners[:] = list(self.cluster.listeners), []
        body = self.cluster.peek(ref)
        spec = body["spec"] if floor is None else body["spec"] | {"minReplicas": floor}
        written = body | {"metadata": body["metadata"] | metadata, "spec": spec}
        self.cluster.put(ref.kind, written)
        self.cluster.listeners[:] = listeners

    @property
    def floor(self) -> Change:
        uid = self.cluster.peek(SCALER)["metadata"]["uid"]
        return Change(ObjectRef(HPA.api_version, HPA.kind, *KEY, uid), "/spec/minReplicas", 1, 3)

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(self.cluster.peek(MODEL)["metadata"])


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_old_values_are_kept_on_what_is_known_without_reading_it(rig: Rig) -> None:
    await rig.keepsakes.keep_originals(KEY, [rig.floor])
    assert rig.cluster.reads == 0
    assert rig.metadata["finalizers"] == [FINALIZER]
    assert ORIGINAL_ANNOTATION in rig.metadata["annotations"]


async def test_the_last_decision_is_told_along_with_old_values_and_not_again(rig: Rig) -> None:
    found = decision_object("d1")
    text = stored_annotation(found)
    await rig.keepsakes.keep_originals(KEY, [rig.floor], text=text)
    assert rig.metadata["annotations"][LAST_DECISION_ANNOTATION] == text
    before = len(rig.cluster.writes)
    rig.keepsakes.annotate_model(found)
    await rig.keepsakes.catch_up()
    assert len(rig.cluster.writes) == before
    await rig.keepsakes.keep_originals(KEY, [rig.floor], text="another")
    assert len(rig.cluster.writes) == before, "all of it is remembered: what is told can wait"


async def test_what_was_written_since_is_neither_lost_nor_in_the_way(rig: Rig) -> None:
    rig.unseen(finalizers=["someone/else"], annotations={"team": "a"})
    await rig.keepsakes.keep_originals(KEY, [rig.floor])
    assert rig.cluster.reads == 1
    assert rig.metadata["finalizers"] == ["someone/else", FINALIZER]
    assert rig.metadata["annotations"].keys() == {"team", ORIGINAL_ANNOTATION}


async def test_that_nothing_has_to_be_kept_is_only_believed_of_the_object_itself(rig: Rig) -> None:
    await rig.keepsakes.keep_originals(KEY, [rig.floor])
    rig.unseen(finalizers=[], annotations={})
    await rig.keepsakes.keep_originals(KEY, [rig.floor])
    assert rig.metadata["finalizers"] == [FINALIZER]
    assert ORIGINAL_ANNOTATION in rig.metadata["annotations"]


async def test_nothing_is_kept_on_a_namesake_or_on_what_is_gone(rig: Rig) -> None:
    rig.unseen(uid="another")
    await rig.keepsakes.keep_originals(KEY, [rig.floor])
    assert rig.cluster.reads == 1, "the namesake was read before it was written"
    rig.cluster.listeners.clear()
    rig.cluster.remove(MODEL)
    with pytest.raises(NotFoundError):
        await rig.keepsakes.keep_originals(KEY, [rig.floor])


async def test_a_conflict_that_does_not_end_is_told(rig: Rig) -> None:
    def deny(verb: str, ref: Ref) -> None:
        if ref == MODEL:
            raise ConflictError("written meanwhile")

    rig.cluster.deny = deny
    with pytest.raises(ConflictError):
        await rig.keepsakes.keep_originals(KEY, [rig.floor])
    assert not rig.cluster.writes


async def test_the_write_that_acts_tells_of_the_decision_and_it_is_not_told_twice(rig: Rig) -> None:
    tag, change = Tag('{"phase":"Verifying"}'), rig.floor
    assert await rig.effects.bring_about(Plan((change,)), tag) is Result.DONE
    found = rig.cluster.peek(SCALER)
    assert found["spec"]["minReplicas"] == 3
    assert found["metadata"]["annotations"][LAST_DECISION_ANNOTATION] == tag.text
    assert tag.on == {change.ref}
    before = len(rig.cluster.writes)
    rig.keepsakes.annotate(decision_object("d1"), [change], told=tag.on)
    await rig.keepsakes.catch_up()
    names = [name for _, name, _ in rig.cluster.writes[before:]]
    assert names == ["ModelDeployment/llama"]


async def test_a_floor_that_stands_as_it_is_known_is_written_without_reading_it(rig: Rig) -> None:
    assert await rig.effects.bring_about(Plan((rig.floor,)), Tag("{}")) is Result.DONE
    assert rig.cluster.reads == 0
    assert len(rig.cluster.writes) == 1


@pytest.mark.parametrize(
    ("since", "result", "floor", "writes"),
    [
        pytest.param({"labels": {"a": "b"}}, Result.DONE, 3, 1, id="another field: it is read"),
        pytest.param({"floor": 2}, Result.FOREIGN, 2, 0, id="another floor: it stays"),
        pytest.param({"floor": 3}, Result.DONE, 3, 0, id="our own write, whose answer was lost"),
        pytest.param({"uid": "another"}, Result.GONE, 1, 0, id="it was made anew"),
    ],
)
async def test_what_was_written_to_a_floor_and_not_seen_yet_is_read(
    rig: Rig, since: dict[str, Any], result: Result, floor: int, writes: int
) -> None:
    change, before = rig.floor, len(rig.cluster.writes)
    rig.unseen(SCALER, **since)
    assert await rig.effects.bring_about(Plan((change,)), Tag("{}")) is result
    assert rig.cluster.reads == 1
    assert rig.cluster.peek(SCALER)["spec"]["minReplicas"] == floor
    assert len(rig.cluster.writes) == before + writes


async def test_an_autoscaler_that_the_fleet_has_not_seen_yet_is_read(rig: Rig) -> None:
    """Announced by a process that knew more."""
    rig.unseen(SCALER, uid="another")
    assert await rig.effects.bring_about(Plan((rig.floor,)), Tag("{}")) is Result.DONE
    assert rig.cluster.reads == 1


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param({"team": "a"}, id="somebody's"),
        pytest.param({LAST_APPLIED: "{}"}, id="only kubectl's, which the fleet does not keep"),
        pytest.param({}, id="none at all, written out"),
    ],
)
async def test_other_annotations_of_a_floor_stay(rig: Rig, kept: dict[str, str]) -> None:
    body = rig.cluster.peek(SCALER)
    rig.cluster.put(HPA, body | {"metadata": body["metadata"] | {"annotations": kept}})
    assert await rig.effects.bring_about(Plan((rig.floor,)), Tag("{}")) is Result.DONE
    assert rig.cluster.reads == 0
    told = {LAST_DECISION_ANNOTATION: "{}"}
    assert rig.cluster.peek(SCALER)["metadata"]["annotations"] == kept | told


async def test_what_is_done_already_is_told_by_a_write_of_its_own(rig: Rig) -> None:
    await rig.effects.bring_about(Plan((rig.floor,)))
    tag, change = Tag("{}"), rig.floor
    assert await rig.effects.bring_about(Plan((change,)), tag) is Result.DONE
    assert tag.on == set()
    rig.keepsakes.annotate(decision_object("d1"), [change], told=tag.on)
    await rig.keepsakes.catch_up()
    assert LAST_DECISION_ANNOTATION in rig.cluster.peek(SCALER)["metadata"]["annotations"]


async def test_a_subresource_carries_no_annotation(rig: Rig) -> None:
    rig.put(DEPLOYMENT, "apps/v1", {"replicas": 2})
    uid = rig.cluster.peek(Ref(DEPLOYMENT, *KEY))["metadata"]["uid"]
    ref = ObjectRef("apps/v1", "Deployment", *KEY, uid)
    tag = Tag("{}")
    plan = Plan((Change(ref, "/spec/replicas", 2, 3, "scale"),))
    assert await rig.effects.bring_about(plan, tag) is Result.DONE
    assert tag.on == set()


@pytest.mark.parametrize(
    ("ref", "uid", "version"),
    [
        pytest.param(SCALER, "u", "1", id="an object of somebody else"),
        pytest.param(MODEL, "", "1", id="without a uid"),
        pytest.param(MODEL, "u", "", id="without a resourceVersion"),
    ],
)
async def test_no_whole_patch_goes_out_unguarded(
    rig: Rig, ref: Ref, uid: str, version: str
) -> None:
    with pytest.raises(ValueError, match="cannot be patched"):
        await rig.writer.patch_metadata(
            ref, {"annotations": {"a": "b"}}, uid=uid, resource_version=version
        )
    assert not rig.cluster.writes


async def test_a_decision_as_it_was_written_is_read_once(rig: Rig) -> None:
    body = decision_object("d1").to_kubernetes()
    body["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    found = rig.fleet.written_decision(body)
    assert found is not None
    assert found is rig.fleet.decisions.get(ObjectKey(found.metadata.namespace, "d1"))
    body["metadata"]["resourceVersion"] = "6"
    assert rig.fleet.written_decision(body) is None, "a newer one is known"


def events(rig: Rig) -> list[tuple[str, str]]:
    return [(one["regarding"]["name"], one["reason"]) for one in rig.cluster.all_of(EVENT)]


async def test_what_tells_is_written_when_it_is_caught_up_and_once(rig: Rig) -> None:
    found = decision_object("d1")
    rig.keepsakes.tell(found, reason="First", note="one", warning=False)
    rig.keepsakes.tell(found, reason="Second", note="two", warning=True)
    rig.keepsakes.annotate_model(found)
    assert events(rig) == []
    for _ in range(2):
        await rig.keepsakes.catch_up()
        assert events(rig) == [("llama", "First"), ("llama", "Second")]
    assert LAST_DECISION_ANNOTATION in rig.metadata["annotations"]


async def test_what_there_is_no_time_for_is_told_in_the_next_cycle(rig: Rig) -> None:
    found, now = decision_object("d1"), iter([0.0, 1.0, 4.0])
    rig.keepsakes._monotonic = lambda: next(now, 4.0)
    rig.keepsakes.tell(found, reason="First", note="one", warning=False)
    rig.keepsakes.annotate_model(found)
    await rig.keepsakes.catch_up(for_s=3.0)
    assert events(rig) == [("llama", "First")]
    assert LAST_DECISION_ANNOTATION not in rig.metadata.get("annotations", {})
    await rig.keepsakes.catch_up(for_s=3.0)
    assert LAST_DECISION_ANNOTATION in rig.metadata["annotations"]


async def test_a_process_that_stands_down_tells_nothing_any_more(rig: Rig) -> None:
    rig.keepsakes.tell(decision_object("d1"), reason="First", note="one", warning=False)
    rig.keepsakes.annotate_model(decision_object("d1"))
    rig.keepsakes.stand_down()
    await rig.keepsakes.catch_up()
    assert events(rig) == []
    assert LAST_DECISION_ANNOTATION not in rig.metadata.get("annotations", {})


async def test_events_that_wait_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepsakes, "_UNTOLD", 2)
    for name in ("a", "b", "c"):
        found = decision_object(f"d-{name}", model=name)
        rig.keepsakes.tell(found, reason="First", note=name, warning=False)
    await rig.keepsakes.catch_up()
    assert events(rig) == [("b", "First"), ("c", "First")]


async def test_a_kind_that_may_not_be_written_keeps_no_other_from_being_told(rig: Rig) -> None:
    switch = {"name": "aurora-control", "namespace": "aurora-system"}
    rig.cluster.put(CONFIG_MAP, {"metadata": switch, "data": {"stop": "true"}})
    found, before = decision_object("d1"), len(rig.cluster.writes)
    rig.keepsakes.annotate(found, [rig.floor])
    rig.keepsakes._owed = dict(reversed(rig.keepsakes._owed.items()))  # the autoscaler first
    await rig.keepsakes.catch_up()
    assert [name for _, name, _ in rig.cluster.writes[before:]] == ["ModelDeployment/llama"]
    rig.cluster.put(CONFIG_MAP, {"metadata": switch, "data": {"stop": "false"}})
    await rig.keepsakes.catch_up()
    assert LAST_DECISION_ANNOTATION in rig.cluster.peek(SCALER)["metadata"]["annotations"]
