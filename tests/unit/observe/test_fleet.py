"""The fleet: events in any order, deletions, sweeps, and when it is complete."""

from itertools import permutations
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    LEASE,
    MODEL_DEPLOYMENT,
    POD,
    Kind,
)
from aurora.observe.facts import ObjectKey, WorkloadKey
from aurora.observe.fleet import Fleet
from aurora.observe.projections import LAST_APPLIED
from aurora.observe.shelf import REMEMBERED_DELETIONS
from aurora.resources import ModelDeployment, ModelDeploymentStatus
from tests.support import objects
from tests.support.hostile import JSON

KEY = ObjectKey("models", "llama")


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def fleet(*watched: Kind, clock: Clock | None = None) -> Fleet:
    return Fleet(control_namespace="aurora-system", watched=watched, monotonic=clock or Clock())


def version(number: int, *, uid: str = "u", replicas: int | None = None) -> dict[str, Any]:
    count = number if replicas is None else replicas
    return objects.deployment(
        metadata={"uid": uid, "resourceVersion": str(number)}, spec={"replicas": count}
    )


def gaps(found: Fleet, kind: Kind, *items: dict[str, Any]) -> list[ObjectKey]:
    return [gap.key for gap in found.gaps(kind, found.listing(kind, items))]


def sweep(found: Fleet, kind: Kind, *items: dict[str, Any], version: str) -> list[ObjectKey]:
    return found.sweep(kind, found.listing(kind, items), version=version)


def replicas(found: Fleet) -> int | None:
    facts = found.deployments.get(KEY)
    return facts.replicas if facts else None


def llama(
    spec: int, at: int, *, metadata: dict[str, Any] | None = None, **over: Any
) -> dict[str, Any]:
    """The model at a generation of its spec and a resourceVersion."""
    told = {"uid": "u", "generation": spec, "resourceVersion": str(at), **(metadata or {})}
    return objects.model("llama", metadata=told, **over)


class TestWrittenStatus:
    STATUS: ClassVar[dict[str, Any]] = {
        "observedGeneration": 1,
        "replicas": {"current": 2},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Reconciled",
                "message": "All is well.",
                "lastTransitionTime": "2026-01-05T08:00:00Z",
            }
        ],
    }

    WRITTEN: ClassVar[ModelDeploymentStatus] = ModelDeploymentStatus.model_validate(STATUS)

    def told(self, version: int) -> Fleet:
        """A fleet that knows version 5 and has put a status on it."""
        found = fleet(MODEL_DEPLOYMENT)
        found.apply_event(MODEL_DEPLOYMENT, "ADDED", llama(1, 5))
        known = found.models.get(KEY)
        assert known is not None
        if version > 5:
            found.apply_event(MODEL_DEPLOYMENT, "MODIFIED", llama(1, version))
        answer = {"metadata": llama(1, 7)["metadata"]}
        found.written_status(MODEL_DEPLOYMENT, known, self.WRITTEN, answer)
        return found

    def test_it_is_what_a_watch_would_have_shown(self) -> None:
        watched, told = fleet(MODEL_DEPLOYMENT), self.told(5)
        watched.apply_event(MODEL_DEPLOYMENT, "ADDED", llama(1, 7, status=self.STATUS))
        assert told.models.get(KEY) == watched.models.get(KEY)
        found = told.models.in_group(WorkloadKey("Deployment", "models", "llama"))
        assert found == [told.models.get(KEY)]
        assert not told.apply_event(MODEL_DEPLOYMENT, "MODIFIED", llama(1, 6)), "it is older"

    def test_what_was_written_since_stays(self) -> None:
        model = self.told(8).models.get(KEY)
        assert model is not None
        assert model.metadata.resource_version == "8"
        assert not model.status.conditions

    def test_what_was_deleted_meanwhile_does_not_come_back(self) -> None:
        found = self.told(5)
        known = found.models.get(KEY)
        assert known is not None
        found.apply_event(MODEL_DEPLOYMENT, "DELETED", llama(1, 8))
        answer = {"metadata": llama(1, 9)["metadata"]}
        found.written_status(MODEL_DEPLOYMENT, known, self.WRITTEN, answer)
        assert found.models.get(KEY) is None


