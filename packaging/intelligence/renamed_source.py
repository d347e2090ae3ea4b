# ruff: noqa: INP001  # a build hook is in no package
"""Build hook: `aurora.routing` under the import name `aurora_intelligence`.

Built from the repository, the source is read from operator/aurora/routing and renamed in a
temporary folder. Built from the source distribution, the renamed source is already there.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "aurora_intelligence"
FOLDER = "renamed"
"""Of the source distribution; hatchling would add what it finds under src/ a second time."""
SOURCE = Path("operator") / "aurora" / "routing"
LEFT_OUT = {"__pycache__", "cli"}
"""The command line is the operator's, and needs more than numpy."""
OLD_NAME = re.compile(r"\baurora\.routing\b")
STRAY = re.compile(r"^\s*(?:from|import)\s+aurora\b", re.MULTILINE)


def renamed(source: Path, target: Path) -> None:
    """Copy the package with its new name; RuntimeError when it imports what would be missing."""
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        if path.is_dir() or LEFT_OUT & set(place.parts):
            continue
        new = target / place
        new.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".py":
            shutil.copyfile(path, new)
            continue
        text = OLD_NAME.sub(NAME, path.read_text(encoding="utf-8"))
        if STRAY.search(text):
            raise RuntimeError(f"{path} imports the operator; the package must stand alone")
        new.write_text(text, encoding="utf-8")
    (target / "py.typed").touch()


class RenamedSource(BuildHookInterface):
    """Adds the renamed package to a wheel or a source distribution."""

    _folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        here = Path(self.root)
        package = here / FOLDER / NAME
        licence = here / "LICENSE"
        repository = here.parent.parent
        if (repository / SOURCE).is_dir():
            self._folder = tempfile.mkdtemp(prefix=f"{NAME}-")
            package = Path(self._folder) / NAME
            renamed(repository / SOURCE, package)
            licence = repository / "LICENSE"
        wheel = self.target_name == "wheel"
        build_data["force_include"][str(package)] = NAME if wheel else f"{FOLDER}/{NAME}"
        build_data["force_include"][str(licence)] = f"{NAME}/LICENSE" if wheel else "LICENSE"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
