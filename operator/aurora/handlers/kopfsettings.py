"""How kopf is set: it watches, and writes nothing at all."""

from typing import Any

import kopf

from aurora.kube.kinds import CONFIG_MAP
from aurora.resources.names import CONTROL_CONFIGMAP, GROUP

__all__ = ["kopf_settings"]

INACTIVITY_S = 70.0
"""The API server sends a bookmark every 60 s: a stream that is silent for longer is dead."""
SERVER_TIMEOUT_S = 300
"""A stream is ended and resumed by then: the usual 5 to 10 minutes of client-go's reflectors."""
LIST_CHUNK = 500
EXIT_S = 20.0
"""Below the 30 s that Kubernetes gives a pod to end."""


class _NoEssence(kopf.DiffBaseStorage):
    """Spares a deep copy of every object at every event: nothing here compares objects."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


def kopf_settings() -> kopf.OperatorSettings:
    """Make the settings: no Events, no peering, no finalizer, no scanning, bounded streams."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    # kopf takes its own finalizer off what it need not hold: it must not be AURORA's.
    settings.persistence.finalizer = f"kopf.{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{GROUP}")
    settings.persistence.diffbase_storage = _NoEssence()
    # Kinds are looked up once: watching all CRDs and namespaces needs rights that AURORA lacks.
    settings.scanning.disabled = True
    settings.watching.inactivity_timeout = INACTIVITY_S
    settings.watching.server_timeout = SERVER_TIMEOUT_S
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.field_selectors[CONFIG_MAP.plural] = f"metadata.name={CONTROL_CONFIGMAP}"
    settings.networking.request_timeout = 60
    settings.networking.enforce_retry_after = True
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = EXIT_S
    return settings
