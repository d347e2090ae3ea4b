"""Settings of the router, from the environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from aurora.errors import ConfigurationError
from aurora.faults import one_line

__all__ = ["RouterSettings", "router_settings"]

_NO_FILE = Path()


def _path(value: object) -> object:
    """An empty setting is none; `Path("")` is the working folder."""
    return _NO_FILE if value in {"", None} else value


File = Annotated[Path, BeforeValidator(_path)]


class RouterSettings(BaseSettings):
    """One router; the names are the environment variables'."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    port: int = Field(default=8000, ge=0, le=65_535)
    """Port of the API, the probes and the metrics; 0 takes a free one."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - the kubelet's probes come from outside of the pod
    """Address to listen on."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    psi_field_url: str = ""
    """Endpoint of the psi field; empty for none."""
    model_path: File = Path("/opt/aurora/q_table.json")
    """Where learned state is kept; empty keeps it in memory."""
    policy_path: File = _NO_FILE
    """Policy that the operator pushes as a mounted ConfigMap; empty for none."""
    strict_audit: bool = False
    """Never choose a provider that violates a constraint; a policy may say otherwise."""
    auto_save: bool = True
    """Save learned state in the background and at the end."""

    @property
    def keeps_state(self) -> bool:
        return self.model_path != _NO_FILE

    @property
    def has_policy(self) -> bool:
        return self.policy_path != _NO_FILE


def router_settings() -> RouterSettings:
    """Read the environment.

    Raises:
        ConfigurationError: a setting is wrong; the text names it.
    """
    try:
        return RouterSettings()
    except ValidationError as error:
        raise ConfigurationError(one_line(error, named=_variable)) from None


def _variable(place: Sequence[str]) -> str:
    return "_".join(place).upper()
