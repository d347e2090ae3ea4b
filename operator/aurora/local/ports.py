"""The loopback ports of one control plane."""

import random
import socket
from dataclasses import asdict, dataclass
from itertools import islice

from aurora.local.errors import LocalUsageError, PortInUseError

LOOPBACK = "127.0.0.1"
DEFAULT_BASE_PORT = 27640
"""Outside the ranges of NodePorts (30000-32767) and of outgoing connections (32768-60999)."""

_EPHEMERAL_RANGE = range(20000, 29900)
"""Below the range of outgoing connections (32768-60999): nothing else takes one of them between
being found free and being listened on."""


@dataclass(frozen=True, slots=True)
class Ports:
    """One TCP port per listener, all on 127.0.0.1."""

    apiserver: int
    prometheus: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int

    @classmethod
    def fixed(cls, base: int = DEFAULT_BASE_PORT) -> "Ports":
        """Consecutive ports from `base`; raises LocalUsageError outside 1024 to 65530."""
        if not 1024 <= base <= 65530:
            raise LocalUsageError(f"--base-port {base} is out of range: use 1024 to 65530")
        return cls(*range(base, base + 6))

    @classmethod
    def ephemeral(cls, rng: random.Random) -> "Ports":
        """Free ports for a short-lived control plane."""
        return cls(*free_ports(6, rng))

    def as_dict(self) -> dict[str, int]:
        """Port by listener name."""
        return asdict(self)


def free_ports(count: int, rng: random.Random) -> list[int]:
    """Different ports of 127.0.0.1 on which nothing listens; raises PortInUseError."""
    candidates = rng.sample(_EPHEMERAL_RANGE, k=len(_EPHEMERAL_RANGE))
    found = list(islice(filter(is_free, candidates), count))
    if len(found) < count:
        raise PortInUseError(f"fewer than {count} free ports between 20000 and 29900 on 127.0.0.1")
    return found


def is_free(port: int) -> bool:
    """Whether nothing listens on 127.0.0.1:`port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do it: a port in TIME_WAIT is free for a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: Ports, *, only: frozenset[str] | None = None) -> None:
    """Raise PortInUseError naming every taken port; `only` limits the check to some listeners."""
    taken = [
        f"{port} ({name.replace('_', '-')})"
        for name, port in ports.as_dict().items()
        if (only is None or name in only) and not is_free(port)
    ]
    if taken:
        raise PortInUseError(
            f"in use on 127.0.0.1: {', '.join(taken)}: "
            "stop what listens there or choose other ports with --base-port"
        )
