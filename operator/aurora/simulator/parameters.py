"""Measured parameters of LLM servers and of their cold starts.

The four step-time coefficients were fitted on measured vLLM 0.19 runs (LLMServingSim, MIT
licence); `bench/fit_server.py` repeats the fit. They are not individually identifiable: a refit
may move c0 against ck and predict the same latencies.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from aurora.errors import UsageError

__all__ = [
    "COLD_START_32B",
    "COLD_START_SMALL",
    "NAMED_SERVERS",
    "ColdStart",
    "MeasuredColdStart",
    "ServerParameters",
    "Slowed",
    "UniformColdStart",
    "server_parameters",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParameters:
    """One LLM server: the cost of a step and the limits of its scheduler.

    A step takes `step_s + decode_s * decodes + kv_s * kv_tokens + prefill_s * prefill_tokens`.

    Attributes:
        step_s: fixed cost of a step (c0), seconds.
        decode_s: cost of each sequence that decodes one token in the step (cb), seconds.
        kv_s: cost of each token held in the KV cache (ck), seconds.
        prefill_s: cost of each prompt token computed in the step (cp), seconds.
        kv_capacity: tokens that fit into the KV cache.
        max_running: sequences scheduled at once (vLLM's `max_num_seqs`).
        token_budget: tokens computed in one step (vLLM's `max_num_batched_tokens`).
        source: where the figures come from.
    """

    step_s: float
    decode_s: float
    kv_s: float
    prefill_s: float
    kv_capacity: int
    max_running: int = 128
    token_budget: int = 2048
    source: str = ""

    def __post_init__(self) -> None:
        costs = (self.step_s, self.decode_s, self.kv_s, self.prefill_s)
        if not all(math.isfinite(cost) and cost >= 0 for cost in costs) or self.step_s == 0:
            raise UsageError("server costs must be finite, at least 0, and step_s above 0")
        if min(self.kv_capacity, self.max_running, self.token_budget) < 1:
            raise UsageError("kv_capacity, max_running and token_budget must be at least 1")
        if self.token_budget <= self.max_running:
            raise UsageError("token_budget must exceed max_running, or prompts would starve")


class ColdStart(Protocol):
    """Time from the creation of a replica until it is ready."""

    @property
    def median_s(self) -> float:
        """Median, seconds."""

    @property
    def longest_s(self) -> float:
        """A time that 99 % of the cold starts stay within, seconds."""

    def sample(self, rng: random.Random) -> float:
        """Draw one cold start, seconds."""


@dataclass(frozen=True, slots=True)
class UniformColdStart:
    """A cold start between two bounds, seconds."""

    low_s: float
    high_s: float

    @property
    def median_s(self) -> float:
        return (self.low_s + self.high_s) / 2

    @property
    def longest_s(self) -> float:
        return self.high_s

    def sample(self, rng: random.Random) -> float:
        return rng.uniform(self.low_s, self.high_s)


# Standard normal quantiles of 90 % and 99 %.
_Z90: Final = 1.2815515655446004
_Z99: Final = 2.3263478740408408


@dataclass(frozen=True, slots=True)
class MeasuredColdStart:
    """A lognormal cold start that meets three measured quantiles, seconds.

    A plain lognormal has one width and cannot meet both p90 and p99 of the measurement, so the
    log of the time is piecewise linear in the normal deviate, with a knee at p90.
    """

    p50_s: float
    p90_s: float
    p99_s: float

    @property
    def median_s(self) -> float:
        return self.p50_s

    @property
    def longest_s(self) -> float:
        return self.p99_s

    def at(self, deviate: float) -> float:
        """Give the time at a standard normal deviate, seconds."""
        body = math.log(self.p90_s / self.p50_s) / _Z90
        if deviate <= _Z90:
            return self.p50_s * math.exp(body * deviate)
        tail = math.log(self.p99_s / self.p90_s) / (_Z99 - _Z90)
        return self.p90_s * math.exp(tail * (deviate - _Z90))

    def sample(self, rng: random.Random) -> float:
        return self.at(rng.gauss(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Slowed:
    """Another cold start, `factor` times as long."""

    measured: ColdStart
    factor: float

    @property
    def median_s(self) -> float:
        return self.factor * self.measured.median_s

    @property
    def longest_s(self) -> float:
        return self.factor * self.measured.longest_s

    def sample(self, rng: random.Random) -> float:
        return self.factor * self.measured.sample(rng)


# 7,531 measured model loads (GenTD26).
COLD_START_SMALL: Final = MeasuredColdStart(p50_s=22.7, p90_s=42.0, p99_s=51.9)
# llm-d's guide: pod ready after 100 s with a compile cache, 135 s without.
COLD_START_32B: Final = UniformColdStart(low_s=100.0, high_s=135.0)

_FIT = "fitted to a measured vLLM 0.19 run of LLMServingSim (MIT)"

NAMED_SERVERS: Final[Mapping[str, ServerParameters]] = MappingProxyType(
    {
        "llama-3.1-8b-rtx4090": ServerParameters(
            step_s=20.3e-3,
            decode_s=102e-6,
            kv_s=12.4e-9,
            prefill_s=93e-6,
            kv_capacity=41_408,
            source=f"{_FIT}; KV capacity as vLLM reported it",
        ),
        "llama-3.1-8b-rtxpro6000": ServerParameters(
            step_s=17.3e-3,
            decode_s=82e-6,
            kv_s=6.1e-9,
            prefill_s=37e-6,
            kv_capacity=535_000,
            source=f"{_FIT}; KV capacity: 0.9 x 96 GB less 16 GB of weights, 128 KiB a token",
        ),
        "qwen3-32b-rtxpro6000": ServerParameters(
            step_s=38.6e-3,
            decode_s=156e-6,
            kv_s=24.9e-9,
            prefill_s=158e-6,
            kv_capacity=405_000,
            source=f"{_FIT}; KV capacity: 0.9 x 2 x 96 GB less 66 GB of weights, 256 KiB a token",
        ),
    }
)


def server_parameters(name: str) -> ServerParameters:
    """Look up a named server.

    Raises:
        UsageError: the name is unknown; the message lists the known ones.
    """
    if name not in NAMED_SERVERS:
        raise UsageError(f"unknown server {name!r}: use one of {', '.join(sorted(NAMED_SERVERS))}")
    return NAMED_SERVERS[name]