class TestWrittenMetadata:
    def answer(self) -> dict[str, Any]:
        kept = {"team": "a", LAST_APPLIED: "{}"}
        return llama(1, 7, metadata={"annotations": kept, "finalizers": ["aurora.dev/restore"]})

    def test_it_is_what_a_watch_would_have_shown(self) -> None:
        watched, told = fleet(MODEL_DEPLOYMENT), fleet(MODEL_DEPLOYMENT)
        told.apply_event(MODEL_DEPLOYMENT, "ADDED", llama(1, 5))
        known = told.models.get(KEY)
        assert known is not None
        answer = {"metadata": self.answer()["metadata"]}
        told.written_metadata(MODEL_DEPLOYMENT, known, answer)
        watched.apply_event(MODEL_DEPLOYMENT, "ADDED", self.answer())
        assert told.models.get(KEY) == watched.models.get(KEY)

    def test_a_spec_that_a_webhook_changed_with_it_is_read(self) -> None:
        told = fleet(MODEL_DEPLOYMENT)
        told.apply_event(MODEL_DEPLOYMENT, "ADDED", llama(1, 5))
        known = told.models.get(KEY)
        assert known is not None
        mutated = llama(2, 7)
        mutated["spec"]["autonomy"] = {"mode": "Recommend"}
        told.written_metadata(MODEL_DEPLOYMENT, known, {"metadata": mutated["metadata"]})
        assert told.apply_event(MODEL_DEPLOYMENT, "MODIFIED", mutated)
        found = told.models.get(KEY)
        assert found is not None
        assert found.spec.autonomy.mode == "Recommend"

    def test_it_waits_for_a_spec_that_is_not_known(self) -> None:
        told = fleet(MODEL_DEPLOYMENT)
        told.apply_event(MODEL_DEPLOYMENT, "ADDED", llama(1, 5))
        read = ModelDeployment.parse(llama(2, 6))
        told.written_metadata(MODEL_DEPLOYMENT, read, self.answer())
        known = told.models.get(KEY)
        assert known is not None
        assert known.metadata.resource_version == "5"


class TestOrder:
    @given(order=st.permutations(range(1, 7)))
    def test_the_newest_version_stays_in_whatever_order_events_come(self, order: list[int]) -> None:
        found = fleet()
        for number in order:
            found.apply_event(DEPLOYMENT, "MODIFIED", version(number))
        assert replicas(found) == 6

    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_a_deleted_object_stays_away_and_its_successor_stays(
        self, order: tuple[int, ...]
    ) -> None:
        """kopf handles each uid apart: the end of one may overtake or trail its successor."""
        events = [
            ("ADDED", version(1, uid="old")),
            ("MODIFIED", version(2, uid="old")),
            ("DELETED", version(3, uid="old")),
            ("ADDED", version(4, uid="new")),
        ]
        found = fleet()
        for index in order:
            found.apply_event(DEPLOYMENT, *events[index])
        assert replicas(found) == 4

    def test_versions_are_compared_as_numbers(self) -> None:
        found = fleet()
        found.apply_event(DEPLOYMENT, None, version(10))
        assert not found.apply_event(DEPLOYMENT, None, version(9))
        assert replicas(found) == 10

    def test_a_version_that_is_no_number_is_taken(self) -> None:
        found = fleet()
        for mark in ("b", "a"):
            obj = objects.deployment(metadata={"resourceVersion": mark})
            assert found.apply_event(DEPLOYMENT, "MODIFIED", obj)
            assert not found.apply_event(DEPLOYMENT, None, obj)

    def test_remembered_deletions_are_bounded(self) -> None:
        found = fleet()
        for index in range(REMEMBERED_DELETIONS + 10):
            found.apply_event(DEPLOYMENT, "DELETED", version(index, uid=f"u{index}"))
        assert not found.apply_event(DEPLOYMENT, None, version(1, uid="u4000"))
        assert found.apply_event(DEPLOYMENT, None, version(1, uid="u0"))


