"""Simulated environments whose best arm is known at every step, for regret curves."""

from aurora.routing.environments.play import Run, play, regret_of_chance
from aurora.routing.environments.world import WORLDS, Abrupt, Drifting, Stationary, World

__all__ = ["WORLDS", "Abrupt", "Drifting", "Run", "Stationary", "World", "play", "regret_of_chance"]
