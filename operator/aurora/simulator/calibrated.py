"""Scales of the known loads, see calibration.py."""

from types import MappingProxyType
from typing import Final

__all__ = ["CALIBRATED"]

# Multiples of the recorded rate at which a static pool of 8 Qwen3-32B replicas meets TTFT 3 s and
# TPOT 100 ms for 99 % of the requests: `calibrate(plan)` with its defaults, seeds 1 to 5, of the
# whole trace (servegen: of its first two days).
CALIBRATED: Final = MappingProxyType(
    {
        "azure": 0.2455,
        "builtin": 0.3907,
        "servegen": 0.0030,
    }
)
