"""Load from rates per 10 minutes and the measured spread of the gaps (the ServeGen format).

Inside each interval the gaps follow a Gamma renewal process with the measured coefficient of
variation (CV). The gaps are scaled to fill the interval, so that the measured rate is met even
where the count of a free-running process would scatter widely.

A factor below 1 scales the rate and keeps the CV: it stands for fewer clients, each as bursty as
before. Thinning single requests instead would drift towards a Poisson process, which flatters
every autoscaler.

The measured CV is a mean over clients, weighted by rate, of each client's own CV. In a tenth of
the intervals one client's lulls of many minutes push it above 4.7, up to 56; a renewal process of
10 minutes turns that into one clump of requests at a single moment, so the CV is capped.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aurora.errors import UsageError
from aurora.simulator.profile import builtin_profile
from aurora.simulator.trace import Floats, Trace, malformed

__all__ = ["SERVEGEN_COLUMNS", "RateSource", "read_servegen"]

SERVEGEN_COLUMNS = ("t_seconds", "total_req_per_s", "rate_weighted_iat_cv")
# The 90th percentile of the published m-large rates is 4.7.
_CV_LIMIT = 5.0
# More arrivals than this in one draw would not fit a laptop's memory or anyone's patience.
MAX_ARRIVALS = 5_000_000


@dataclass(frozen=True, slots=True)
class RateSource:
    """Rates per interval; the format has no token counts, so they follow the built-in profile.

    Attributes:
        name: what to call it in a table.
        interval_s: length of each interval, seconds.
        rates: arrivals per second in each interval.
        cvs: coefficient of variation of the gaps in each interval.
        cv_limit: larger ones are drawn with this one.
    """

    name: str
    interval_s: float
    rates: Floats
    cvs: Floats
    cv_limit: float = _CV_LIMIT

    def window(self, start_s: float, duration_s: float) -> "RateSource":
        """Give the intervals that begin in `[start_s, start_s + duration_s)`.

        Raises:
            UsageError: the window holds no interval.
        """
        first = math.ceil(start_s / self.interval_s)
        last = math.ceil((start_s + duration_s) / self.interval_s)
        if first < 0 or not len(self.rates[first:last]):
            total = len(self.rates) * self.interval_s
            raise UsageError(f"no interval from {start_s:g} s on: the trace is {total:g} s long")
        return replace(self, rates=self.rates[first:last], cvs=self.cvs[first:last])

    def draw(self, rng: np.random.Generator, factor: float = 1.0) -> Trace:
        """Draw arrivals at `factor` times the recorded rates.

        Raises:
            UsageError: more arrivals than can be held; the message names a factor that works.
        """
        expected = float(self.rates.sum()) * self.interval_s * factor
        if expected > MAX_ARRIVALS:
            fits = factor * MAX_ARRIVALS / expected
            raise UsageError(
                f"{self.name} has {expected:.3g} requests at factor {factor:g}: "
                f"use a factor of {fits:.2g} or less, or a shorter window"
            )
        times = np.concatenate(
            [self._interval(i, factor, rng) for i in range(len(self.rates))] or [np.empty(0)]
        )
        prompt, output = _tokens(len(times), rng)
        return Trace(
            name=self.name,
            times=times,
            prompt_tokens=prompt,
            output_tokens=output,
            prompt_ids=np.full(len(times), -1, dtype=np.int64),
            duration_s=len(self.rates) * self.interval_s,
        )

    def _interval(self, index: int, factor: float, rng: np.random.Generator) -> Floats:
        mean = float(self.rates[index]) * self.interval_s * factor
        count = math.floor(mean + rng.random())
        if count == 0:
            return np.empty(0)
        cv = min(max(float(self.cvs[index]), 1e-3), self.cv_limit)
        gaps = rng.gamma(1.0 / cv**2, size=count + 1)
        total = float(gaps.sum())
        if total <= 0.0:  # every gap underflowed: all requests at once
            return np.full(count, (index + rng.random()) * self.interval_s)
        offsets = np.cumsum(gaps[:-1]) / total
        times: Floats = (index + offsets) * self.interval_s
        return times


def _tokens(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw prompt and output tokens of `count` requests from the built-in profile's requests."""
    pool = builtin_profile().draw(rng)
    picks = rng.integers(len(pool), size=count)
    return pool.prompt_tokens[picks], pool.output_tokens[picks]


def read_servegen(path: Path) -> RateSource:
    """Read rates per interval.

    Raises:
        UsageError: unreadable, or a row is not as expected; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(_rows(path, csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the trace {path}: {error}") from error
    if len(rows) < 2:
        raise UsageError(f"{path} needs at least two intervals, it has {len(rows)}")
    starts, rates, cvs = (np.array(column) for column in zip(*rows, strict=True))
    interval = float(starts[1] - starts[0])
    steps = np.flatnonzero(np.diff(starts) != interval)
    if interval <= 0 or steps.size:
        line = int(steps[0]) + 3 if steps.size else 3
        raise malformed(path, line, f"{starts[line - 2]:g}", "t_seconds in equal rising steps")
    return RateSource(path.stem, interval, rates, cvs)


def _rows(path: Path, reader: Iterable[list[str]]) -> Iterator[tuple[float, float, float]]:
    positions: list[int] = []
    for line, row in enumerate(reader, start=1):
        if line == 1:
            missing = [column for column in SERVEGEN_COLUMNS if column not in row]
            if missing:
                raise malformed(path, line, ",".join(row), f"a column {missing[0]}")
            positions = [row.index(column) for column in SERVEGEN_COLUMNS]
        elif row:
            yield _row(path, line, row, positions)


def _row(path: Path, line: int, row: list[str], positions: list[int]) -> tuple[float, float, float]:
    expected = "three finite numbers: seconds, rate of at least 0, CV above 0"
    try:
        start, rate, cv = (float(row[position]) for position in positions)
    except (ValueError, IndexError):
        raise malformed(path, line, ",".join(row), expected) from None
    if not all(map(math.isfinite, (start, rate, cv))) or rate < 0 or cv <= 0:
        raise malformed(path, line, ",".join(row), expected)
    return start, rate, cv