class TestHostile:
    @given(obj=JSON, event=st.sampled_from([None, "ADDED", "MODIFIED", "DELETED", "STRANGE"]))
    def test_no_object_of_any_shape_makes_it_raise(self, obj: Any, event: str | None) -> None:
        found = fleet()
        for kind in (DEPLOYMENT, MODEL_DEPLOYMENT, POD, ENDPOINT_SLICE, CONFIG_MAP, LEASE):
            found.apply_event(kind, event, obj)
            found.apply_event(kind, event, {"metadata": obj})
            found.apply_event(kind, event, {"metadata": {"name": "a"}, "spec": obj})

    def test_a_model_that_cannot_be_read_is_told_with_the_reason_until_it_can(self) -> None:
        found = fleet()
        bad = objects.model("llama", spec={"engine": "steam"})
        found.apply_event(MODEL_DEPLOYMENT, "ADDED", bad)
        assert found.models.get(KEY) is None
        assert "engine" in found.malformed[KEY]
        good = objects.model("llama", metadata={"resourceVersion": "2"})
        found.apply_event(MODEL_DEPLOYMENT, "MODIFIED", good)
        assert found.models.get(KEY) is not None
        assert found.malformed == {}
        worse = objects.model(
            "llama", metadata={"resourceVersion": "3", "generation": 2}, spec={"engine": "x"}
        )
        found.apply_event(MODEL_DEPLOYMENT, "MODIFIED", worse)
        assert found.models.get(KEY) is None
        assert list(found.models.in_group(WorkloadKey("Deployment", "models", "llama"))) == []
        found.apply_event(MODEL_DEPLOYMENT, "DELETED", worse)
        assert found.malformed == {}


class TestSweep:
    def test_ghosts_go_and_what_is_newer_than_the_list_stays(self) -> None:
        found = fleet()
        for name, number in (("ghost", 5), ("kept", 6), ("new", 21)):
            obj = objects.deployment(name, metadata={"resourceVersion": str(number)})
            found.apply_event(DEPLOYMENT, None, obj)
        there = [objects.obj("kept", version="6")]
        removed = sweep(found, DEPLOYMENT, *there, version="20")
        assert removed == [ObjectKey("models", "ghost")]
        assert {key.name for key, _ in found.deployments.items()} == {"kept", "new"}

    def test_an_object_that_was_made_anew_under_its_name_is_a_gap_and_no_ghost(self) -> None:
        found = fleet()
        found.apply_event(DEPLOYMENT, None, version(5, uid="old"))
        there = [objects.obj("llama", uid="new", version="9")]
        assert gaps(found, DEPLOYMENT, *there) == [KEY]
        found.apply_event(DEPLOYMENT, "MODIFIED", version(9, uid="new"))
        assert gaps(found, DEPLOYMENT, *there) == []
        assert sweep(found, DEPLOYMENT, *there, version="9") == []
        assert replicas(found) == 9

    @pytest.mark.parametrize(
        ("listed", "gap"),
        [
            pytest.param("5", False, id="the same version"),
            pytest.param("6", True, id="a change that was missed"),
            pytest.param("4", False, id="the fleet is ahead of the list"),
        ],
    )
    def test_a_gap_is_what_the_list_has_newer(self, listed: str, gap: bool) -> None:
        found = fleet()
        found.apply_event(DEPLOYMENT, None, version(5))
        there = [objects.obj("llama", uid="u", version=listed)]
        assert bool(gaps(found, DEPLOYMENT, *there)) is gap

    def test_a_list_that_was_wrong_does_not_blind_for_good(self) -> None:
        found = fleet()
        found.apply_event(DEPLOYMENT, None, version(5))
        assert sweep(found, DEPLOYMENT, version="9") == [KEY]
        assert gaps(found, DEPLOYMENT, objects.obj("llama", uid="u", version="5")) == [KEY]
        assert found.apply_event(DEPLOYMENT, "MODIFIED", version(5))

    def test_a_ghost_among_the_slices_is_counted_no_more(self) -> None:
        found = fleet()
        found.apply_event(ENDPOINT_SLICE, None, objects.endpoints("a", ready=2))
        dry = objects.endpoints("b", ready=0, metadata={"resourceVersion": "2"})
        found.apply_event(ENDPOINT_SLICE, None, dry)
        sweep(found, ENDPOINT_SLICE, objects.obj("b", version="2"), version="9")
        seen = found.endpoints.of(KEY, at=1000.0)
        assert seen is not None
        assert (seen.ready, seen.not_ready_since) == (0, 1000.0)

    def test_only_the_operators_own_switch_is_looked_for(self) -> None:
        found = fleet()
        other = objects.obj("aurora-control", namespace="models")
        ours = objects.obj("aurora-control", namespace="aurora-system")
        assert gaps(found, CONFIG_MAP, other, ours) == [
            ObjectKey("aurora-system", "aurora-control")
        ]


