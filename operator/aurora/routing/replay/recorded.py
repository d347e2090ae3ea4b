"""The RouteLLM MMLU file: for each question, whether a weak and a strong model answered it right.

Columns `domain,prompt,<weak>_correct,<strong>_correct` (RouteLLM, Ong et al., 2024, Apache-2.0).
What a router may know before it decides is the domain and what a gateway can count in the prompt
in microseconds; nothing here reads an answer.
"""

import csv
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["DIMENSION", "STRONG", "WEAK", "Recorded", "load_recorded"]

WEAK: Final = "weak"
STRONG: Final = "strong"
_ANSWERS: Final = frozenset({"True", "False"})
_COUNTED: Final = 10
_SLOTS: Final = 64
DIMENSION: Final = _COUNTED + _SLOTS
"""A bias, nine counts of the prompt, and the domain hashed with sign (see routing.features)."""

Flags = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stream with both outcomes of every request, 1 for a right answer."""

    contexts: Sequence[WorkloadContext]
    weak: Flags
    strong: Flags
    names: tuple[str, str]

    def __len__(self) -> int:
        return len(self.contexts)


def load_recorded(path: Path, limit: int | None = None) -> Recorded:
    """Read the file; InputError when it is not such a file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = [name for name in reader.fieldnames or () if name.endswith("_correct")]
            if len(columns) != 2 or not {"domain", "prompt"} <= set(reader.fieldnames or ()):
                raise InputError(
                    f"{path} needs the columns domain, prompt, WEAK_correct and STRONG_correct"
                )
            rows = [row for _, row in zip(range(limit or 10**9), reader, strict=False)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise InputError(f"{path} has no rows")
    _check(rows, columns, path)
    answers = [
        np.array([row[name] == "True" for row in rows], dtype=np.float64) for name in columns
    ]
    weak, strong = sorted(range(2), key=lambda index: float(answers[index].mean()))
    names = columns[weak].removesuffix("_correct"), columns[strong].removesuffix("_correct")
    contexts = [_context(row["domain"], row["prompt"]) for row in rows]
    return Recorded(contexts, answers[weak], answers[strong], names)


def _check(rows: Sequence[Mapping[str, str | None]], columns: Sequence[str], path: Path) -> None:
    """A value that is misread would be a wrong answer of a model, and nobody would notice."""
    for number, row in enumerate(rows, start=1):
        if row["domain"] is None or row["prompt"] is None:
            raise InputError(f"{path}: question {number} has no domain or no prompt")
        found = next((name for name in columns if row[name] not in _ANSWERS), None)
        if found is not None:
            raise InputError(
                f"{path}: {found} of question {number} is {row[found]!r}; write True or False"
            )


def _context(domain: str, prompt: str) -> WorkloadContext:
    counts = _counts(prompt)
    slots = [0.0] * _SLOTS
    hashed = zlib.crc32(domain.encode())
    slots[(hashed >> 1) % _SLOTS] = 1.0 if hashed & 1 else -1.0
    return WorkloadContext(
        workload_type=domain,
        task_type=domain,
        complexity=min(1.0, counts[1]),
        token_estimate=len(prompt) / 4.0,
        features=(*counts, *slots),
    )


def _counts(prompt: str) -> list[float]:
    """Plain counts, each scaled to about 0..1."""
    length = max(1, len(prompt))
    words = prompt.split()
    return [
        1.0,
        math.log1p(length) / 8.0,
        5.0 * sum(map(str.isdigit, prompt)) / length,
        prompt.count("\n") / 10.0,
        float("?" in prompt),
        float("$" in prompt),
        float(" not " in prompt.lower()),
        float("_" in prompt),
        prompt.count(",") / 20.0,
        sum(map(len, words)) / max(1, len(words)) / 8.0,
    ]
