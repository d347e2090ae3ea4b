"""Every CamelCase reason, with the sentence that explains it.

A reason goes unchanged into conditions, Events, log lines, metric labels and records, so it is
part of the interface: reasons are added, never renamed.
"""

from enum import StrEnum
from typing import Self


class _Reason(StrEnum):
    """A reason with its sentence.

    Attributes:
        sentence: what it means and, where a person must act, what to do.
    """

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


class ConditionReason(_Reason):
    """Reasons of conditions on a ModelDeployment and a Decision."""

    RECONCILED = "Reconciled", "Everything the object asks for was observed."
    PENDING = "Pending", "AURORA has not looked at the object yet."
    INVALID_SPEC = "InvalidSpec", "A field has a value that AURORA cannot use: correct it."
    PAUSED = "Paused", "The annotation aurora.dev/paused stops every write: remove it to go on."
    NOT_PAUSED = "NotPaused", "Writes are allowed."
    STOPPED = (
        "Stopped",
        "The ConfigMap aurora-control stops every write: set its key to run, or restore it.",
    )

    TARGET_FOUND = "TargetFound", "The target and its Service exist."
    TARGET_NOT_FOUND = (
        "TargetNotFound",
        "The target does not exist in this namespace: create it or correct spec.targetRef.",
    )
    TARGET_NOT_SCALABLE = (
        "TargetNotScalable",
        "The target's kind has no /scale: remove spec.scaling or point at one that has.",
    )
    SERVICE_NOT_FOUND = (
        "ServiceNotFound",
        "The Service does not exist in this namespace: create it or correct spec.serviceRef.",
    )
    FALLBACK_NOT_FOUND = (
        "FallbackNotFound",
        "The fallback's Service does not exist: create it or correct spec.fallback.",
    )
    TARGET_CONFLICT = (
        "TargetConflict",
        "An older ModelDeployment has the same target and acts on it: delete one of the two.",
    )
    NO_CONFLICT = "NoConflict", "No other object acts on the target."
    AUTOSCALER_CONFLICT = (
        "AutoscalerConflict",
        "Two autoscalers act on the target: delete one, AURORA scales nothing until then.",
    )
    PERMISSION_DENIED = (
        "PermissionDenied",
        "The API server refused a request: grant the right that the message names.",
    )

    METRICS_FOUND = "MetricsFound", "Every signal that is needed has a fresh value."
    METRICS_MISSING = (
        "MetricsMissing",
        "Prometheus answered with no series for the target: check that it is scraped.",
    )
    METRICS_STALE = "MetricsStale", "The newest sample is too old: check the scrape."
    TOO_FEW_SAMPLES = (
        "TooFewSamples",
        "The window holds fewer requests than spec.metrics.minSamples.",
    )
    PROMETHEUS_ERROR = "PrometheusError", "Prometheus could not be asked or refused the query."
    NOT_FINITE = "NotFinite", "A query answered NaN or infinity: there is no value to decide on."
    PARTIAL_RESPONSE = (
        "PartialResponse",
        "Prometheus answered with warnings, so series may be missing.",
    )
    DUPLICATE_SERIES = (
        "DuplicateSeries",
        "A query answered more than one series for the target: aggregate it to one.",
    )
    QUERIES_NOT_ALLOWED = (
        "QueriesNotAllowed",
        "The installation does not allow own queries: ask its administrator.",
    )

    SCALING_ACTIVE = "ScalingActive", "AURORA may change the number of replicas."
    SCALING_NOT_CONFIGURED = (
        "ScalingNotConfigured",
        "Set spec.scaling.maxReplicas to let AURORA scale.",
    )
    CACHE_ACTIVE = "CacheActive", "Answers are served from the cache."
    CACHE_ARMED = "CacheArmed", "The cache sidecar runs and passes everything through."
    CACHE_OFF = "CacheOff", "The object switches the cache off: spec.cache.mode is Off."
    CACHE_PRECONDITION = (
        "CachePrecondition",
        "The target lacks something that the cache needs: the message says what to change.",
    )
    DRIFT_DETECTED = "DriftDetected", "The data drift score is above its threshold."
    NO_DRIFT = "NoDrift", "The data drift score is below its threshold."

    APPROVAL_REQUIRED = (
        "ApprovalRequired",
        "A decision waits for a person: kubectl aurora approve or deny it.",
    )
    NOTHING_PENDING = "NothingPending", "No decision waits for a person."
    EXTERNALLY_REVERTED = (
        "ExternallyReverted",
        "Another manager took AURORA's change back twice: the message names the line to add there.",
    )

    ACCEPTED = "Accepted", "The policy can be carried out as it is written."
    RULE_TAKEN = (
        "RuleTaken",
        "Another object programs the same rule and goes first: delete one of the two.",
    )
    REFS_RESOLVED = "RefsResolved", "Every backend and the rule were found, and they agree."
    ROUTE_NOT_FOUND = (
        "RouteNotFound",
        "The HTTPRoute or its rule does not exist: create it or correct spec.routeRef.",
    )
    ROUTE_NOT_SERVED = (
        "RouteNotServed",
        "The cluster does not serve HTTPRoutes: install the Gateway API.",
    )
    BACKEND_NOT_FOUND = "BackendNotFound", "A backend does not exist: create it or correct it."
    BACKENDS_DIFFER = (
        "BackendsDiffer",
        "Policy and rule must list the same backends, or their weights are no whole.",
    )
    PROGRAMMED = "Programmed", "The weights in force are the wanted ones."
    ON_THE_WAY = "OnTheWay", "The weights in force move to the wanted ones step by step."
    NOT_PROGRAMMED = "NotProgrammed", "No route is named: backends are measured, no weight is set."
    NO_BACKEND_READY = (
        "NoBackendReady",
        "No backend can take the traffic: the weights stay as they are.",
    )
    AUDIT_PASSED = "AuditPassed", "Every backend with traffic keeps to spec.constraints."
    CONSTRAINTS_VIOLATED = (
        "ConstraintsViolated",
        "A backend with traffic does not keep to spec.constraints: the message names it.",
    )
    ROUTERS_FED = "RoutersFed", "Routers find what they need in the ConfigMap that is named."
    NOT_FED = "NotFed", "The ConfigMap for routers was not written yet."
    CONFIG_MAP_TAKEN = (
        "ConfigMapTaken",
        "The ConfigMap for routers belongs to somebody else: delete or rename it.",
    )

    APPROVED_BY_POLICY = "ApprovedByPolicy", "Confidence and risk allow it without a person."
    APPROVED_BY_PERSON = "ApprovedByPerson", "An Approval with verdict Approve exists."
    DENIED_BY_PERSON = "DeniedByPerson", "An Approval with verdict Deny exists."
    EXPIRED = "Expired", "Nobody decided before it expired."
    EXECUTING = "Executing", "The change is announced and being written."
    EXECUTED = "Executed", "The change is in force."
    EXECUTION_FAILED = "ExecutionFailed", "The change could not be written: the message says why."
    VERIFYING = "Verifying", "The effect is being measured."
    OUTCOME_VERIFIED = "OutcomeVerified", "The effect was measured against the contract."
    CONTRACT_BROKEN = "ContractBroken", "A rollback condition was met."
    UNDONE = "Undone", "The old values are in force again."
    UNDO_FAILED = "UndoFailed", "The old values could not be written: the message says why."
