"""A small load profile per 10 s: derived from a trace, shipped as CSV, sampled with a seed.

The built-in one comes from the Azure LLM inference trace (code), CC-BY 4.0; see data/README.md.
Lognormal token counts, and arrivals that crowd into the seconds that were active keep the lulls
and bursts that a Poisson process would smooth away.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from aurora.errors import UsageError
from aurora.simulator.trace import Floats, Ints, Trace, malformed

__all__ = ["BIN_S", "Profile", "builtin_profile", "derive_profile", "read_profile"]

BIN_S = 10
COLUMNS = (
    "t_s",
    "requests",
    "active_s",
    "prompt_mean",
    "prompt_sd",
    "output_mean",
    "output_sd",
)
# The recorded prompts end at 7,437 tokens; an unbounded lognormal would draw some of 100,000.
_MAX_PROMPT = 8192
_BUILTIN = "azure_code_10s.csv"


@dataclass(frozen=True, slots=True)
class Profile:
    """Load per bin of 10 s; every array has one entry a bin.

    Attributes:
        name: what to call it in a table.
        requests: arrivals in the bin.
        active_s: how many of the bin's seconds had an arrival, 0 to 10.
        prompt_mean: mean prompt tokens; 0 in an empty bin, where it is not read.
        prompt_sd: standard deviation of the prompt tokens.
        output_mean: mean output tokens.
        output_sd: standard deviation of the output tokens.
    """

    name: str
    requests: Ints
    active_s: Ints
    prompt_mean: Floats
    prompt_sd: Floats
    output_mean: Floats
    output_sd: Floats

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return float(len(self.requests) * BIN_S)

    def draw(self, rng: np.random.Generator, factor: float = 1.0) -> Trace:
        """Draw arrivals at `factor` times the profile's rate."""
        counts = np.floor(self.requests * factor + rng.random(len(self.requests))).astype(np.int64)
        times = [self._times_in(i, int(n), rng) for i, n in enumerate(counts.tolist()) if n]
        bins = np.repeat(np.arange(len(counts)), counts)
        return Trace(
            name=self.name,
            times=np.concatenate(times) if times else np.empty(0),
            prompt_tokens=_lognormal(self.prompt_mean[bins], self.prompt_sd[bins], rng),
            output_tokens=_lognormal(self.output_mean[bins], self.output_sd[bins], rng),
            prompt_ids=np.full(len(bins), -1, dtype=np.int64),
            duration_s=self.duration_s,
        )

    def _times_in(self, index: int, count: int, rng: np.random.Generator) -> Floats:
        active = max(1, int(self.active_s[index]))
        seconds = rng.choice(BIN_S, size=active, replace=False)
        chosen = rng.choice(seconds, size=count)
        times: Floats = np.sort(index * BIN_S + chosen + rng.random(count))
        return times


def _lognormal(mean: Floats, sd: Floats, rng: np.random.Generator) -> Ints:
    """Draw lognormal counts of at least 1 with the given mean and standard deviation."""
    mean = np.maximum(mean, 1.0)
    variance = np.log1p((sd / mean) ** 2)
    drawn = np.exp(np.log(mean) - variance / 2 + np.sqrt(variance) * rng.standard_normal(len(mean)))
    return np.clip(np.rint(drawn), 1, _MAX_PROMPT).astype(np.int64)


def derive_profile(trace: Trace) -> Profile:
    """Aggregate a trace into bins of 10 s; single requests cannot be recovered from it."""
    bins = (trace.times // BIN_S).astype(np.int64)
    size = math.ceil(trace.duration_s / BIN_S)
    counts = np.bincount(bins, minlength=size)
    seconds = np.unique(np.floor(trace.times).astype(np.int64)) // BIN_S
    prompt = _moments(trace.prompt_tokens, bins, size)
    output = _moments(trace.output_tokens, bins, size)
    active = np.bincount(seconds, minlength=size)
    return Profile(f"{trace.name} profile", counts, active, *prompt, *output)


def _moments(tokens: Ints, bins: Ints, size: int) -> tuple[Floats, Floats]:
    counts = np.maximum(1, np.bincount(bins, minlength=size))
    mean: Floats = np.bincount(bins, tokens, size) / counts
    variance: Floats = np.bincount(bins, tokens.astype(np.float64) ** 2, size) / counts - mean**2
    deviation: Floats = np.sqrt(np.maximum(0.0, variance))
    return np.round(mean, 1), np.round(deviation, 1)


def write_profile(profile: Profile, path: Path) -> None:
    """Write the CSV that `read_profile` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for index in range(len(profile.requests)):
            writer.writerow(
                [
                    index * BIN_S,
                    int(profile.requests[index]),
                    int(profile.active_s[index]),
                    *(
                        f"{column[index]:g}"
                        for column in (
                            profile.prompt_mean,
                            profile.prompt_sd,
                            profile.output_mean,
                            profile.output_sd,
                        )
                    ),
                ]
            )


def read_profile(path: Path, name: str | None = None) -> Profile:
    """Read a profile.

    Raises:
        UsageError: unreadable or malformed; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the profile {path}: {error}") from error
    return parse_profile(lines, path, name or path.stem)


def parse_profile(lines: Iterable[str], path: Path, name: str) -> Profile:
    """Parse the lines of a profile; `path` is for messages."""
    rows: list[list[float]] = []
    header = ",".join(COLUMNS)
    for number, line in enumerate(lines, start=1):
        if number == 1:
            if line.strip() != header:
                raise malformed(path, number, line, f"the header {header}")
            continue
        rows.append(_profile_row(path, number, line))
    if not rows:
        raise UsageError(f"{path} has no bins: expected at least one row after the header")
    columns = np.array(rows).T
    return Profile(name, columns[1].astype(np.int64), columns[2].astype(np.int64), *columns[3:])


def _profile_row(path: Path, number: int, line: str) -> list[float]:
    expected = f"{len(COLUMNS)} finite numbers of at least 0, t_s in steps of {BIN_S}"
    try:
        values = [float(value) for value in line.split(",")]
    except ValueError:
        raise malformed(path, number, line, expected) from None
    ordered = len(values) == len(COLUMNS) and values[0] == (number - 2) * BIN_S
    if not ordered or not all(math.isfinite(v) and v >= 0 for v in values) or values[2] > BIN_S:
        raise malformed(path, number, line, expected)
    return values


def builtin_profile() -> Profile:
    """Give the profile that ships with the package."""
    resource = resources.files("aurora.simulator") / "data" / _BUILTIN
    lines = resource.read_text(encoding="utf-8").splitlines()
    return parse_profile(lines, Path(_BUILTIN), "builtin")
