"""What goes into a server and what comes out of it."""

from dataclasses import dataclass

__all__ = ["Completion", "FirstToken", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a completion.

    Attributes:
        identifier: unique within a run.
        arrival: when the caller sent it, seconds of simulated time.
        prompt_tokens: tokens of the prompt, at least 1.
        output_tokens: tokens that will be generated, at least 1.
        prompt_id: equal for requests whose prompt is exactly the same; None is never repeated.
    """

    identifier: int
    arrival: float
    prompt_tokens: int
    output_tokens: int
    prompt_id: int | None = None


@dataclass(frozen=True, slots=True)
class FirstToken:
    """A request's first token left the server at `at`, after `submitted` (seconds)."""

    request: Request
    submitted: float
    at: float


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished request; times are seconds of simulated time.

    Attributes:
        request: what was asked.
        submitted: when the server received it, at or after the caller's arrival.
        first_token: when the first token left the server.
        finish: when the last token left the server.
    """

    request: Request
    submitted: float
    first_token: float
    finish: float

    @property
    def ttft_s(self) -> float:
        """Time to first token as the caller saw it, seconds."""
        return self.first_token - self.request.arrival

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first, seconds; None for a single token."""
        if self.request.output_tokens < 2:
            return None
        return (self.finish - self.first_token) / (self.request.output_tokens - 1)

    @property
    def e2e_s(self) -> float:
        """End-to-end latency as the caller saw it, seconds."""
        return self.finish - self.request.arrival
