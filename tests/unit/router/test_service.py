"""Policies come and go; what was learned and what waits for feedback stays."""

import json
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import ConfigurationError
from aurora.router.policy import Policy, read_policy
from aurora.router.service import Router
from aurora.router.settings import RouterSettings, router_settings
from aurora.routing import RoutingError, UnknownDecisionError, WorkloadContext

TWO = [{"provider_id": "a"}, {"provider_id": "b"}]
GOOD = {"success": True, "actual_cost_usd": 0.0, "actual_latency_ms": 1.0}
NO_FLOOR = {"minPercent": 0, "strategyOptions": {"epsilon": 0.0, "epsilon_min": 0.0}}


def settings(folder: Path | None = None, **over: Any) -> RouterSettings:
    path = Path() if folder is None else folder / "q_table.json"
    return RouterSettings(**{"model_path": path, **over})


def policy(**spec: Any) -> Policy:
    return Policy.model_validate(spec).checked()


def q_value(router: Router, arm: str) -> float | None:
    return router.engine.strategist.belief(WorkloadContext(), arm)


def learned(router: Router, times: int = 20) -> None:
    """Whatever is chosen succeeds, so that it has a value."""
    for _ in range(times):
        _, metadata = router.decide({"providers": TWO})
        router.feedback({"decision_id": metadata["decision_id"], **GOOD})


def test_feedback_of_a_decision_under_an_earlier_policy_is_still_counted() -> None:
    router = Router(settings())
    _, metadata = router.decide({"providers": TWO})
    assert router.adopt(policy(minPercent=5))
    reward = router.feedback({"decision_id": metadata["decision_id"], **GOOD})
    assert reward == pytest.approx(10 - 1 / 500)
    with pytest.raises(UnknownDecisionError):
        router.feedback({"decision_id": "never", **GOOD})
    router.close()


def test_the_same_policy_again_changes_nothing() -> None:
    router = Router(settings())
    engine = router.engine
    assert not router.adopt(policy())
    assert router.adopt(policy(providers=TWO))
    assert router.engine is engine
    router.close()


def test_what_was_learned_goes_on_under_other_limits(tmp_path: Path) -> None:
    router = Router(settings(tmp_path))
    learned(router)
    before = {arm: q_value(router, arm) for arm in ("a", "b")}
    router.adopt(policy(**NO_FLOOR))
    assert {arm: q_value(router, arm) for arm in ("a", "b")} == before
    router.close()
    again = Router(settings(tmp_path))
    assert {arm: q_value(again, arm) for arm in ("a", "b")} == before
    again.close()


@pytest.mark.parametrize("strategy", ["q-learning", "thompson", "linucb"])
@pytest.mark.parametrize("saves", [True, False], ids=["no file", "nothing is saved"])
def test_what_was_learned_goes_on_where_no_file_brings_it(
    tmp_path: Path, strategy: str, saves: bool
) -> None:
    router = Router(settings(None if saves else tmp_path, auto_save=saves))
    router.adopt(policy(strategy=strategy))
    learned(router)
    before = router.engine.snapshot()
    router.adopt(policy(strategy=strategy, minPercent=5))
    assert router.engine.snapshot() == before
    router.close()


@pytest.mark.parametrize("strategy", ["q-learning", "thompson", "ucb", "linucb"])
def test_many_policies_one_after_the_other_keep_one_file(tmp_path: Path, strategy: str) -> None:
    """The engines of four earlier ones are there still, and one of them gets late feedback."""
    router = Router(settings(tmp_path))
    for floor in range(2, 10):
        late = router.decide({"providers": TWO})[1]["decision_id"]
        assert router.adopt(policy(strategy=strategy, minPercent=floor))
        learned(router, times=12)
        router.feedback({"decision_id": late, **GOOD})
    router.engine.save()
    before = router.engine.snapshot()
    router.close()
    again = Router(settings(tmp_path))
    again.adopt(policy(strategy=strategy))
    if strategy != "q-learning":  # that one merges what late feedback taught
        assert again.engine.snapshot() == before
    assert again.get_status()["state_warning"] is None
    again.close()


