"""Why the planner proposes an action. Names go unchanged to condition, Event, log and memory."""

from enum import StrEnum
from typing import Final

__all__ = ["OUTAGES", "PlanReason"]


class PlanReason(StrEnum):
    """One name per trigger; docs/reference.md lists the thresholds."""

    FORECAST_ABOVE_CAPACITY = "ForecastAboveCapacity"
    """The replicas cannot keep the objectives at the load forecast for when new ones are ready."""
    OBJECTIVE_VIOLATED = "ObjectiveViolated"
    """An objective is violated now, and the load explains it."""
    RESOURCE_SATURATED = "ResourceSaturated"
    """CPU, memory or GPU is used above the threshold."""
    BELOW_MINIMUM = "BelowMinimum"
    """The target has fewer replicas than spec.scaling.minReplicas."""
    ABOVE_MAXIMUM = "AboveMaximum"
    """The target has more replicas than spec.scaling.maxReplicas."""
    CAPACITY_UNUSED = "CapacityUnused"
    """Fewer replicas keep the objectives at the highest load of the forecast."""
    LATENCY_HIGH = "LatencyHigh"
    """Latency is above its threshold and requests repeat."""
    CACHE_REQUESTED = "CacheRequested"
    """spec.cache.mode is On and the cache is not."""
    CACHE_NOT_WANTED = "CacheNotWanted"
    """spec.cache.mode is Off and the cache is on or armed."""
    CACHE_NOT_PAYING = "CacheNotPaying"
    """The measured hit ratio is below what the cache costs."""
    BATCHING_ADVISED = "BatchingAdvised"
    """Latency is high but requests do not repeat: a cache would not help, batching may."""
    SERVER_ERRORS = "ServerErrors"
    """The share of server errors is above its threshold."""
    NO_READY_ENDPOINT = "NoReadyEndpoint"
    """The Service had no ready endpoint for longer than the threshold."""
    CRASH_LOOPING = "CrashLooping"
    """Pods of the target are in CrashLoopBackOff."""
    PRIMARY_RECOVERED = "PrimaryRecovered"
    """Pods of the primary were Ready for the window and answered the probe requests."""
    ERROR_OBJECTIVE_MISSED = "ErrorObjectiveMissed"
    """More server errors than objectives.errorRatePercent, fewer than routing away takes."""
    CLIENT_ERRORS = "ClientErrors"
    """The share of client errors is above its threshold."""
    ACCURACY_LOW = "AccuracyLow"
    """Accuracy is below its objective."""
    ACCURACY_LOW_WITH_DRIFT = "AccuracyLowWithDrift"
    """Accuracy is far below its objective and the data drifted."""
    DATA_DRIFT = "DataDrift"
    """The drift score is above its threshold."""
    PODS_UNSCHEDULABLE = "PodsUnschedulable"
    """Pods of the target find no node."""
    LATENCY_UNEXPLAINED = "LatencyUnexplained"
    """Latency is far above its objective and neither load nor errors explain it."""


OUTAGES: Final = frozenset({PlanReason.NO_READY_ENDPOINT, PlanReason.CRASH_LOOPING})
"""Failures in which no request is answered at all, whatever was measured before."""
