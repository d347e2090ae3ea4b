"""The choices of one control plane, kept in its state folder so that a restart keeps them."""

import json
from dataclasses import asdict, dataclass, field

from aurora.local.components import AutoscalerTiming
from aurora.local.errors import LocalUsageError
from aurora.local.nodes import MAX_NODES, NodeShape
from aurora.local.ports import Ports


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose.

    Attributes:
        ports: one per listener.
        nodes: how many simulated nodes, 1 to 1000.
        shape: what each node offers.
        scrape_seconds: Prometheus scrape interval.
        autoscaler: times of the horizontal pod autoscaler.
    """

    ports: Ports = field(default_factory=Ports.fixed)
    nodes: int = 1
    shape: NodeShape = field(default_factory=NodeShape)
    scrape_seconds: int = 5
    autoscaler: AutoscalerTiming = field(default_factory=AutoscalerTiming)

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MAX_NODES:
            raise LocalUsageError(f"--nodes {self.nodes} is out of range: use 1 to {MAX_NODES}")
        if not 1 <= self.scrape_seconds <= 300:
            raise LocalUsageError(
                f"--scrape-interval {self.scrape_seconds} is out of range: use 1 to 300 seconds"
            )

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Raises ValueError, TypeError or KeyError when `text` is not what `to_json` wrote."""
        document = json.loads(text)
        return cls(
            ports=Ports(**document["ports"]),
            nodes=document["nodes"],
            shape=NodeShape(**document["shape"]),
            scrape_seconds=document["scrape_seconds"],
            autoscaler=AutoscalerTiming(**document["autoscaler"]),
        )
