"""Arrivals at one Service without an end: a recorded load, replayed by many callers at once.

One caller of the Azure trace is silent for minutes and then bursts (coefficient of variation 1.7
per 10 s). A Service has many; each replays the recording from another moment, so that the bursts
stay and the sum is as steady as that of a production endpoint.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aurora.simulator.faults import RepeatedPrompts
from aurora.simulator.requests import Request
from aurora.simulator.trace import Ints, Trace, TraceSource, resample

__all__ = ["Arrivals"]


class Arrivals:
    """The requests of one Service, in order of time.

    Args:
        source: what is replayed.
        rate: mean requests/s.
        callers: how many replay it at once, 1 or more.
        rng: every random draw comes from it.
        identifiers: gives each request, and each repeated prompt, a number of its own.
        start: when the first lap begins, seconds.
    """

    def __init__(  # noqa: PLR0913 - everything that a replay depends on, by name
        self,
        source: TraceSource,
        *,
        rate: float,
        callers: int,
        rng: np.random.Generator,
        identifiers: Iterator[int],
        start: float,
    ) -> None:
        self.rate = rate
        self.callers = callers
        self._source = source
        self._rng = rng
        self._identifiers = identifiers
        self._start = start
        self._played = start
        self._phase = float(rng.random())
        self._prompts: tuple[Ints, Ints, Ints] | None = None
        self._late: list[Request] = []
        self._lap = self._draw()

    def until(
        self, now: float, *, factor: float = 1.0, repeats: RepeatedPrompts | None = None
    ) -> list[Request]:
        """Give the arrivals since the last call.

        Args:
            now: seconds.
            factor: multiple of the mean rate.
            repeats: share of the requests that repeat one of a few prompts; None for none.
        """
        found = self._late
        while self._played < now:
            end = min(now, self._start + self._lap.duration_s)
            found = found + self._slice(end, factor, repeats)
            self._played = end
            if end >= self._start + self._lap.duration_s:
                self._start = end
                self._lap = self._draw()
        if repeats is None:
            self._prompts = None
        found.sort(key=lambda request: request.arrival)
        self._late = [request for request in found if request.arrival > now]
        return found[: len(found) - len(self._late)]

    def _slice(self, end: float, factor: float, repeats: RepeatedPrompts | None) -> list[Request]:
        times = self._lap.times
        first, last = np.searchsorted(times, [self._played - self._start, end - self._start])
        part = Trace(
            self._lap.name,
            times[first:last],
            self._lap.prompt_tokens[first:last],
            self._lap.output_tokens[first:last],
            self._lap.prompt_ids[first:last],
            self._lap.duration_s,
        )
        if factor != 1.0:
            part = resample(part, np.full(len(part), factor), self._rng)
        if repeats is not None:
            part = self._repeated(part, repeats)
        return [self._numbered(request) for request in part.requests()]

    def _numbered(self, request: Request) -> Request:
        return Request(
            next(self._identifiers),
            self._start + request.arrival,
            request.prompt_tokens,
            request.output_tokens,
            request.prompt_id,
        )

    def _repeated(self, part: Trace, repeats: RepeatedPrompts) -> Trace:
        prompts, outputs, numbers = self._few_prompts(repeats.distinct)
        inside = self._rng.random(len(part)) < repeats.share
        picks = self._rng.integers(len(numbers), size=int(inside.sum()))
        columns = (part.prompt_tokens.copy(), part.output_tokens.copy(), part.prompt_ids.copy())
        for column, chosen in zip(columns, (prompts, outputs, numbers), strict=True):
            column[inside] = chosen[picks]
        prompt_tokens, output_tokens, prompt_ids = columns
        return replace(
            part,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            prompt_ids=prompt_ids,
        )

    def _few_prompts(self, distinct: int) -> tuple[Ints, Ints, Ints]:
        """The prompts that are repeated: drawn once, kept as long as the fault lasts."""
        if self._prompts is None:
            chosen = self._rng.integers(len(self._lap), size=distinct)
            numbers = np.array(list(itertools.islice(self._identifiers, distinct)), dtype=np.int64)
            self._prompts = (
                self._lap.prompt_tokens[chosen],
                self._lap.output_tokens[chosen],
                numbers,
            )
        return self._prompts

    def _draw(self) -> Trace:
        """One lap: what all callers send during the length of the recording."""
        base = self._source.draw(self._rng)
        wanted = self.rate * base.duration_s / max(1, len(base)) / self.callers
        parts = [self._source.draw(self._rng, wanted) for _ in range(self.callers)]
        length = base.duration_s
        shifts = (np.arange(self.callers) / self.callers + self._phase) * length
        times = np.concatenate([(p.times + s) % length for p, s in zip(parts, shifts, strict=True)])
        order = np.argsort(times, kind="stable")
        return Trace(
            base.name,
            times[order],
            np.concatenate([part.prompt_tokens for part in parts])[order],
            np.concatenate([part.output_tokens for part in parts])[order],
            np.full(len(order), -1, dtype=np.int64),
            length,
        )
