"""The operating point of a simulated run."""

from dataclasses import dataclass, field
from typing import Final

from aurora.errors import UsageError
from aurora.simulator.faults import Fault
from aurora.simulator.parameters import (
    COLD_START_32B,
    NAMED_SERVERS,
    ColdStart,
    ServerParameters,
)
from aurora.simulator.scraper import ScrapeSettings

__all__ = ["FallbackSettings", "Objectives", "SimulationSettings"]


@dataclass(frozen=True, slots=True)
class Objectives:
    """A request is good when it meets both.

    Attributes:
        ttft_s: time to first token, seconds.
        tpot_s: mean time per output token after the first, seconds.
    """

    ttft_s: float = 3.0
    tpot_s: float = 0.100

    def __post_init__(self) -> None:
        if not (self.ttft_s > 0 and self.tpot_s > 0):
            raise UsageError("objectives must be above 0 seconds")


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """A second pool of fixed size that may take the traffic over."""

    server: ServerParameters
    replicas: int


_DEFAULT_SERVER: Final = NAMED_SERVERS["qwen3-32b-rtxpro6000"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Everything that a run needs besides its load, its controller and its seed.

    The defaults are the published operating point of llm-d's SLO-aware guide (Qwen3-32B, time to
    first token 3 s, time per output token 100 ms) with wider bounds.

    Attributes:
        server: parameters of each replica.
        cold_start: time from creation to ready.
        minimum: lowest number of replicas.
        maximum: highest number of replicas.
        initial: replicas that are ready at the start.
        objectives: what makes a request good.
        scrape: how metrics reach the controller.
        control_interval_s: time between two decisions, seconds.
        cache_ttl_s: lifetime of a cached answer once a controller switches the cache on, seconds;
            None when no cache is armed.
        fallback: a second pool; None without one.
        faults: what is injected.
        little_tolerance: largest relative error of Little's law before a run is refused.
    """

    server: ServerParameters = _DEFAULT_SERVER
    cold_start: ColdStart = COLD_START_32B
    minimum: int = 1
    maximum: int = 16
    initial: int = 8
    objectives: Objectives = field(default_factory=Objectives)
    scrape: ScrapeSettings = field(default_factory=ScrapeSettings)
    control_interval_s: float = 15.0
    cache_ttl_s: float | None = None
    fallback: FallbackSettings | None = None
    faults: tuple[Fault, ...] = ()
    little_tolerance: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.initial <= self.maximum:
            raise UsageError(
                "replicas need 1 <= minimum <= initial <= maximum: "
                f"got {self.minimum}, {self.initial}, {self.maximum}"
            )
        if not self.control_interval_s > 0:
            raise UsageError("the control interval must be above 0 seconds")
