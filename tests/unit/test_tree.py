"""Rules about the tree itself that no linter knows."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "operator").rglob("*.py"))


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_the_folder_operator_is_no_package() -> None:
    # The standard library has a module of that name.
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_300_lines_at_most(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 300


def test_no_file_holds_an_open_note_or_a_machine_path() -> None:
    note = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|raise NotImplemented" + "Error")
    place = re.compile(r"(?<![\w.])/(w" + r"ork|far" + r"m|roo" + r"t)/")
    found = []
    for path in tracked():
        if path.suffix in {".lock", ".sum", ".mod"} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {one[0]}" for one in note.finditer(text)]
        found += [f"{path.relative_to(ROOT)}: {one[0]}" for one in place.finditer(text)]
    assert found == []


@pytest.mark.parametrize("extra", ["postgres", "rules"])
def test_the_image_has_what_the_chart_and_the_samples_need(extra: str) -> None:
    """A secret may name a PostgreSQL, and a router's rule may have a condition."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = (ROOT / "requirements" / "runtime.lock").read_text()
    for wanted in project["optional-dependencies"][extra]:
        name = re.split(r"[\[><=]", wanted)[0]
        assert re.search(rf"^{name}(\[\w+\])?==", locked, re.MULTILINE)


def test_nothing_big_is_tracked() -> None:
    big = [path.name for path in tracked() if path.is_file() and path.stat().st_size > 1_000_000]
    assert big == []
