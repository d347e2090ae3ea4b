"""What a ModelDeployment says about the model: metrics, objectives, scaling, cache, fallback."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from aurora.resources.base import Part
from aurora.resources.cel import Rule, Schema
from aurora.resources.quantities import (
    Bytes,
    Cost,
    DecimalString,
    Percent,
    PositiveDuration,
    PositivePercent,
)
from aurora.resources.references import HTTPRouteRef, SecretKeyRef, ServicePortRef
from aurora.resources.vocabulary import CacheMode, NodeProvisioning

Query = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    Rule("self.trim().size() > 0", "a query is PromQL text: write one or leave the signal out"),
]
UrlPath = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Rule(
        "self.matches('^/[A-Za-z0-9._~/-]*$')",
        "a path starts with '/' and holds letters, digits and . _ ~ / -, for example "
        "/v1/completions",
    ),
]


class Queries(Part):
    """Own PromQL per signal; each must answer one number in the unit given here."""

    latency_p95: Query | None = None
    """95th percentile of the whole request, in seconds."""
    latency_mean: Query | None = None
    """Mean of the whole request, in seconds."""
    ttft_p95: Query | None = None
    """95th percentile of the time to first token, in seconds."""
    tpot_p95: Query | None = None
    """95th percentile of the time per output token, in seconds."""
    tpot_mean: Query | None = None
    """Mean time per output token, in seconds."""
    request_rate: Query | None = None
    """Requests per second."""
    server_error_ratio: Query | None = None
    """Share of requests that the server failed, 0 to 1."""
    client_error_ratio: Query | None = None
    """Share of requests that the client got wrong, 0 to 1."""
    requests_running: Query | None = None
    """Requests being served now."""
    requests_waiting: Query | None = None
    """Requests waiting in the engine's queue."""
    kv_cache_ratio: Query | None = None
    """Share of the KV cache in use, 0 to 1."""
    prompt_token_rate: Query | None = None
    """Prompt tokens per second."""
    generation_token_rate: Query | None = None
    """Generated tokens per second."""
    cpu_ratio: Query | None = None
    """Share of the CPU in use, 0 to 1."""
    memory_ratio: Query | None = None
    """Share of the memory in use, 0 to 1."""
    gpu_ratio: Query | None = None
    """Share of the GPU in use, 0 to 1."""
    accuracy_ratio: Query | None = None
    """Measured accuracy, 0 to 1."""
    drift_score: Query | None = None
    """Data drift score, 0 to 1."""
    repeat_ratio: Query | None = None
    """Share of requests that repeat an earlier one within the cache TTL, 0 to 1."""
    cache_hit_ratio: Query | None = None
    """Share of requests that the cache answered, 0 to 1."""

    def by_signal(self) -> dict[str, str]:
        """Return the queries that are set, by the name of the signal."""
        return dict(self.to_kubernetes())


class Metrics(Part):
    """Where the numbers come from."""

    min_samples: int = Field(default=100, ge=1, le=1_000_000)
    """Requests that a window must hold before a percentile or ratio of it is believed."""
    queries: Annotated[Queries, Schema((("maxProperties", 5),))] | None = None
    """Own PromQL per signal, at most 5; used only where an administrator allows it."""


class Objectives(Part):
    """What good service is; a signal without an objective is watched by its trigger alone."""

    latency_p95: PositiveDuration | None = None
    """Upper bound of the 95th percentile of the whole request."""
    ttft_p95: PositiveDuration | None = None
    """Upper bound of the 95th percentile of the time to first token."""
    tpot_p95: PositiveDuration | None = None
    """Upper bound of the 95th percentile of the time per output token."""
    error_rate_percent: PositivePercent | None = None
    """Upper bound of the share of requests that the server fails."""
    accuracy_percent: PositivePercent | None = None
    """Lower bound of the measured accuracy."""


class Scaling(Part):
    """Bounds and prices for SCALE."""

    min_replicas: int = Field(default=1, ge=1, le=10_000)
    """AURORA never goes below it."""
    max_replicas: int = Field(ge=1, le=10_000)
    """AURORA never goes above it; an autoscaler's own maximum holds as well."""
    cost_per_replica_hour: Cost | None = None
    """Price of one replica for one hour, in your currency."""
    node_provisioning: NodeProvisioning = NodeProvisioning.NONE
    """Auto: nodes appear on demand, so a lack of GPUs means a longer cold start, not a refusal."""
    create_autoscaler: bool = False
    """Create a HorizontalPodAutoscaler when the target has none; else replicas are set."""

    cel = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas: raise maxReplicas or lower minReplicas",
            ".minReplicas",
        ),
    )