class TestSynced:
    def test_it_is_complete_once_every_kind_was_listed(self) -> None:
        found = fleet(DEPLOYMENT, POD)
        assert not found.synced
        assert found.missing == ["deployments.apps", "pods"]
        found.mark_listed(DEPLOYMENT)
        assert not found.synced
        found.mark_listed(POD)
        assert found.synced

    def test_a_list_after_the_first_one_is_told_once(self) -> None:
        found = fleet(DEPLOYMENT)
        found.apply_event(DEPLOYMENT, None, version(1))
        assert found.take_relisted() == frozenset()
        found.mark_listed(DEPLOYMENT)
        found.apply_event(DEPLOYMENT, None, version(1))
        assert found.take_relisted() == {DEPLOYMENT}
        assert found.take_relisted() == frozenset()


class TestControl:
    def test_it_counts_as_set_until_it_was_seen_and_again_when_it_is_gone(self) -> None:
        found = fleet()
        assert not found.control.writes_allowed
        switch = objects.obj("aurora-control", namespace="aurora-system", data={"stop": "false"})
        found.apply_event(CONFIG_MAP, "ADDED", switch)
        assert found.control.writes_allowed
        found.apply_event(CONFIG_MAP, "DELETED", switch)
        assert not found.control.readable

    def test_one_of_another_namespace_or_name_is_nothing(self) -> None:
        found = fleet()
        for name, namespace in (("aurora-control", "models"), ("other", "aurora-system")):
            switch = objects.obj(name, namespace=namespace, data={"stop": "false"})
            assert not found.apply_event(CONFIG_MAP, "ADDED", switch)
        assert not found.control.writes_allowed


class TestEndpoints:
    def put(self, found: Fleet, name: str, number: int, **over: Any) -> None:
        obj = objects.endpoints(name, metadata={"resourceVersion": str(number)}, **over)
        found.apply_event(ENDPOINT_SLICE, "MODIFIED", obj)

    def test_slices_of_a_service_are_added_up(self) -> None:
        found = fleet()
        self.put(found, "a", 1, ready=2, unready=1)
        self.put(found, "b", 2, ready=1)
        self.put(found, "c", 3, ready=9, service="other")
        seen = found.endpoints.of(KEY, at=0.0)
        assert seen is not None
        assert (seen.ready, seen.total, seen.not_ready_since) == (3, 4, None)

    def test_address_families_are_the_same_pods_twice(self) -> None:
        found = fleet()
        self.put(found, "four", 1, ready=2)
        self.put(found, "six", 2, ready=2, addressType="IPv6")
        seen = found.endpoints.of(KEY, at=0.0)
        assert seen is not None
        assert (seen.ready, seen.total) == (2, 2)

    def test_no_slice_at_all_is_unknown_and_not_zero(self) -> None:
        found = fleet()
        assert found.endpoints.of(KEY, at=0.0) is None
        self.put(found, "a", 1, ready=0)
        found.apply_event(ENDPOINT_SLICE, "DELETED", objects.endpoints("a", ready=0))
        assert found.endpoints.of(KEY, at=0.0) is None

    def test_the_time_without_endpoints_runs_from_the_moment_the_last_one_went(self) -> None:
        clock = Clock()
        found = fleet(clock=clock)
        self.put(found, "a", 1, ready=1)
        clock.at += 10
        self.put(found, "a", 2, ready=0, unready=1)
        clock.at += 40
        self.put(found, "a", 3, ready=0, unready=2)
        seen = found.endpoints.of(KEY, at=5000.0)
        assert seen is not None
        assert seen.not_ready_since == 4960.0
        # A wall clock that was set changes the moment, never the length.
        later = found.endpoints.of(KEY, at=9000.0)
        assert later is not None
        assert later.not_ready_since == 8960.0
        self.put(found, "a", 4, ready=1)
        again = found.endpoints.of(KEY, at=5000.0)
        assert again is not None
        assert again.not_ready_since is None

    def test_a_slice_that_changes_its_service_is_taken_from_the_old_one(self) -> None:
        found = fleet()
        self.put(found, "a", 1, ready=1)
        self.put(found, "a", 2, ready=1, service="other")
        assert found.endpoints.of(KEY, at=0.0) is None
        other = found.endpoints.of(ObjectKey("models", "other"), at=0.0)
        assert other is not None
        assert other.ready == 1
