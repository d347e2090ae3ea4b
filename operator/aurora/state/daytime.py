"""Hours and days of the wall clock, in UTC: an hour that shifts twice a year is no baseline."""

from typing import Final

__all__ = ["DAY_S", "HOUR_S", "hour_and_day"]

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


def hour_and_day(at: float) -> tuple[int, int]:
    """Hour of the day (0 to 23) and day since the epoch of a time in seconds since the epoch."""
    day, second = divmod(at, DAY_S)
    return int(second // HOUR_S), int(day)
