"""Condition rules: what matches, what is refused, and what cannot be abused."""

import sys
from typing import Any

import numpy as np
import pytest

from aurora.routing.errors import InputError
from aurora.routing.rules.strategy import Rules
from aurora.routing.types import WorkloadContext

pytest.importorskip("cel_expr_python", reason="the extra `rules` is not installed")
RNG = np.random.default_rng(1)
ARMS = ("small", "large", "eu")


def decided(
    rules: list[dict[str, Any]], arms: tuple[str, ...] = ARMS, **context: Any
) -> dict[str, float]:
    found, scores = Rules(rules=rules).distribution(WorkloadContext(**context), arms, RNG)
    assert len(scores) == len(arms)
    return {arm: share for arm, share in zip(arms, found, strict=True) if share}


HARD = {"when": "complexity > 0.7", "use": ["large", "small"], "name": "hard"}
EU = {"when": 'region == "eu" || tenant.startsWith("eu-")', "use": {"eu": 1}}
REST = {"use": {"small": 90, "large": 10}}


@pytest.mark.parametrize(
    ("rules", "arms", "context", "expected"),
    [
        pytest.param([HARD, REST], ARMS, {"complexity": 0.9}, {"large": 1.0}, id="it holds"),
        pytest.param(
            [HARD, REST], ARMS, {"complexity": 0.1}, {"small": 0.9, "large": 0.1}, id="the next one"
        ),
        pytest.param(
            [HARD, REST],
            ("small", "eu"),
            {"complexity": 0.9},
            {"small": 1.0},
            id="the chain goes on when its first arm is gone",
        ),
        pytest.param(
            [HARD, REST],
            ARMS,
            {},
            {"small": 0.9, "large": 0.1},
            id="what is not known does not hold",
        ),
        pytest.param(
            [{"when": 'complexity > 0.7 || region == "eu"', "use": ["eu"]}, REST],
            ARMS,
            {"region": "eu"},
            {"eu": 1.0},
            id="what is not known does not matter",
        ),
        pytest.param(
            [EU, HARD],
            ARMS,
            {"tenant": "eu-1", "complexity": 0.9},
            {"eu": 1.0},
            id="the first of two that hold",
        ),
        pytest.param(
            [EU, REST],
            ("small", "large"),
            {"region": "eu"},
            {"small": 0.9, "large": 0.1},
            id="a rule without a candidate is passed over",
        ),
        pytest.param(
            [HARD], ("x", "y"), {"complexity": 0.9}, {"x": 0.5, "y": 0.5}, id="no rule decides"
        ),
        pytest.param(
            [{"when": "token_estimate >= 1000.0", "use": ["large"]}],
            ARMS,
            {"token_estimate": 1000},
            {"large": 1.0},
            id="whole numbers are numbers",
        ),
    ],
)
def test_who_serves(rules: Any, arms: Any, context: Any, expected: Any) -> None:
    assert decided(rules, arms, **context) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param({"when": "complexty > 0.7", "use": ["a"]}, "complexty", id="a misspelt name"),
        pytest.param({"when": "complexity > 1", "use": ["a"]}, "4.0", id="a whole number"),
        pytest.param({"when": "region >", "use": ["a"]}, "Syntax error", id="half a condition"),
        pytest.param({"when": "complexity", "use": ["a"]}, "true or false", id="a number"),
        pytest.param({"when": "[1, 2].exists(a, a > 1)", "use": ["a"]}, "not allowed", id="a loop"),
        pytest.param(
            {"when": "[1, 2] . map (a, a) == [1]", "use": ["a"]},
            "not allowed",
            id="a loop with blanks",
        ),
        pytest.param(
            {"when": "[1, 2].//x\nall //y\n (a, a > 0)", "use": ["a"]},
            "not allowed",
            id="a loop with comments",
        ),
        pytest.param({"when": "__import__('os')", "use": ["a"]}, "__import__", id="Python"),
        pytest.param({"when": "true || " * 200 + "true", "use": ["a"]}, "1024", id="too long"),
        pytest.param({"when": "true", "use": []}, "rule 1", id="nobody to use"),
        pytest.param({"when": "true", "use": "a"}, "rule 1", id="a text instead of a list"),
        pytest.param({"when": "true", "use": {"a": 0}}, "rule 1", id="only weights of 0"),
        pytest.param({"if": "true", "use": ["a"]}, "if", id="an unknown key"),
    ],
)
def test_what_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")) as raised:
        Rules(rules=[rule])
    assert "\n" not in str(raised.value)


def test_matches_are_counted() -> None:
    strategy = Rules(rules=[HARD])
    for complexity in (0.9, 0.8, 0.1):
        strategy.distribution(WorkloadContext(complexity=complexity), ARMS, RNG)
    assert strategy.status() == {"matched_hard": 2.0, "unmatched": 1.0}


def test_without_the_extra_rules_with_conditions_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    with pytest.raises(InputError, match="install cel-expr-python"):
        Rules(rules=[HARD])
    assert Rules(rules=[REST]).distribution(WorkloadContext(), ("small",), RNG)[0] == [1.0]
