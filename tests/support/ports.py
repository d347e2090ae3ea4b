"""A port for one server that a test starts."""

import random

from aurora.local.ports import free_ports

__all__ = ["free_port"]


def free_port() -> int:
    """One of 127.0.0.1 on which nothing listens."""
    return free_ports(1, random.SystemRandom())[0]
