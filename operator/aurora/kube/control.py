"""The kill switch, read from the API server for each write that acts."""

import asyncio

from aurora.errors import ClusterError
from aurora.kube.client import KubeClient
from aurora.kube.kinds import CONFIG_MAP, Ref
from aurora.kube.switch import Switch, parse_switch
from aurora.resources.names import CONTROL_CONFIGMAP

__all__ = ["ControlSwitch"]

READ_TIMEOUT_S = 5.0


class ControlSwitch:
    """Reads the switch from the API server whenever it is asked.

    Whoever asks while a read is under way shares the next one with all who do: what anybody is told
    was read after they had asked, and sixteen models at a time take two reads and not sixteen.
    """

    def __init__(self, client: KubeClient, *, namespace: str) -> None:
        self._client = client
        self._ref = Ref(CONFIG_MAP, namespace, CONTROL_CONFIGMAP)
        self._asked: list[asyncio.Future[Switch]] = []
        self._reading: asyncio.Task[None] | None = None

    async def read(self) -> Switch:
        """Never raises for the cluster's sake: what cannot be read counts as set."""
        told: asyncio.Future[Switch] = asyncio.get_running_loop().create_future()
        self._asked.append(told)
        if self._reading is None:
            self._reading = asyncio.create_task(self._run(), name="kill switch")
        return await told

    async def _run(self) -> None:
        try:
            while self._asked:
                together, self._asked = self._asked, []
                await self._answer(together)
        finally:
            self._reading = None

    async def _answer(self, together: list[asyncio.Future[Switch]]) -> None:
        try:
            switch = await self._once()
        except Exception as error:  # noqa: BLE001 - it is raised where the question came from
            for told in _waiting(together):
                told.set_exception(error)
        else:
            for told in _waiting(together):
                told.set_result(switch)

    async def _once(self) -> Switch:
        try:
            return parse_switch(await self._client.get(self._ref, timeout_s=READ_TIMEOUT_S))
        except ClusterError as error:
            return Switch(False, True, f"{self._ref} cannot be read: {error}")


def _waiting(together: list[asyncio.Future[Switch]]) -> list[asyncio.Future[Switch]]:
    """Without those that were cancelled meanwhile."""
    return [told for told in together if not told.done()]
