"""Replays of recorded streams: what is read, what is measured, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from aurora.routing.cli import app
from aurora.routing.errors import InputError
from aurora.routing.evaluation import Evaluation
from aurora.routing.evaluation.comparison import Side
from aurora.routing.replay import quality
from aurora.routing.replay.ab import build_policy, run_trial
from aurora.routing.replay.frontier import PRICES, Costs, Point, search, spread_of
from aurora.routing.replay.open_bandit import agreement, load_open_bandit
from aurora.routing.replay.recorded import DIMENSION, Recorded, load_recorded
from aurora.routing.replay.routers import missing
from aurora.routing.types import WorkloadContext

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 questions: the strong model is needed in one domain and no better in the other."""
    rng = np.random.default_rng(1)
    lines = ["domain,prompt,small_correct,large_correct"]
    for index in range(600):
        hard = index % 2 == 1
        small = rng.random() < (0.3 if hard else 0.9)
        large = rng.random() < 0.9
        domain = "college_law" if hard else "trivia"
        lines.append(f'{domain},"Question {index}, which?",{bool(small)},{bool(large)}')
    path = tmp_path_factory.mktemp("data") / "questions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2)
    lines = [",item_id,position,click,propensity_score"]
    lines += [
        f"{index},{rng.integers(8)},1,{int(rng.random() < 0.1)},0.125" for index in range(4000)
    ]
    path = tmp_path_factory.mktemp("data") / "clicks.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def called(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_recording_is_read_with_the_weaker_model_first(questions: Path) -> None:
    stream = load_recorded(questions)
    assert len(stream) == 600
    assert stream.names == ("small", "large")
    assert stream.weak.mean() < stream.strong.mean()
    assert {len(context.features or ()) for context in stream.contexts} == {DIMENSION}
    assert stream.contexts[0].task_type == "trivia"


