"""Recorded load: a Trace value, the reader of the Azure format, and what may be done to it."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aurora.errors import UsageError
from aurora.simulator.faults import LoadSpikes, LoadStep, RepeatedPrompts
from aurora.simulator.requests import Request

__all__ = [
    "AZURE_COLUMNS",
    "RecordedSource",
    "Trace",
    "TraceSource",
    "malformed",
    "read_azure",
    "resample",
    "with_load_spikes",
    "with_load_step",
    "with_repeated_prompts",
]

AZURE_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
# Copies of one request are spread over this time, or they would all hit the same step.
_COPY_SPREAD_S = 1.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals in order of time.

    Attributes:
        name: what to call it in a table.
        times: arrival times, seconds from the start.
        prompt_tokens: tokens of each prompt.
        output_tokens: tokens that each request generates.
        prompt_ids: equal where prompts repeat exactly, -1 where a prompt is unique.
        duration_s: length of the recording, seconds; at least the last arrival.
    """

    name: str
    times: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    prompt_ids: Ints
    duration_s: float

    def __len__(self) -> int:
        return len(self.times)

    def requests(self) -> Iterator[Request]:
        """Give the arrivals as requests, numbered from 0."""
        columns = (self.times, self.prompt_tokens, self.output_tokens, self.prompt_ids)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for number, (at, prompt, output, prompt_id) in enumerate(rows):
            yield Request(number, at, prompt, output, None if prompt_id < 0 else prompt_id)

    def first(self, seconds: float) -> "Trace":
        """Give the part before `seconds`."""
        return replace(self._where(self.times < seconds), duration_s=min(seconds, self.duration_s))

    def since(self, seconds: float) -> "Trace":
        """Give the part from `seconds` on, with its times counted from there.

        Raises:
            UsageError: the trace is over by then.
        """
        if seconds >= self.duration_s:
            raise UsageError(f"no request from {seconds:g} s on: it is {self.duration_s:g} s long")
        part = self._where(self.times >= seconds)
        return replace(part, times=part.times - seconds, duration_s=self.duration_s - seconds)

    def _where(self, mask: npt.NDArray[np.bool_]) -> "Trace":
        return replace(
            self,
            times=self.times[mask],
            prompt_tokens=self.prompt_tokens[mask],
            output_tokens=self.output_tokens[mask],
            prompt_ids=self.prompt_ids[mask],
        )


class TraceSource(Protocol):
    """Something that load can be drawn from, again and again."""

    @property
    def name(self) -> str:
        """What to call it in a table."""

    def draw(self, rng: np.random.Generator, factor: float = 1.0) -> Trace:
        """Draw arrivals at `factor` times the recorded rate."""


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """A recording, thinned or multiplied at random to the factor that is asked for."""

    trace: Trace

    @property
    def name(self) -> str:
        return self.trace.name

    def draw(self, rng: np.random.Generator, factor: float = 1.0) -> Trace:
        return resample(self.trace, np.full(len(self.trace), factor), rng)


def resample(trace: Trace, factors: Floats, rng: np.random.Generator) -> Trace:
    """Copy each arrival `factor` times on average: below 1 thins, above 1 multiplies.

    The first copy keeps its time; further ones follow within a second.
    """
    copies = np.floor(factors + rng.random(len(trace))).astype(np.int64)
    chosen = np.repeat(np.arange(len(trace)), copies)
    follower = np.diff(chosen, prepend=-1) == 0
    times = trace.times[chosen] + follower * rng.uniform(0.0, _COPY_SPREAD_S, len(chosen))
    order = np.argsort(times, kind="stable")
    chosen = chosen[order]
    return replace(
        trace,
        times=times[order],
        prompt_tokens=trace.prompt_tokens[chosen],
        output_tokens=trace.output_tokens[chosen],
        prompt_ids=trace.prompt_ids[chosen],
        duration_s=max(trace.duration_s, float(times.max(initial=0.0))),
    )