def test_a_policy_that_is_refused_leaves_the_file_to_the_one_in_force(tmp_path: Path) -> None:
    router = Router(settings(tmp_path))
    router.adopt(policy(strategy="thompson"))
    learned(router)
    for _ in range(2):
        with pytest.raises(RoutingError):
            router.adopt(
                policy(strategy="thompson", experiment={"percent": 50, "rules": [{"when": "(("}]})
            )
        learned(router)
    before = router.engine.snapshot()
    router.close()
    again = Router(settings(tmp_path))
    again.adopt(policy(strategy="thompson"))
    assert again.engine.snapshot() == before
    again.close()


def test_another_strategy_keeps_its_state_in_a_file_of_its_own(tmp_path: Path) -> None:
    router = Router(settings(tmp_path))
    learned(router)
    router.adopt(policy(strategy="ucb"))
    learned(router)
    router.close()
    assert sorted(one.name for one in tmp_path.glob("q_table*.json")) == [
        "q_table.json",
        "q_table.ucb.json",
    ]


def cells(router: Router) -> dict[str, tuple[float, int]]:
    """Value and count of each arm that has a reward."""
    (row,) = router.engine.snapshot()["state"]["states"]
    return {arm: (value, count) for arm, (value, count) in row[3].items()}


@pytest.fixture
def state(tmp_path: Path) -> dict[str, Any]:
    """What another router learned of both arms."""
    folder = tmp_path / "taught"
    folder.mkdir()
    taught = Router(settings(folder))
    learned(taught, times=60)
    taught.close()
    return dict(json.loads((folder / "q_table.json").read_text()))


def test_pushed_state_is_where_a_new_router_starts(state: dict[str, Any]) -> None:
    (row,) = state["state"]["states"]
    fresh = Router(settings())
    fresh.adopt(policy(state=state, minPercent=2))
    assert cells(fresh) == {arm: (value, count) for arm, (value, count) in row[3].items()}
    fresh.close()


def test_state_that_is_pushed_while_it_runs_adds_what_is_not_known_and_loses_nothing(
    tmp_path: Path, state: dict[str, Any]
) -> None:
    (row,) = state["state"]["states"]
    router = Router(settings(tmp_path))
    _, metadata = router.decide({"providers": TWO[:1]})
    router.feedback({"decision_id": metadata["decision_id"], **GOOD})
    own = cells(router)
    engine = router.engine
    for _ in range(2):
        assert router.adopt(policy(state=state))
        assert cells(router) == {"b": tuple(row[3]["b"]), **own}
        state = {**state, "revision": state["revision"] + 1}
    assert router.engine is engine
    router.close()
    again = Router(settings(tmp_path))
    assert cells(again) == {"b": (pytest.approx(row[3]["b"][0]), row[3]["b"][1]), **own}
    again.close()


def test_state_of_another_strategy_is_left_out(state: dict[str, Any]) -> None:
    router = Router(settings())
    assert router.adopt(policy(strategy="ucb", state=state))
    assert router.engine.snapshot()["state"]["states"] == []
    router.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "the document", id="empty"),
        pytest.param('{"minPercent": 120}', "minPercent", id="a floor above 100"),
        pytest.param('{"strategy": "../ucb"}', "strategy", id="no name of a file"),
        pytest.param('{"stratgy": "ucb"}', "stratgy", id="a typo"),
        pytest.param('{"providers": [{"price": 1}]}', "unknown keys", id="a provider's typo"),
        pytest.param(
            '{"providers": [{"provider_id": "a"}, {"provider_id": "a"}]}', "two", id="a name twice"
        ),
        pytest.param('{"constraints": {"max_price": "x"}}', "max_price", id="no number"),
    ],
)
def test_a_policy_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        read_policy(path)


def test_a_missing_policy_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_policy(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        pytest.param("PORT", "70000", "PORT: .*65535", id="no port"),
        pytest.param("LOG_LEVEL", "loud", "LOG_LEVEL: .*'debug'", id="no level"),
        pytest.param("STRICT_AUDIT", "maybe", "STRICT_AUDIT: .*boolean", id="no truth"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=says):
        router_settings()


def test_the_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "LOG_LEVEL", "PSI_FIELD_URL", "MODEL_PATH", "STRICT_AUDIT", "AUTO_SAVE"):
        monkeypatch.delenv(name, raising=False)
    found = router_settings()
    assert (found.port, found.log_level, found.psi_field_url) == (8000, "info", "")
    assert str(found.model_path) == "/opt/aurora/q_table.json"
    assert (found.strict_audit, found.auto_save) == (False, True)
