"""The fleet and the operator as processes of their own, kept beside the control plane's.

They carry the mark of the state folder in their environment, as the control plane's programs do:
`aurora local down` with the same folder stops them too, however the demo itself ended.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aurora.demo.errors import DemoError
from aurora.local.process import FOLDER_MARK, NAME_MARK, telling_line

__all__ = ["Programs"]

GRACE_S: Final = 8.0
"""The operator gives its Lease back when it is asked to end."""
_HIDDEN_PREFIX: Final = "AURORA_"


class Programs:
    """Starts `aurora` subcommands and ends them again.

    Args:
        folder: state folder of the control plane.
        logs: where their output goes, as NAME.log.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """Run `aurora ARGUMENTS`; settings of this shell's AURORA_ variables do not reach it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN_PREFIX)}
        marks = {FOLDER_MARK: str(self._folder), NAME_MARK: name}
        with self.log(name).open("wb") as output:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "aurora.cli", *arguments],
                env={**kept, **settings, **marks},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for the demo, which ends its programs in order.
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self._logs / f"{name}.log"

    def require_alive(self) -> None:
        """Check that every program runs.

        Raises:
            DemoError: one stopped; says which, and the most telling line of its log.
        """
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                line = telling_line(self.log(name)) or "it wrote nothing to its log"
                raise DemoError(f"{name} stopped with exit code {code}: {line}")

    def stop(self) -> None:
        """End all of them, by force when they do not end by themselves."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
