"""Restores every target by hand: what the operator does when a ModelDeployment is deleted."""

from collections.abc import Callable

from aurora.config import Settings
from aurora.errors import AuroraError
from aurora.executor.cache import CacheActuator, CacheImages
from aurora.executor.effects import Effects
from aurora.executor.restore import Restorer
from aurora.factory import connection_of
from aurora.kube.client import KubeClient
from aurora.kube.control import ControlSwitch
from aurora.kube.kinds import MODEL_DEPLOYMENT
from aurora.kube.writer import Writer
from aurora.resources import ModelDeployment
from aurora.resources.names import FINALIZER

__all__ = ["uninstall_all"]


class _Person:
    """A person who uninstalls holds no Lease; the operator is stopped by then."""

    def remaining_s(self) -> float:
        return 60.0


async def uninstall_all(settings: Settings, *, say: Callable[[str], object]) -> int:
    """Restore all ModelDeployments that hold something; returns how many failed."""
    failures = 0
    async with KubeClient(connection_of(settings)) as client:
        switch = ControlSwitch(client, namespace=settings.namespace)
        writer = Writer(client, fence=_Person(), switch=switch)
        images = CacheImages(settings.cache_image, settings.cache_exporter_image or None)
        effects = Effects(client, writer, CacheActuator(client, writer, images))
        restorer = Restorer(client, writer, effects)
        listing = await client.list(MODEL_DEPLOYMENT)
        for raw in listing.items:
            name = f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
            if FINALIZER not in (raw["metadata"].get("finalizers") or []):
                continue
            try:
                await restorer.restore(ModelDeployment.parse(raw))
                say(f"restored {name}")
            except AuroraError as error:
                failures += 1
                say(f"not restored {name}: {error}")
    return failures
