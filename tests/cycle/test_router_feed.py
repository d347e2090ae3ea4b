"""A RoutingPolicy feeds routers: the ConfigMap that it writes is what `aurora router` reads."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import ForbiddenError
from aurora.kube.kinds import CONFIG_MAP, ROUTING_POLICY, Ref
from aurora.resources import Condition, RoutingPolicy, find_condition
from aurora.router.policy import read_policy
from aurora.router.service import Router
from aurora.router.settings import RouterSettings
from tests.cycle.world import World, operator
from tests.support.builders import NAMESPACE, merged

NAME = "aurora-router-chat"
SERVICES = [
    {"name": name, "serviceRef": {"name": name, "port": 80}, "costPerReplicaHour": "2.5"}
    for name in ("stable", "canary")
]
RULES = [{"when": "complexity < 0.4", "use": ["canary"]}, {"use": ["stable"]}]


def fed(folder: Path, **spec: Any) -> World:
    """Two Services and an outside provider behind no route: routers choose among them."""
    world = World(folder)
    for name in ("stable", "canary"):
        world.deploy(name, 2)
    put(world, **spec)
    return world


def put(world: World, *, paused: bool = False, **spec: Any) -> None:
    outside = {"name": "api", "provider": {"name": "api"}, "region": "eu-west"}
    body = {"backends": [*SERVICES, outside], "router": {}}
    found = world.cluster.all_of(ROUTING_POLICY)
    metadata = found[0]["metadata"] if found else {"name": "chat", "namespace": NAMESPACE}
    metadata["annotations"] = {"aurora.dev/paused": "true"} if paused else {}
    world.cluster.put(
        ROUTING_POLICY,
        {
            "apiVersion": "aurora.dev/v1alpha1",
            "kind": "RoutingPolicy",
            "metadata": metadata,
            "spec": merged(body, spec),
            "status": found[0].get("status", {}) if found else {},
        },
    )


def config_map(world: World) -> dict[str, Any] | None:
    found = [one for one in world.cluster.all_of(CONFIG_MAP) if one["metadata"]["name"] == NAME]
    return found[0] if found else None


def document(world: World) -> dict[str, Any]:
    found = config_map(world)
    assert found is not None
    return dict(json.loads(found["data"]["policy.json"]))


def writes(world: World) -> int:
    return sum(1 for one in world.cluster.writes if one[1].endswith(NAME))


def condition(world: World, type_: str) -> Condition | None:
    policy = RoutingPolicy.parse(world.cluster.all_of(ROUTING_POLICY)[0])
    return find_condition(policy.status.conditions, type_)


def told(world: World, type_: str = "RoutersFed") -> tuple[str, str]:
    found = condition(world, type_)
    return (found.status.value, found.reason) if found is not None else ("", "")


def message(world: World) -> str:
    found = condition(world, "RoutersFed")
    return found.message if found is not None else ""


async def test_a_router_reads_what_the_operator_writes(tmp_path: Path) -> None:
    world = fed(
        tmp_path,
        constraints={"enforcement": "Strict", "maxLatencyP95": "3s", "maxCostPerReplicaHour": "4"},
        exploration={"minPercent": 2},
        router={"strategy": "thompson", "experiment": {"percent": 50, "rules": RULES}},
    )
    async with operator(world) as op:
        await op.cycles(2)
    found = config_map(world)
    assert found is not None
    (owner,) = found["metadata"]["ownerReferences"]
    (policy,) = world.cluster.all_of(ROUTING_POLICY)
    assert (owner["kind"], owner["uid"]) == ("RoutingPolicy", policy["metadata"]["uid"])
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "aurora"}
    file = tmp_path / "policy.json"
    file.write_text(found["data"]["policy.json"])
    read = read_policy(file)
    assert (read.strategy, read.min_percent, read.strict_audit) == ("thompson", 2.0, True)
    assert read.constraints == {"max_price": 4.0, "max_latency_ms": 3000.0}
    stable, canary, api = read.providers
    assert stable["provider_id"] == "stable"
    assert stable["price_usd_per_hour"] == 2.5
    assert 1000.0 < stable["latency_ms"] < 2000.0
    assert canary["latency_ms"] == stable["latency_ms"]
    assert api == {"provider_id": "api", "regions": ["eu-west"]}
    assert read.experiment is not None
    assert read.experiment.percent == 50.0
    assert told(world) == ("True", "RoutersFed")


async def test_a_condition_that_no_router_can_read_is_told_and_not_handed_on(
    tmp_path: Path,
) -> None:
    pytest.importorskip("cel_expr_python")
    world = fed(tmp_path, router={"experiment": {"percent": 50, "rules": RULES}})
    async with operator(world) as op:
        await op.cycles(2)
        before = document(world)
        wrong = [*RULES, {"when": "complexty < 0.4", "use": ["canary"]}]
        put(world, router={"experiment": {"percent": 50, "rules": wrong}})
        await op.cycles(2)
        assert document(world) == before
        assert (told(world), told(world, "Ready")) == (2 * (("False", "InvalidSpec"),))
        assert message(world).startswith("spec.router.experiment.rules[2].when: ")
        assert "undeclared reference to 'complexty'" in message(world)
        put(world, router={"experiment": {"percent": 50, "rules": wrong[1:2]}})
        await op.cycles(1)
        assert document(world)["experiment"]["rules"] == wrong[1:2]
        assert told(world) == ("True", "RoutersFed")


async def test_without_the_extra_conditions_are_left_to_the_routers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    wrong = [{"when": "tenant <> 'a'", "use": ["canary"]}]
    world = fed(tmp_path, router={"experiment": {"percent": 50, "rules": wrong}})
    async with operator(world) as op:
        await op.cycles(2)
    assert document(world)["experiment"]["rules"] == wrong
    assert told(world) == ("True", "RoutersFed")


async def test_figures_that_sway_are_not_written_again_and_much_is(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        first, before = document(world), writes(world)
        for extra in (0.05, 0.0, 0.1):
            world.served["stable"].extra_ttft = extra
            await op.cycles(6)
        assert (document(world), writes(world)) == (first, before)
        world.served["stable"].extra_ttft = 5.0
        await op.cycles(6)
        assert document(world)["providers"][0]["latency_ms"] > 6000.0
        assert writes(world) == before + 1


async def test_who_fails_is_no_candidate(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        world.served["canary"].errors = 0.9
        await op.cycles(1)
        assert [one["provider_id"] for one in document(world)["providers"]] == ["stable", "api"]


async def test_a_config_map_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    world = fed(tmp_path)
    theirs = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": {"policy.json": "mine"}}
    world.cluster.put(CONFIG_MAP, theirs)
    async with operator(world) as op:
        await op.cycles(8)
        found = config_map(world)
        assert found is not None
        assert found["data"] == {"policy.json": "mine"}
        assert told(world) == ("False", "ConfigMapTaken")
        assert told(world, "Ready") == ("False", "ConfigMapTaken")
        world.cluster.remove(Ref(CONFIG_MAP, NAMESPACE, NAME))
        await op.cycles(6)
        assert document(world)["strategy"] == "q-learning"
        assert told(world) == ("True", "RoutersFed")


@pytest.mark.parametrize("how", ["paused", "stopped"])
async def test_nothing_is_written_while_people_hold_it(tmp_path: Path, how: str) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        before = document(world)
        world.stop("true" if how == "stopped" else "false")
        put(world, paused=how == "paused", router={"strategy": "ucb"})
        await op.cycles(2)
        assert document(world) == before
        world.stop("false")
        put(world, router={"strategy": "ucb"})
        await op.cycles(2)
        assert document(world)["strategy"] == "ucb"


async def test_a_restart_writes_nothing_and_a_deleted_config_map_comes_back(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
    before = writes(world)
    async with operator(world) as op:
        await op.cycles(2)
        assert writes(world) == before
        world.cluster.remove(Ref(CONFIG_MAP, NAMESPACE, NAME))
        await op.cycles(22)
        assert document(world)["strategy"] == "q-learning"


async def test_a_document_that_somebody_broke_is_mended(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        found, before = config_map(world), document(world)
        assert found is not None
        broken = json.dumps({**before, "providers": "stable"})
        world.cluster.put(CONFIG_MAP, merged(found, {"data": {"policy.json": broken}}))
        await op.cycles(22)
        assert document(world) == before


async def test_a_policy_that_was_made_anew_gets_a_config_map_of_its_own(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        policy = world.cluster.all_of(ROUTING_POLICY)[0]
        policy["metadata"]["uid"] = "another"
        world.cluster.put(ROUTING_POLICY, policy)
        world.cluster.remove(Ref(CONFIG_MAP, NAMESPACE, NAME))
        await op.cycles(2)
        found = config_map(world)
        assert found is not None
        assert found["metadata"]["ownerReferences"][0]["uid"] == "another"


async def test_a_policy_that_feeds_no_router_any_more_says_nothing_of_it(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        assert told(world) == ("True", "RoutersFed")
        before = document(world)
        put(world, router=None)
        await op.cycles(2)
        assert told(world) == ("", "")
        assert document(world) == before, "routers go on with what they have"


async def test_what_the_policy_learned_is_where_routers_begin(tmp_path: Path) -> None:
    world = fed(tmp_path, strategy="Learned", backends=SERVICES)
    async with operator(world) as op:
        await op.cycles(40)
        found = document(world)
        assert (found["strategy"], found["strategyOptions"]) == ("thompson", {"per_state": False})
        before = writes(world)
        await op.cycles(10)
        assert writes(world) - before <= 2, "not for every reward"
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document(world)))
    router = Router(RouterSettings(model_path=Path()))
    assert router.adopt(read_policy(file))
    state = router.engine.snapshot()["state"]
    assert sorted(state["arms"]) == ["canary", "stable"]
    assert router.decide({})[0] in {"stable", "canary"}
    router.close()


@pytest.mark.parametrize(
    "why", ["configmaps is forbidden", "exceeded quota: small", "HTTP 422: data is too long"]
)
async def test_a_write_that_is_refused_is_told_and_tried_again(tmp_path: Path, why: str) -> None:
    world = fed(tmp_path)
    refused = []

    def deny(verb: str, ref: Ref) -> None:
        if ref.kind == CONFIG_MAP:
            refused.append(verb)
            raise ForbiddenError(why)

    world.cluster.deny = deny
    async with operator(world) as op:
        await op.cycles(4)
        assert told(world) == ("False", "PermissionDenied")
        assert message(world).startswith(why), "what the API server says comes first"
        assert refused == ["create"], "not in every cycle"
        world.cluster.deny = lambda *_: None
        await op.cycles(5)
        assert told(world) == ("True", "RoutersFed")


async def test_what_somebody_wrote_meanwhile_is_read_before_it_is_patched(tmp_path: Path) -> None:
    world = fed(tmp_path)
    async with operator(world) as op:
        await op.cycles(2)
        found = config_map(world)
        assert found is not None
        world.cluster.put(CONFIG_MAP, merged(found, {"data": {"note": "theirs"}}))
        put(world, router={"strategy": "ucb"})
        await op.cycles(1)
        assert document(world)["strategy"] == "q-learning", "the patch was refused"
        await op.cycles(1)
        assert document(world)["strategy"] == "ucb"
        found = config_map(world)
        assert found is not None
        assert found["data"]["note"] == "theirs"
