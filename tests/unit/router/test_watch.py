"""The policy file is read when it changed, and only then."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.router import watch
from aurora.router.service import Router
from aurora.router.settings import RouterSettings
from aurora.router.telemetry import RouterMetrics
from aurora.router.watch import PolicyWatch


@pytest.fixture
def router() -> Iterator[Router]:
    made = Router(RouterSettings(model_path=Path()))
    yield made
    made.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []
    read = watch.read_policy

    def counted(path: Path) -> object:
        found.append(path)
        return read(path)

    monkeypatch.setattr(watch, "read_policy", counted)
    return found


def strategy(name: str) -> str:
    return json.dumps({"strategy": name})


def test_a_file_that_did_not_change_is_read_once(
    tmp_path: Path, router: Router, reads: list[Path]
) -> None:
    path, metrics = tmp_path / "policy.json", RouterMetrics()
    found = PolicyWatch(path, router, metrics)
    found.look()
    found.look()
    assert (len(reads), metrics.policy_ok._value.get()) == (1, 0.0)
    path.write_text(strategy("ucb"))
    for _ in range(3):
        found.look()
    assert (len(reads), router.policy.strategy) == (2, "ucb")
    assert metrics.policy_ok._value.get() == 1.0
    path.write_text('{"strategy')
    found.look()
    assert (router.policy.strategy, metrics.policy_ok._value.get()) == ("ucb", 0.0)


def test_another_file_behind_the_same_link_is_taken_over(tmp_path: Path, router: Router) -> None:
    # As the kubelet changes a mounted ConfigMap: the link is put in place of the one before.
    for name in ("thompson", "weighted"):  # of the same length
        folder = tmp_path / name
        folder.mkdir()
        (folder / "policy.json").write_text(strategy(name))
        os.utime(folder / "policy.json", ns=(0, 0))
    data = tmp_path / "data"
    data.symlink_to("thompson")
    found = PolicyWatch(data / "policy.json", router, RouterMetrics())
    found.look()
    assert router.policy.strategy == "thompson"
    other = tmp_path / "other"
    other.symlink_to("weighted")
    other.rename(data)
    found.look()
    assert router.policy.strategy == "weighted"
