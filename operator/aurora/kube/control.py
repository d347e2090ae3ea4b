"""The kill switch, read from the API server each time it is asked."""

from aurora.errors import ClusterError
from aurora.kube.client import KubeClient
from aurora.kube.kinds import CONFIG_MAP, Ref
from aurora.kube.switch import Switch, parse_switch
from aurora.resources.names import CONTROL_CONFIGMAP

__all__ = ["ControlSwitch"]

READ_TIMEOUT_S = 5.0


class ControlSwitch:
    """Reads the switch from the API server each time it is asked."""

    def __init__(self, client: KubeClient, *, namespace: str) -> None:
        self._client = client
        self._ref = Ref(CONFIG_MAP, namespace, CONTROL_CONFIGMAP)

    async def read(self) -> Switch:
        """Never raises for the cluster's sake: what cannot be read counts as set."""
        try:
            return parse_switch(await self._client.get(self._ref, timeout_s=READ_TIMEOUT_S))
        except ClusterError as error:
            return Switch(False, True, f"{self._ref} cannot be read: {error}")
