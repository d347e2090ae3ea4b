"""What goes first when several rules propose something for the same model."""

from enum import IntEnum

__all__ = ["Priority"]


class Priority(IntEnum):
    """The smaller number wins. Callers that get errors come before callers that wait."""

    FALLBACK = 10
    SCALE_UP = 20
    RETURN = 30
    CACHE_ON = 40
    CACHE_OFF = 50
    SHIFT = 55
    ALERT = 60
    SCALE_DOWN = 70