def test_features_hold_nothing_of_the_answers(questions: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped.csv"
    text = questions.read_text().replace("True", "#").replace("False", "True")
    swapped.write_text(text.replace("#", "False"))
    one, two = load_recorded(questions, 50), load_recorded(swapped, 50)
    assert [c.features for c in one.contexts] == [c.features for c in two.contexts]


@pytest.mark.parametrize(
    ("accuracies", "cost"),
    [
        pytest.param([0.9, 0.88, 0.86, 0.84, 0.82, 0.78, 0.76], 10.5, id="between two prices"),
        pytest.param([0.9] * 7, 7.0, id="the thriftiest run is enough"),
        pytest.param([0.7] * 7, None, id="no run is enough"),
    ],
)
def test_the_cost_at_a_quality(accuracies: list[float], cost: float | None) -> None:
    played = []

    def play(price: float) -> Point:
        at = PRICES.index(price)
        played.append(at)
        return Point(accuracies[at], [20.0, 18.0, 16.0, 14.0, 12.0, 10.0, 7.0][at])

    found = search(play, 0.79)
    assert found.cost == (None if cost is None else pytest.approx(cost))
    assert len(played) == len(set(played)) == len(found.points)


def test_an_interval_over_seeds_is_students() -> None:
    values = [1.0, 2.0, 4.0, 5.0, 8.0]
    found = spread_of(values)
    assert found is not None
    assert found.mean == 4.0
    # t(0.975, 4) = 2.776; standard deviation 2.7386.
    assert found.half_width == pytest.approx(2.776 * 2.7386 / 5**0.5, rel=0.01)
    assert spread_of([]) is None


def test_who_knows_the_domain_spends_less_for_the_same_quality(questions: Path) -> None:
    stream = load_recorded(questions)
    plan = quality.Plan(stream, Costs(), 0.95, ["thompson", "random", quality.BEST_SINGLE], 3)
    found = quality.as_json(plan, quality.replay(plan))
    costs = {row["router"]: row["cost"]["mean"] for row in found["routers"]}
    assert costs["best-single"] == 25.0
    assert found["oracle_cost"] < costs["thompson"] < 0.85 * costs["random"]
    own, chance, best = found["routers"]
    less = own["difference_from"]["random"]
    pairs = zip(own["cost_by_seed"], chance["cost_by_seed"], strict=True)
    assert less["mean"] == pytest.approx(np.mean([a - b for a, b in pairs]))
    assert less["mean"] + less["half_width"] < 0.0
    assert less["seeds"] == 3
    assert chance["difference_from"] == best["difference_from"] == {}


@pytest.mark.parametrize("router", ["linucb", "lints", "q-learning", "epsilon-greedy", "vw"])
def test_every_router_runs(questions: Path, router: str) -> None:
    if missing(router):
        pytest.skip(str(missing(router)))
    plan = quality.Plan(load_recorded(questions, 120), Costs(), 0.5, [router], 1)
    row = quality.as_json(plan, quality.replay(plan))["routers"][0]
    assert 1.0 <= row["cost"]["mean"] <= 25.0


def test_replay_in_json(questions: Path) -> None:
    done = called(
        "replay",
        "--data",
        questions,
        "--routers",
        "thompson,random,best-single",
        "--seeds",
        2,
        "--limit",
        200,
        "--output",
        "json",
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert [row["router"] for row in found["routers"]] == ["thompson", "random", "best-single"]
    assert found["seeds"] == 2


def test_a_baseline_that_is_not_installed_is_skipped_in_words(
    questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vowpalwabbit", None)
    done = called("replay", "--data", questions, "--routers", "vw", "--seeds", 1, "--limit", 50)
    assert done.exit_code == 0, done.output
    assert "vowpalwabbit is not installed" in done.output


def test_open_bandit_estimates_agree_with_the_log(clicks: Path) -> None:
    log = load_open_bandit(clicks)
    found = agreement(log, seeds=5)
    assert found.value in found.interval
    assert isinstance(found.whole, Evaluation)
    for one in found.thinned:
        assert isinstance(one.found, Evaluation)
        assert one.found.samples < len(log.steps)
        assert one.found.mean_weight != 1.0
        assert one.within == {"ips": True, "snips": True, "dr": True}


def test_open_bandit_in_json_and_as_text(clicks: Path) -> None:
    done = called("replay", "--data", clicks, "--seeds", 2, "--output", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["within_logged_interval"]["ips"] == 2
    assert "2 of 2" in called("replay", "--data", clicks, "--seeds", 2).output


@pytest.mark.skipif(not (SHARED / "open_bandit").is_dir(), reason="no ../shared/data/open_bandit")
def test_the_uniform_policy_of_open_bandit_is_estimated_within_its_logged_bounds() -> None:
    log = load_open_bandit(SHARED / "open_bandit" / "random_men.csv")
    found = agreement(log, seeds=5)
    assert found.samples == 10_000
    assert all(all(one.within.values()) and one.within for one in found.thinned)


def test_side_a_gets_its_share_and_the_better_policy_wins(questions: Path) -> None:
    stream = load_recorded(questions)
    sides = {
        side: build_policy(name, 0.0, 1)
        for side, name in zip(Side, ("strong", "weak"), strict=True)
    }
    trial = run_trial(stream, sides, Costs(), price=0.0, percent=30.0, seed=1)
    assert trial.reward.a.count + trial.reward.b.count == 600
    assert trial.reward.a.count == pytest.approx(180, abs=45)
    assert trial.reward.verdict.value == "ABetter"
    assert trial.cost[Side.A].mean == pytest.approx(25.0, abs=1.0)


def test_a_policy_against_itself_is_no_difference(questions: Path) -> None:
    done = called("ab", "--data", questions, "--policies", "weak,weak", "--output", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["difference"]["verdict"] == "NoDifference"
    assert found["difference"]["lower"] < 0.0 < found["difference"]["upper"]


def test_ai_against_rules_on_a_stream(questions: Path, tmp_path: Path) -> None:
    pytest.importorskip("cel_expr_python")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"when": 'task_type == "trivia"', "use": ["strong"]}]))
    done = called(
        "ab",
        "--data",
        questions,
        "--policies",
        "ai,rules",
        "--rules",
        rules,
        "--seeds",
        2,
        "--output",
        "json",
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert [side["policy"] for side in found["sides"]] == ["ai", "rules"]
    assert found["seeds"] == 2
    assert "p = " in called("ab", "--data", questions, "--rules", rules).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["replay", "--data", "no-such.csv"], "cannot be read", id="no file"),
        pytest.param(["replay", "--data", "BAD"], "needs the columns", id="another file"),
        pytest.param(["replay", "--data", "Q", "--routers", "x"], "choose among", id="a router"),
        pytest.param(["replay", "--data", "Q", "--quality", "0"], "--quality", id="a quality"),
        pytest.param(["replay", "--data", "Q", "--weak-cost", "30"], "costs must be", id="costs"),
        pytest.param(["ab", "--data", "Q", "--policies", "ai"], "two names", id="one policy"),
        pytest.param(
            ["ab", "--data", "Q", "--policies", "ai,x"], "no policy is named", id="a name"
        ),
        pytest.param(["ab", "--data", "Q", "--percent", "120"], "percent must be", id="a percent"),
        pytest.param(["ab", "--data", "Q", "--rules", "BAD"], "--rules", id="rules"),
    ],
)
def test_bad_input_is_exit_code_2_and_one_line(
    arguments: list[str], message: str, questions: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    places = {"Q": questions, "BAD": bad}
    done = called(*(places.get(one, one) for one in arguments))
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param("1,0,0.5\n2,1,0.25", "uniform", id="propensities that differ"),
        pytest.param("1,0,0.25\n2,1,0.25", "do not sum to 1", id="items that were never shown"),
        pytest.param("1,nan,0.5\n2,1,0.5", "click nan", id="a click that is no number"),
        pytest.param("1,5,0.5\n2,1,0.5", "click 5", id="five clicks on one item"),
        pytest.param("1,,0.5\n2,1,0.5", "no number", id="no click"),
        pytest.param("1,0,nan\n2,1,nan", "propensities differ", id="NaN propensities"),
    ],
)
def test_a_log_that_tells_nothing_of_the_uniform_policy_is_refused(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"item_id,click,propensity_score\n{rows}\n")
    with pytest.raises(InputError, match=message):
        load_open_bandit(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param("law,why?,true,1", "write True or False", id="other words for yes"),
        pytest.param("law,why?,True,", "write True or False", id="no answer"),
        pytest.param("law,why?,True", "write True or False", id="a column less"),
        pytest.param("law", "no domain or no prompt", id="a line that ends early"),
    ],
)
def test_a_recording_that_could_be_misread_is_refused(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "recorded.csv"
    path.write_text(f"domain,prompt,a_correct,b_correct\nlaw,who?,True,False\n{rows}\n")
    with pytest.raises(InputError, match=f"question 2.*{message}"):
        load_recorded(path)


def test_the_oracle_is_the_least_that_can_be_paid() -> None:
    contexts = [WorkloadContext(task_type=str(index)) for index in range(10)]
    weak, strong = np.array([1.0] * 5 + [0.0] * 5), np.ones(10)
    stream = Recorded(contexts, weak, strong, ("w", "s"))
    plan = quality.Plan(stream, Costs(1.0, 11.0), 0.8, [], 1)
    # 8 of 10 right: three of the five hard ones go to the strong model.
    assert quality.as_json(plan, {})["oracle_cost"] == pytest.approx(1.0 + 0.3 * 10.0)
    enough = quality.Plan(stream, Costs(1.0, 11.0), 0.5, [], 1)
    assert quality.as_json(enough, {})["oracle_cost"] == 1.0
