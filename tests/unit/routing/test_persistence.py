"""Learned state survives: torn files, older formats, two writers, lost answers, kills."""

import json
import math
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aurora.routing import (
    EngineSettings,
    JsonFile,
    QLearning,
    RoutingEngine,
    SqlState,
    StateConflictError,
    StateError,
    Strategist,
)
from aurora.routing.state_store import Write
from tests.support.postgres import Server, find_program, serving

STATE = ("inference", "A100", "eu")
CONTEXT = {"workload_type": "inference", "gpu_type": "A100", "region": "eu"}
PROVIDERS = [{"provider_id": "a"}, {"provider_id": "b"}]


def until(condition: Any, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        threading.Event().wait(0.01)
    return False


def count(strategist: Strategist, arm: str = "a") -> int:
    assert isinstance(strategist.strategy, QLearning)
    return strategist.strategy.count(STATE, arm)


def taught(path: Path, times: int = 3, **settings: Any) -> Strategist:
    strategist = Strategist(model_path=path, save_every=0, **settings)
    for _ in range(times):
        strategist.update_q_value(STATE, "a", 10.0)
    return strategist


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    first = taught(path)
    first.decay_epsilon()
    first.save()
    again = Strategist(model_path=path)
    assert again.strategy.snapshot() == first.strategy.snapshot()
    assert again.get_stats()["epsilon"] == pytest.approx(0.0995)
    document = json.loads(path.read_text())
    assert (document["version"], document["strategy"]) == (2, "q-learning")


def test_every_tenth_decision_saves_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    with RoutingEngine(model_path=path, settings=EngineSettings(seed=1)) as engine:
        for _ in range(9):
            engine.decide(CONTEXT, PROVIDERS)
        assert not path.exists()
        engine.decide(CONTEXT, PROVIDERS)
        assert until(path.exists)
    assert json.loads(path.read_text())["state"]["decisions"] == 10


def test_close_saves_the_rest_unless_auto_save_is_off(tmp_path: Path) -> None:
    for auto_save in (True, False):
        path = tmp_path / f"{auto_save}.json"
        engine = RoutingEngine(model_path=path, auto_save=auto_save)
        for _ in range(15):
            engine.decide(CONTEXT, PROVIDERS)
        engine.close()
        engine.close()
        assert path.exists() is auto_save


def test_a_program_that_ends_without_close_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    program = (
        "from aurora.routing import RoutingEngine\n"
        f"engine = RoutingEngine(model_path={str(path)!r})\n"
        "for _ in range(13):\n"
        f"    _, told = engine.decide({CONTEXT!r}, {PROVIDERS!r})\n"
        "    engine.feedback(told['decision_id'], True, 1.0, 1.0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    state = json.loads(path.read_text())["state"]
    assert state["decisions"] == 13
    assert sum(cell[1] for row in state["states"] for cell in row[3].values()) == 13


def test_a_killed_program_leaves_a_whole_file(tmp_path: Path) -> None:
    """Killed again and again while it saves without pause; the file is readable each time."""
    path = tmp_path / "q.json"
    program = (
        "from aurora.routing import Strategist\n"
        f"s = Strategist(model_path={str(path)!r}, save_every=0)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    s.update_q_value((f'w{n % 500}', 'g', 'r'), 'a', 1.0)\n"
        "    s.save()\n"
        "    n % 20 or print(n, flush=True)\n"
    )
    total = 0
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            saved = int(process.stdout.readline())
            process.kill()
        total += saved
        store = JsonFile(path)
        found = store.load("q-learning")
        assert found is not None
        assert store.warning is None
        counts = sum(cell[1] for row in found.snapshot["states"] for cell in row[3].values())
        assert counts >= total
        total = counts


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_kept_aside_and_the_backup_used(tmp_path: Path, share: float) -> None:
    path = tmp_path / "q.json"
    first = taught(path, times=3)
    first.save()
    first.update_q_value(STATE, "a", 10.0)
    first.save()
    whole = path.read_text()
    path.write_text(whole[: int(len(whole) * share)])
    again = Strategist(model_path=path)
    assert count(again) == 3
    assert "kept as q.json.damaged-1" in str(again.warning)
    assert (tmp_path / "q.json.damaged-1").read_text() == whole[: int(len(whole) * share)]
    again.save()
    assert count(Strategist(model_path=path)) == 3


def test_both_damaged_means_an_empty_start_and_nothing_deleted(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_bytes(b"\xff\xfe")
    (tmp_path / "q.json.bak").write_text("{")
    strategist = Strategist(model_path=path)
    assert strategist.get_stats()["q_states"] == 0
    assert (tmp_path / "q.json.damaged-1").read_bytes() == b"\xff\xfe"
    assert (tmp_path / "q.json.damaged-2").read_text() == "{"


def test_a_running_process_repairs_a_file_that_was_damaged_under_it(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    strategist = taught(path, times=3)
    strategist.save()
    strategist.update_q_value(STATE, "a", 10.0)
    strategist.save()
    path.write_text("{")
    strategist.update_q_value(STATE, "a", 10.0)
    strategist.save()
    assert count(Strategist(model_path=path)) == 5


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_older_version_is_read_and_written_anew(tmp_path: Path, wrapped: bool) -> None:
    path = tmp_path / "q.json"
    table: dict[str, Any] = {"inference|A100|eu": {"a": 4.5, "b": -1.0}}
    path.write_text(json.dumps({"version": 1, "q_table": table} if wrapped else table))
    strategist = Strategist(model_path=path)
    assert isinstance(strategist.strategy, QLearning)
    assert strategist.strategy.q_value(STATE, "a") == 4.5
    assert count(strategist) == 1
    strategist.save()
    assert json.loads(path.read_text())["version"] == 2
    assert json.loads((tmp_path / "q.json.bak").read_text()) in (
        table, {"version": 1, "q_table": table},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('{"format": "aurora-routing-state", "version": 3}', "upgrade", id="newer"),
        pytest.param('{"format": "other", "version": 1}', "holds no learned state", id="other"),
        pytest.param('{"name": "package"}', "holds no learned state", id="some JSON"),
        pytest.param("[1, 2]", "holds no learned state", id="a list"),
        pytest.param(
            '{"format": "aurora-routing-state", "version": 2, "strategy": "ucb", '
            '"revision": 1, "state": {}}',
            "learned by ucb, not q-learning",
            id="another strategy",
        ),
        pytest.param(
            '{"format": "aurora-routing-state", "version": 2, "strategy": "q-learning", '
            '"revision": 1, "state": {"decisions": 0, "states": [[1]]}}',
            "does not fit",
            id="a state that is none",
        ),
    ],
)
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "q.json"
    path.write_text(text)
    with pytest.raises(StateError, match=said):
        RoutingEngine(model_path=path)
    assert path.read_text() == text


def test_a_place_that_cannot_be_written_is_an_error_and_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot lock"):
        Strategist(model_path=tmp_path / "file" / "q.json")


def test_a_failed_save_loses_nothing_and_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    strategist = taught(path, times=2)
    other = taught(path, times=5)
    path.mkdir()
    with pytest.raises(StateError):
        strategist.save()
    strategist.update_q_value(STATE, "a", 10.0)
    path.rmdir()
    other.save()
    strategist.save()
    assert count(Strategist(model_path=path)) == 8
    assert not list(tmp_path.glob("*.new"))


def test_what_loading_replaced_is_not_saved_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "q.json"
    strategist = taught(path, times=3)
    strategist.save()
    strategist.update_q_value(STATE, "a", 10.0)
    with monkeypatch.context() as patch:
        patch.setattr(JsonFile, "_replace", lambda *_: (_ for _ in ()).throw(StateError("full")))
        with pytest.raises(StateError, match="full"):
            strategist.save()
    strategist.load()
    other = Strategist(model_path=path, save_every=0)
    other.update_q_value(STATE, "a", 10.0)
    other.save()
    strategist.save()
    assert count(strategist) == 4


def test_two_writers_of_one_file_lose_no_count(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    one, two = taught(path, 3), taught(path, 4)
    one.save()
    two.save()
    one.update_q_value(STATE, "a", 10.0)
    one.save()
    two.save()
    assert count(one) == count(two) == count(Strategist(model_path=path)) == 8


def test_two_processes_writing_at_once_lose_no_count(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    program = (
        "from aurora.routing import Strategist\n"
        f"s = Strategist(model_path={str(path)!r}, save_every=0)\n"
        "for _ in range(60):\n"
        "    s.update_q_value(('inference', 'A100', 'eu'), 'a', 1.0)\n"
        "    s.save()\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait(timeout=240) for process in started] == [0, 0, 0]
    assert count(Strategist(model_path=path)) == 180


class Lone:
    """A strategy that cannot merge."""

    name = "lone"

    def __init__(self) -> None:
        self.learned = 0

    def distribution(self, context, arms, rng, *, exploration=1.0):
        return [1.0 / len(arms)] * len(arms), [0.0] * len(arms)

    def update(self, context, arm, reward, at):
        self.learned += 1

    def forget(self, arm):
        pass

    def snapshot(self):
        return {"learned": self.learned}

    def restore(self, snapshot):
        self.learned = snapshot["learned"]

    def status(self):
        return {}


def test_a_strategy_that_cannot_merge_never_overwrites_anothers_work(tmp_path: Path) -> None:
    path = tmp_path / "lone.json"
    one = Strategist(Lone(), model_path=path, save_every=0)
    two = Strategist(Lone(), model_path=path, save_every=0)
    one.update_q_value(STATE, "a", 1.0)
    one.save()
    two.update_q_value(STATE, "a", 1.0)
    with pytest.raises(StateConflictError, match="give each process a place of its own"):
        two.save()
    one.update_q_value(STATE, "a", 1.0)
    one.save()
    again = Strategist(Lone(), model_path=path, save_every=0)
    assert again.strategy.snapshot() == {"learned": 2}


def test_a_background_failure_is_told_in_the_status_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "q.json"
    engine = RoutingEngine(model_path=path, settings=EngineSettings(seed=1, save_every=1))
    path.mkdir()
    engine.decide(CONTEXT, PROVIDERS)
    assert until(lambda: engine.get_status()["state_warning"] is not None)
    path.rmdir()
    engine.close()
    assert json.loads(path.read_text())["state"]["decisions"] == 1


def test_a_decision_does_not_wait_for_a_slow_disk() -> None:
    """The store hangs until it is let go; decisions and feedback go on meanwhile."""
    release, entered = threading.Event(), threading.Event()

    class Slow:
        warning = None

        def load(self, strategy: str) -> None:
            return None

        def save(self, write: Write) -> None:
            entered.set()
            assert release.wait(60)

        def close(self) -> None:
            pass

    engine = RoutingEngine(settings=EngineSettings(store=Slow(), save_every=1, seed=1))
    engine.decide(CONTEXT, PROVIDERS)
    assert entered.wait(20)
    for _ in range(1000):
        _, told = engine.decide(CONTEXT, PROVIDERS)
        engine.feedback(told["decision_id"], True, 1.0, 1.0)
    assert not release.is_set()
    release.set()
    engine.close()


def test_saving_while_others_decide_and_learn_is_consistent(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    engine = RoutingEngine(model_path=path, settings=EngineSettings(seed=1, save_every=1))

    def work() -> None:
        for _ in range(300):
            _, told = engine.decide(CONTEXT, PROVIDERS)
            engine.feedback(told["decision_id"], True, 1.0, 1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    state = json.loads(path.read_text())["state"]
    assert state["decisions"] == 1200
    assert sum(cell[1] for row in state["states"] for cell in row[3].values()) == 1200
    assert engine.get_status()["executor"]["total_outcomes"] == 1200


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    if find_program("initdb") is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with serving() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'q.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.create(f"routing_{secrets.token_hex(6)}")


def shared(url: str, name: str = "default") -> Strategist:
    return Strategist(store=SqlState(url, name=name), save_every=0)


def test_replicas_share_a_database(url: str) -> None:
    one, two, other = shared(url), shared(url), shared(url, "other")
    for strategist, times in ((one, 3), (two, 4), (other, 1)):
        for _ in range(times):
            strategist.update_q_value(STATE, "a", 10.0)
        strategist.save()
    one.save()
    assert count(one) == count(two) == 7
    assert count(other) == 1
    assert count(shared(url)) == 7
    for strategist in (one, two, other):
        strategist.close()


def test_writers_racing_for_a_row_lose_no_count(url: str) -> None:
    replicas = [shared(url) for _ in range(4)]
    failures: list[Exception] = []

    def work(strategist: Strategist) -> None:
        try:
            for _ in range(10):
                strategist.update_q_value(STATE, "a", 1.0)
                strategist.save()
        except Exception as error:  # noqa: BLE001  # shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=work, args=(replica,)) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count(shared(url)) == 40


def test_a_commit_whose_answer_was_lost_is_not_counted_twice(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlState(url)
    strategist = Strategist(store=store, save_every=0)
    strategist.update_q_value(STATE, "a", 10.0)
    put = store._put

    def lost(*args: Any) -> bool:
        known = store._seen
        assert put(*args)
        store._seen = known
        raise StateError("the connection broke after the commit")

    monkeypatch.setattr(store, "_put", lost)
    with pytest.raises(StateError, match="after the commit"):
        strategist.save()
    monkeypatch.setattr(store, "_put", put)
    strategist.update_q_value(STATE, "a", 10.0)
    strategist.save()
    assert count(strategist) == count(shared(url)) == 2


def test_a_damaged_row_is_an_error_and_not_overwritten(url: str) -> None:
    strategist = shared(url)
    strategist.update_q_value(STATE, "a", 10.0)
    strategist.save()
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE aurora_routing_state SET document = '{'")
    with pytest.raises(StateError, match="is damaged"):
        shared(url)
    with pytest.raises(StateError, match="is damaged"):
        strategist.save()
    engine.dispose()


def test_another_strategys_row_is_refused(url: str) -> None:
    shared(url).save()
    with pytest.raises(StateError, match="learned by q-learning, not lone"):
        Strategist(Lone(), store=SqlState(url))


@pytest.mark.postgres
def test_a_wrong_password_is_told_without_it(postgres: Server) -> None:
    url = Server(postgres.port, "not-the-password").url("postgres")
    with pytest.raises(StateError) as caught:
        SqlState(url)
    assert "not-the-password" not in str(caught.value)


@pytest.mark.parametrize("bad", ["nothing://x", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_is_not_there_is_one_line(bad: str) -> None:
    with pytest.raises(StateError, match="the state database failed") as caught:
        SqlState(bad)
    assert "\n" not in str(caught.value)


def test_a_missing_sqlalchemy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(StateError, match="pip install sqlalchemy"):
        SqlState("sqlite://")


def test_numbers_that_are_not_finite_never_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    strategist = taught(path)
    strategist.save()
    before = path.read_text()
    assert isinstance(strategist.strategy, QLearning)
    strategist.strategy._rows[STATE].q["a"] = math.nan
    with pytest.raises(StateError, match="cannot write"):
        strategist.save()
    assert path.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["q.json", "q.json.lock"]
