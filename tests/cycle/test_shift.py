"""A RoutingPolicy through the whole loop: steps that are verified, failures, reverts, people."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from aurora.kube.kinds import EVENT, HTTP_ROUTE, ROUTING_POLICY, Ref
from aurora.observe.sample import Gap
from aurora.resources import RoutingPolicy, find_condition
from tests.cycle.world import SHORT, World, operator
from tests.support.builders import NAMESPACE, merged

BACKENDS = ("stable", "canary")


def route(world: World, weights: dict[str, int], *, manager: str = "people") -> None:
    refs = [
        {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}
        for name, weight in weights.items()
    ]
    managed = {
        "manager": manager,
        "time": "2026-01-01T12:00:00Z",
        "fieldsV1": {"f:spec": {"f:rules": {}}},
    }
    known = world.cluster.all_of(HTTP_ROUTE)
    metadata = known[0]["metadata"] if known else {"name": "chat", "namespace": NAMESPACE}
    world.cluster.put(
        HTTP_ROUTE,
        {
            "metadata": metadata | {"managedFields": [managed]},
            "spec": {"rules": [{"backendRefs": refs}]},
        },
    )


def policy(world: World, **spec: Any) -> None:
    refs = [
        {"name": name, "serviceRef": {"name": name, "port": 80}, "weight": 50} for name in BACKENDS
    ]
    body = {"routeRef": {"name": "chat"}, "backends": refs, "autonomy": SHORT}
    world.cluster.put(
        ROUTING_POLICY,
        {
            "apiVersion": "aurora.dev/v1alpha1",
            "kind": "RoutingPolicy",
            "metadata": {"name": "chat", "namespace": NAMESPACE},
            "spec": merged(body, spec),
        },
    )


def routed(folder: Path, weights: dict[str, int] | None = None, **spec: Any) -> World:
    world = World(folder)
    for name in BACKENDS:
        world.deploy(name, 2)
    route(world, weights or {"stable": 100, "canary": 0})
    policy(world, **spec)
    return world


def weights(world: World) -> dict[str, int]:
    refs = world.cluster.peek(Ref(HTTP_ROUTE, NAMESPACE, "chat"))["spec"]["rules"][0]["backendRefs"]
    return {one["name"]: one["weight"] for one in refs}


def seen(world: World) -> RoutingPolicy:
    return RoutingPolicy.parse(world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat")))


def condition(world: World, type_: str) -> tuple[str, str, str]:
    found = find_condition(seen(world).status.conditions, type_)
    assert found is not None, type_
    return found.status.value, found.reason, found.message


async def test_declared_weights_are_reached_in_verified_steps(tmp_path: Path) -> None:
    world = routed(tmp_path)
    async with operator(world) as run:
        await run.cycles(2)
        assert weights(world) == {"stable": 75, "canary": 25}, "maxStepPercent is 25"
        assert condition(world, "Programmed")[:2] == ("False", "OnTheWay")
        await run.until("Completed", "Verifying", action="ROUTE")
        assert weights(world) == {"stable": 50, "canary": 50}
        await run.until("Completed", "Completed", action="ROUTE")
        before = len(world.writes())
        await run.cycles(10)
    assert len(world.writes()) == before, "a steady state is not written to"
    first, second = world.decisions(action="ROUTE")
    assert second.metadata.creation_timestamp is not None
    measured = first.status.outcome
    assert measured is not None
    assert second.metadata.creation_timestamp >= measured.measured_at
    assert str(first.spec.model_ref.kind) == "RoutingPolicy"
    assert first.spec.model_ref.name == "chat"
    assert first.spec.target.kind == "HTTPRoute"
    assert first.status.changes[0].beside == (
        '{"group":"","kind":"Service","name":"stable","port":80}'
    )
    status = seen(world).status
    assert (status.weights, status.wanted) == ("stable=50 canary=50", "stable=50 canary=50")
    assert condition(world, "Programmed")[:2] == ("True", "Programmed")
    assert condition(world, "Ready")[0] == "True"
    assert condition(world, "AuditPassed")[0] == "True"


async def test_a_failing_backend_loses_all_its_weight_in_the_cycle_that_shows_it(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, {"stable": 50, "canary": 50})
    async with operator(world) as run:
        await run.cycles(3)
        assert world.decisions() == []
        world.served["canary"].errors = 0.5
        await run.cycles(1)
        assert weights(world) == {"stable": 100, "canary": 0}, "no step limit where callers suffer"
        (found,) = world.decisions(action="ROUTE")
        assert found.spec.protective
        assert found.spec.reason == "ServerErrors"
        await run.until("Completed", action="ROUTE")
    (found,) = world.decisions(action="ROUTE")
    assert found.status.outcome is not None
    assert found.status.outcome.verdict == "Improved", found.status.outcome.message


async def test_a_backend_that_failed_comes_back_with_little_and_later_each_time(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, {"stable": 50, "canary": 50})
    async with operator(world) as run:
        await run.cycles(3)
        world.served["canary"].errors = 0.5
        shares = []
        for _ in range(80):
            quiet = weights(world)["canary"] == 0
            world.served["canary"].dark = Gap.NO_DATA if quiet else None
            await run.cycles(1)
            shares.append(weights(world)["canary"])
    drops = [n for n, (a, b) in enumerate(itertools.pairwise(shares)) if a and not b]
    assert set(shares) == {0, 5}, "it gets 5 points, fails, and loses them"
    assert len(drops) >= 2
    gaps = [b - a for a, b in zip([0, *drops], drops, strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0], "the wait doubles"


async def test_a_dead_backend_is_left_with_no_metric_at_all(tmp_path: Path) -> None:
    world = routed(tmp_path, {"stable": 50, "canary": 50})
    async with operator(world) as run:
        await run.cycles(2)
        world.broken.add("canary")
        await run.cycles(4)
    assert weights(world) == {"stable": 100, "canary": 0}
    assert world.decisions(action="ROUTE")[0].spec.reason == "NoReadyEndpoint"


async def test_when_every_backend_fails_people_are_told_and_the_weights_stay(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, {"stable": 50, "canary": 50})
    async with operator(world) as run:
        await run.cycles(2)
        world.broken |= set(BACKENDS)
        await run.cycles(5)
    assert weights(world) == {"stable": 50, "canary": 50}
    assert world.decisions(action="ROUTE") == []
    assert world.phases(action="ALERT") == ["Completed"]
    assert world.people.told == [one.metadata.name for one in world.decisions(action="ALERT")]
    assert condition(world, "Programmed")[:2] == ("False", "NoBackendReady")


async def test_a_canary_follows_its_plan_and_stops_where_it_is_worse(tmp_path: Path) -> None:
    plan = {"backend": "canary", "steps": [5, 25, 50, 100]}
    world = routed(tmp_path, strategy="Canary", rollout=plan)
    async with operator(world) as run:
        await run.until("Verifying", action="ROUTE")
        assert weights(world) == {"stable": 95, "canary": 5}
        await run.until("Completed", "Verifying", action="ROUTE")
        assert weights(world) == {"stable": 75, "canary": 25}
        world.served["canary"].extra_ttft = 2.0
        await run.until("Completed", "Completed", action="ROUTE")
        await run.cycles(10)
        assert weights(world) == {"stable": 75, "canary": 25}, "it waits while it is slower"
        assert "p95" in condition(world, "Programmed")[2]
        world.served["canary"].extra_ttft = 0.0
        await run.until("Completed", "Completed", "Verifying", action="ROUTE")
    assert weights(world) == {"stable": 50, "canary": 50}


async def test_a_shift_that_makes_callers_fail_is_taken_back(tmp_path: Path) -> None:
    """Only together they fail more than the policy allows; neither does so surely by itself."""
    world = routed(tmp_path, health={"errorRatePercent": 50})
    async with operator(world) as run:
        await run.until("Verifying", action="ROUTE")
        for name in BACKENDS:
            world.served[name].errors = 0.52
        await run.until("RolledBack", action="ROUTE")
    assert weights(world) == {"stable": 100, "canary": 0}


async def test_weights_that_somebody_sets_back_are_told_of_and_not_fought(tmp_path: Path) -> None:
    world = routed(tmp_path)
    async with operator(world) as run:
        for _ in range(60):
            await run.cycles(1)
            if weights(world) != {"stable": 100, "canary": 0}:
                await run.cycles(1)
                route(world, {"stable": 100, "canary": 0}, manager="argocd-controller")
        status, reason, message = condition(world, "ExternallyReverted")
        assert (status, reason) == ("True", "ExternallyReverted")
        assert "argocd-controller" in message
        assert "backendRefs[].weight" in message
    assert len(world.writes(to="HTTPRoute/chat", touching="/spec")) == 2, "then a person is asked"
    assert world.phases(action="ROUTE")[-1] == "AwaitingApproval"
    told = [one for one in world.cluster.all_of(EVENT) if one["reason"] == "ExternallyReverted"]
    assert len(told) == 2
    assert "argocd-controller" in told[0]["note"]


async def test_nothing_is_written_while_the_rule_lists_a_backend_that_the_policy_does_not(
    tmp_path: Path,
) -> None:
    world = routed(tmp_path, {"stable": 100, "canary": 0, "other": 0})
    async with operator(world) as run:
        await run.cycles(5)
        assert condition(world, "ResolvedRefs")[:2] == ("False", "BackendsDiffer")
        assert "Service other:80" in condition(world, "ResolvedRefs")[2]
        assert world.decisions() == []
        route(world, {"stable": 100, "canary": 0})
        await run.cycles(2)
    assert condition(world, "ResolvedRefs")[0] == "True"
    assert weights(world) == {"stable": 75, "canary": 25}


async def test_in_mode_recommend_one_proposal_waits_for_a_person(tmp_path: Path) -> None:
    recommend = SHORT | {"mode": "Recommend"}
    world = routed(tmp_path, {"stable": 50, "canary": 50}, autonomy=recommend)
    policy(world, autonomy=recommend, strategy="LatencyWeighted")
    world.served["canary"].extra_ttft = 2.0
    async with operator(world) as run:
        for turn in range(8):
            world.served["canary"].extra_ttft = 2.0 + turn / 10
            await run.cycles(1)
        (found,) = world.decisions(action="ROUTE")
        assert weights(world) == {"stable": 50, "canary": 50}
        assert condition(world, "ApprovalPending")[0] == "True"
        world.approve(found)
        await run.until("Verifying", action="ROUTE")
    assert weights(world)["canary"] < 50


async def test_deleting_the_policy_gives_the_weights_back(tmp_path: Path) -> None:
    world = routed(tmp_path)
    async with operator(world) as run:
        await run.until("Completed", "Completed", action="ROUTE")
        body = world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat"))
        assert body["metadata"]["finalizers"] == ["aurora.dev/restore"]
        body["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
        world.cluster.put(ROUTING_POLICY, body)
        await run.cycles(2)
    assert weights(world) == {"stable": 100, "canary": 0}
    left = world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat"))
    assert "finalizers" not in left["metadata"]


async def test_two_policies_on_one_rule_do_not_fight(tmp_path: Path) -> None:
    world = routed(tmp_path)
    async with operator(world) as run:
        younger = world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat"))
        younger = {**younger, "metadata": {"name": "rival", "namespace": NAMESPACE}}
        world.clock.at += 60
        younger["spec"]["backends"][1]["weight"] = 0
        world.cluster.put(ROUTING_POLICY, younger)
        await run.cycles(2)
        rival = RoutingPolicy.parse(world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "rival")))
        accepted = find_condition(rival.status.conditions, "Accepted")
        assert accepted is not None
        assert (accepted.status, accepted.reason) == ("False", "RuleTaken")
        assert "RoutingPolicy chat" in accepted.message
    assert weights(world) == {"stable": 75, "canary": 25}


async def test_a_model_of_the_same_name_is_another_subject(tmp_path: Path) -> None:
    world = routed(tmp_path)
    world.deploy("chat", 2)
    world.apply_model("chat")
    world.served["chat"].load = 30.0
    async with operator(world) as run:
        await run.cycles(3)
    kinds = {str(one.spec.model_ref.kind) for one in world.decisions()}
    assert kinds == {"RoutingPolicy", "ModelDeployment"}


async def test_replicas_of_a_backend_and_its_weights_never_change_at_once(tmp_path: Path) -> None:
    world = routed(tmp_path)
    world.apply_model("stable", scaling={"minReplicas": 2})
    world.served["stable"].load = 0.4
    async with operator(world) as run:
        overlapping = []
        for _ in range(60):
            await run.cycles(1)
            open_now = [
                str(one.spec.action)
                for one in world.decisions()
                if str(one.status.phase) in {"Executing", "Verifying"} and not one.spec.protective
            ]
            overlapping.append(len(open_now))
    assert max(overlapping) == 1
    assert weights(world) == {"stable": 50, "canary": 50}


@pytest.mark.parametrize("die_after", range(1, 12))
async def test_an_operator_that_dies_between_two_writes_leaves_nothing_doubled(
    tmp_path: Path, die_after: int
) -> None:
    from tests.support.fakecluster import KilledError

    world = routed(tmp_path)
    world.cluster.die_after = die_after
    try:
        async with operator(world) as run:
            await run.cycles(3)
    except (KilledError, BaseExceptionGroup):
        pass
    world.cluster.die_after = None
    async with operator(world) as run:
        await run.cycles(2)
        assert weights(world) == {"stable": 75, "canary": 25}
        await run.until("Completed", "Completed", action="ROUTE")
    assert weights(world) == {"stable": 50, "canary": 50}


async def test_pause_and_kill_switch_stop_every_weight(tmp_path: Path) -> None:
    world = routed(tmp_path, {"stable": 50, "canary": 50})
    body = world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat"))
    body["metadata"]["annotations"] = {"aurora.dev/paused": "true"}
    world.cluster.put(ROUTING_POLICY, body)
    world.served["canary"].errors = 0.5
    async with operator(world) as run:
        await run.cycles(4)
        assert condition(world, "Paused")[:2] == ("True", "Paused")
        world.stop("true")
        body = world.cluster.peek(Ref(ROUTING_POLICY, NAMESPACE, "chat"))
        del body["metadata"]["annotations"]
        world.cluster.put(ROUTING_POLICY, body)
        await run.cycles(4)
        assert condition(world, "Paused")[:2] == ("True", "Stopped")
        assert weights(world) == {"stable": 50, "canary": 50}
        assert world.writes(to="HTTPRoute/") == []
        world.stop("false")
        await run.cycles(2)
    assert weights(world) == {"stable": 100, "canary": 0}