class Cache(Part):
    """The response cache in front of the engine."""

    mode: CacheMode = CacheMode.OFF
    """Off, Auto (AURORA switches it) or On. Quote "Off" and "On": YAML reads them as booleans."""
    ttl: PositiveDuration = timedelta(minutes=5)
    """How long an answer may be served again."""
    max_size: Bytes = 512 * 1024**2
    """Memory for cached answers in each pod."""
    paths: tuple[UrlPath, ...] = Field(
        default=("/v1/completions", "/v1/embeddings"), min_length=1, max_length=16
    )
    """Request paths whose answers may be cached."""
    sampled: bool = False
    """Also cache completions that do not ask for temperature 0: callers then see repeats."""

    cel = (
        Rule(
            "self.paths.all(p, self.paths.exists_one(q, q == p))",
            "each path may be listed once: remove the repeated one",
            ".paths",
        ),
    )


class Probe(Part):
    """Requests that the primary must answer before traffic returns to it."""

    path: UrlPath = "/health"
    """Path that is asked with GET; any 2xx answer counts as success."""
    count: int = Field(default=10, ge=1, le=100)
    """Answers in a row that must succeed."""


class Fallback(Part):
    """Where traffic goes when the primary fails."""

    service_ref: ServicePortRef
    """Service of the fallback; it must serve the same model name."""
    probe: Probe = Field(default_factory=Probe)
    """What the primary must answer before traffic returns."""
    http_route_ref: HTTPRouteRef | None = Field(default=None, alias="httpRouteRef")
    """HTTPRoute rule to set weights on; without it the Service's selector is switched."""


class Triggers(Part):
    """The planner's thresholds: from where on a signal is a reason to act."""

    latency_p95: PositiveDuration = timedelta(milliseconds=1000)
    """CACHE is considered above this 95th percentile."""
    baseline_percent: int = Field(default=150, ge=101, le=1000)
    """CACHE is considered above this share of the model's own baseline latency."""
    error_rate_percent: PositivePercent = 5
    """ROUTE is considered above this share of server errors."""
    client_error_rate_percent: PositivePercent = 5
    """ALERT is raised above this share of client errors."""
    utilization_percent: PositivePercent = 85
    """SCALE is considered above this use of CPU, memory or GPU."""
    no_endpoint_for: PositiveDuration = timedelta(seconds=30)
    """ROUTE and ALERT are considered when no endpoint was ready for this long."""
    retrain_accuracy_percent: Percent = 70
    """RETRAIN is considered below this accuracy, with drift."""
    fine_tune_accuracy_percent: Percent = 90
    """FINE_TUNE is considered below this accuracy."""
    drift_percent: PositivePercent = 50
    """FINE_TUNE is considered above this data drift score, in percent of 1."""

    cel = (
        Rule(
            "self.retrainAccuracyPercent <= self.fineTuneAccuracyPercent",
            "retrainAccuracyPercent must not be above fineTuneAccuracyPercent: retraining is for "
            "the worse case",
            ".retrainAccuracyPercent",
        ),
    )


class Webhook(Part):
    """An HTTP endpoint that is told of alerts and approvals, for example n8n."""

    secret_ref: SecretKeyRef
    """Secret key that holds the URL; its host must be on the installation's allow-list."""
    signature_secret_ref: SecretKeyRef | None = None
    """Secret key that holds the HMAC-SHA256 key of the X-Aurora-Signature header."""


class Notification(Part):
    """One receiver of notifications."""

    webhook: Webhook
    """The endpoint to call."""


class ReplicaCounts(Part):
    """Replicas as last observed."""

    current: int | None = Field(default=None, ge=0)
    """Replicas that exist."""
    ready: int | None = Field(default=None, ge=0)
    """Replicas that are ready."""
    desired: int | None = Field(default=None, ge=0)
    """Replicas that AURORA decided on; missing until it decided."""


class SignalStatus(Part):
    """One signal as last decided on."""

    name: str = Field(max_length=63)
    """Name of the signal."""
    value: DecimalString | None = None
    """The measured value; missing when there is none, and never 0 instead."""
    unit: str | None = Field(default=None, max_length=63)
    """Unit of the value."""
    reason: str | None = Field(default=None, max_length=63)
    """Why there is no value: NoData, Stale, QueryFailed or SignalUnsupported."""