def with_load_step(trace: Trace, fault: LoadStep, rng: np.random.Generator) -> Trace:
    """Multiply the load while the step lasts."""
    inside = (trace.times >= fault.start) & (trace.times < fault.end)
    return resample(trace, np.where(inside, fault.factor, 1.0), rng)


def with_load_spikes(trace: Trace, fault: LoadSpikes, rng: np.random.Generator) -> Trace:
    """Multiply the load in short spikes at random times."""
    factors = np.ones(len(trace))
    at = fault.start + rng.exponential(fault.gap_s)
    while at < fault.end:
        factors[(trace.times >= at) & (trace.times < at + fault.length_s)] = fault.factor
        at += fault.length_s + rng.exponential(fault.gap_s)
    return resample(trace, factors, rng)


def with_repeated_prompts(trace: Trace, fault: RepeatedPrompts, rng: np.random.Generator) -> Trace:
    """Make a share of the arrivals repeat one of a few prompts exactly."""
    during = (trace.times >= fault.start) & (trace.times < fault.end)
    inside = during & (rng.random(len(trace)) < fault.share)
    originals = np.flatnonzero(inside)[: fault.distinct]
    if originals.size == 0:
        return trace
    picks = rng.integers(originals.size, size=int(inside.sum()))
    prompts, outputs = trace.prompt_tokens.copy(), trace.output_tokens.copy()
    identifiers = trace.prompt_ids.copy()
    prompts[inside] = trace.prompt_tokens[originals[picks]]
    outputs[inside] = trace.output_tokens[originals[picks]]
    identifiers[inside] = picks + 1 + trace.prompt_ids.max(initial=-1)
    return replace(trace, prompt_tokens=prompts, output_tokens=outputs, prompt_ids=identifiers)


def malformed(path: Path, line: int, found: object, expected: str) -> UsageError:
    """Name file, line, what stands there and what should."""
    return UsageError(f"{path} line {line}: expected {expected}, found {str(found)[:80]!r}")


def read_azure(path: Path) -> Trace:
    """Read the Azure LLM inference format: a time and two token counts a row.

    Raises:
        UsageError: unreadable, or a row is not as expected; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(_azure_rows(path, csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the trace {path}: {error}") from error
    if not rows:
        raise UsageError(f"{path} has no requests: expected at least one row after the header")
    rows.sort(key=lambda row: row[0])
    stamps, prompts, outputs = (np.array(column) for column in zip(*rows, strict=True))
    times = stamps - stamps[0]
    return Trace(
        name=path.stem,
        times=times,
        prompt_tokens=prompts,
        output_tokens=outputs,
        prompt_ids=np.full(len(rows), -1, dtype=np.int64),
        duration_s=float(times[-1]) + 1.0,
    )


def _azure_rows(path: Path, reader: Iterable[list[str]]) -> Iterator[tuple[float, int, int]]:
    expected = ",".join(AZURE_COLUMNS)
    for line, row in enumerate(reader, start=1):
        if line == 1:
            if tuple(row[:3]) != AZURE_COLUMNS:
                raise malformed(path, line, ",".join(row), f"the header {expected}")
        elif row:
            yield _azure_row(path, line, row)


def _azure_row(path: Path, line: int, row: list[str]) -> tuple[float, int, int]:
    expected = "a time such as 2023-11-16 18:17:03.97 and two token counts of at least 1"
    try:
        stamp, prompt, output = datetime.fromisoformat(row[0]), int(row[1]), int(row[2])
    except (ValueError, IndexError):
        raise malformed(path, line, ",".join(row), expected) from None
    if not (1 <= prompt <= _MAX_TOKENS and 1 <= output <= _MAX_TOKENS):
        raise malformed(path, line, ",".join(row), expected)
    zoned = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return zoned.timestamp(), prompt, output


# No server holds a longer context; a larger count is a broken file.
_MAX_TOKENS = int(math.pow(2, 31))
