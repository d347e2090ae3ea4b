"""What the engine's scheduler moves about: sequences, and the event under way."""

import math
from typing import NamedTuple

from aurora.simulator.requests import Request

__all__ = ["Sequence", "Work"]


class Sequence:
    """A request inside the server; mutable, because a step touches it in place."""

    __slots__ = (
        "finish_step",
        "first_token",
        "generated",
        "held",
        "joined_step",
        "request",
        "submitted",
        "to_prefill",
    )

    def __init__(self, request: Request, submitted: float) -> None:
        self.request = request
        self.submitted = submitted
        self.to_prefill = request.prompt_tokens
        self.held = 0
        self.generated = 0
        self.first_token = math.nan
        self.joined_step = 0
        self.finish_step = -1  # -1: not decoding


class Work(NamedTuple):
    """The event under way: `steps` steps that began at `begin`."""

    begin: float
    steps: int
    first_s: float  # duration of the first of the steps
    growth_s: float  # how much longer each step is than the one before
    prefill_tokens: int
    prefilled: tuple[Sequence, ...]

    def duration(self, steps: int) -> float:
        return steps * self.first_s + self.growth_s * steps * (steps - 1) / 2

    def steps_until(self, at: float) -> int:
        """Give the least number of steps whose end is not before `at`."""
        elapsed = max(0.0, at - self.begin)
        half = self.growth_s / 2
        linear = self.first_s - half
        if half * elapsed < 1e-12 * linear * linear:
            guess = elapsed / linear
        else:
            guess = (math.sqrt(linear * linear + 4 * half * elapsed) - linear) / (2 * half)
        steps = max(1, math.ceil(guess - 1e-9))
        return min(steps, self.steps)
