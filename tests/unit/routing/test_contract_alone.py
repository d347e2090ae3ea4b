"""The package stands alone: standard library and numpy, and nothing else of the project."""

import ast
import subprocess
import sys
from pathlib import Path

import aurora.routing

ROOT = Path(aurora.routing.__file__).parent
ALLOWED = {*sys.stdlib_module_names, "numpy"}


def test_importing_it_brings_nothing_but_numpy_and_the_standard_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import aurora.routing\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before},"
        " *[m for m in sys.modules if m.startswith('aurora.')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    brought = set(run.stdout.split())
    own = {name for name in brought if name == "aurora" or name.startswith("aurora.routing")}
    # numpy's compiled parts register these two.
    foreign = {n for n in brought - own if n not in ALLOWED and "cython" not in n}
    assert foreign == set()


def test_no_module_imports_another_library_or_the_rest_of_the_project_at_its_top() -> None:
    """The command line is left out of the wheel, so it may import what it needs."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        if "cli" in place.parts:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found += [
                f"{place}: {name}"
                for name in names
                if not name.startswith("aurora.routing") and name.partition(".")[0] not in ALLOWED
            ]
    assert found == []


def test_the_wheel_has_the_version_of_the_project() -> None:
    repository = ROOT.parents[2]
    wheel = (repository / "packaging" / "intelligence" / "pyproject.toml").read_text()
    project = (repository / "pyproject.toml").read_text()
    version = next(line for line in project.splitlines() if line.startswith("version = "))
    assert version in wheel.splitlines()
