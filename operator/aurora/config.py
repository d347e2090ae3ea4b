"""Settings of one installation, read from the environment (`AURORA_...`) by pydantic-settings.

Every setting has a default that works on one machine; the chart sets the rest.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aurora.errors import ConfigurationError
from aurora.faults import one_line

__all__ = ["Settings"]


def _listed(value: Any) -> Any:
    """`a,b` or a JSON list: a person writes the first, a chart may write the second."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value, 'a list such as models,team-b or ["models", "team-b"]')
    return tuple(one.strip() for one in value.split(",") if one.strip())


def _mapped(value: Any) -> Any:
    form = 'a JSON object such as {"X-Scope-OrgID": "team"}'
    return _json(value, form) if isinstance(value, str) else value


def _placed(value: Any) -> Any:
    form = 'a JSON object such as {"SCALE": ["*"], "CACHE": ["team-a"]}'
    return _json(value, form) if isinstance(value, str) else value


def _json(value: str, form: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        # The text itself stays out of the message: a header may hold a secret.
        raise ValueError(f"this is not JSON: write {form}") from None


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Headers = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_mapped)]
Places = Annotated[
    dict[Literal["SCALE", "ROUTE", "CACHE"], tuple[str, ...]] | None,
    NoDecode,
    BeforeValidator(_placed),
]


class Settings(BaseSettings):
    """What an administrator decides for the whole installation."""

    model_config = SettingsConfigDict(
        env_prefix="AURORA_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    namespace: str = "aurora-system"
    """Namespace of the operator: its Lease and the ConfigMap aurora-control are there."""
    watch_namespaces: Names = ()
    """Namespaces to work in; empty is the whole cluster."""
    kubeconfig: Path | None = Field(
        default=None, validation_alias=AliasChoices("AURORA_KUBECONFIG", "KUBECONFIG", "kubeconfig")
    )
    """Path of a kubeconfig; unset inside a cluster."""
    kube_context: str | None = None
    """Context of the kubeconfig; unset is its current one."""

    cycle_seconds: float = Field(default=15.0, ge=1.0, le=300.0)
    """Time between two control cycles."""

    prometheus_url: str = "http://prometheus-operated.monitoring.svc:9090"
    """Base URL of the Prometheus HTTP API."""
    prometheus_token: SecretStr | None = None
    """Bearer token for Prometheus."""
    prometheus_token_file: Path | None = None
    """File with that token, read anew at every query: a token that is rotated is honoured."""
    prometheus_username: str = ""
    """User name for basic authentication."""
    prometheus_password: SecretStr | None = None
    """Password for basic authentication."""
    prometheus_ca_file: Path | None = None
    """CA bundle that signed the certificate of Prometheus."""
    prometheus_headers: Headers = {}
    """More headers, for example X-Scope-OrgID, as a JSON object."""
    metrics_window_seconds: float = Field(default=120.0, ge=5.0, le=3600.0)
    """How far back rates and percentiles look; at least four scrape intervals."""
    metrics_stale_seconds: float = Field(default=90.0, ge=5.0, le=3600.0)
    """A newest raw sample older than this makes a reading Stale."""
    recording_rules: bool = False
    """Read rates and percentiles from the recording rules that `aurora recording-rules` prints."""
    allow_custom_queries: bool = False
    """Whether ModelDeployments may bring their own PromQL."""

    store_url: str = "sqlite:///aurora.db"
    """SQLAlchemy URL of the record store."""
    retention_days: int = Field(default=30, ge=1, le=3650)
    """How long records are kept."""
    index_path: Path | None = None
    """Folder of the index of past cases; unset puts it beside a SQLite store, else in memory."""
    embeddings: Literal["auto", "numeric", "sentence"] = "auto"
    """How cases are compared: with text (sentence), by numbers alone, or by what is installed."""

    probe_url: str = "http://{ip}:{port}{path}"
    """How a pod is probed before traffic returns to it; {namespace} and {pod} may be used too."""

    actions: Places = None
    """Actions that may be carried out, with their namespaces (`*` is all); unset allows each."""
    blast_radius_percent: int = Field(default=10, ge=1, le=100)
    """Share of all models that may be changed at the same time."""
    blast_radius_minimum: int = Field(default=3, ge=1)
    """That many may always be changed at the same time, so that a small fleet can be helped."""
    webhook_hosts: Names = ()
    """Hosts that an alert may be sent to; empty sends none."""
    webhook_secret: SecretStr | None = None
    """Key of the HMAC-SHA256 signature of a webhook."""

    cache_image: str = "nginxinc/nginx-unprivileged:1.27"
    """Image of the cache sidecar."""
    cache_exporter_image: str = ""
    """Image of the cache's exporter; empty leaves the exporter out."""

    metrics_port: int = Field(default=9464, ge=0, le=65535)
    """Port of AURORA's own metrics; 0 serves none."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """Port of the liveness and readiness probes; 0 serves none."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - probes and scrapes come from outside the pod
    """Address that probes and metrics are served on."""
    log_format: Literal["json", "console"] = "json"
    """json for machines, console for people."""

    @field_validator("prometheus_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            # The value stays out of the message: people put passwords into URLs.
            raise ValueError("this is not a URL: write http://host:port")
        return value.rstrip("/")

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment; explicit values win.

        Raises:
            ConfigurationError: one line per wrong setting, without the values of secrets.
        """
        try:
            return cls(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            raise ConfigurationError(one_line(error, named=_setting)) from None


def _setting(place: Sequence[str]) -> str:
    """The environment variable, and where in it."""
    setting, *inner = place
    name = setting.removeprefix("AURORA_").upper()
    return f"AURORA_{name}" + "".join(f"[{part}]" for part in inner)
