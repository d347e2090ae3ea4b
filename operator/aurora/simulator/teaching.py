"""What AURORA would have learned of a replica on other servers than those it is put on."""

from dataclasses import replace
from typing import Final

import numpy as np

from aurora.simulator.aurora_controller import EPOCH, AuroraController
from aurora.simulator.calibrated import CALIBRATED
from aurora.simulator.parameters import ServerParameters
from aurora.simulator.profile import builtin_profile
from aurora.simulator.run import play
from aurora.simulator.settings import SimulationSettings
from aurora.state.capacity import CapacityModel

__all__ = ["capacity_learned_on"]

_SEED: Final = 7_000
"""None that a comparison plays."""


def capacity_learned_on(speed: float, settings: SimulationSettings) -> CapacityModel:
    """Learn the capacity of servers `speed` times as fast, on the built-in profile.

    The curve is the shipped code's own, of the run's pod template, and ends just before the run
    that it misleads begins: nothing tells that it belongs to other servers.
    """
    trace = builtin_profile().draw(np.random.default_rng(_SEED), speed * CALIBRATED["builtin"])
    there = replace(settings, server=_faster(settings.server, speed), faults=(), initial=8)
    controller = AuroraController(there, epoch=EPOCH - trace.duration_s)
    play(trace, controller, _SEED, there)
    return controller.capacity


def _faster(server: ServerParameters, speed: float) -> ServerParameters:
    return replace(
        server,
        step_s=server.step_s / speed,
        decode_s=server.decode_s / speed,
        kv_s=server.kv_s / speed,
        prefill_s=server.prefill_s / speed,
    )
