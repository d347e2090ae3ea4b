"""How the API server is reached: a kubeconfig, or the pod's service account."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from aurora.errors import ConfigurationError

__all__ = ["Connection", "Credentials"]

CONNECTIONS = 32
"""Parallel requests; 800 creates a second were measured with it from one client."""

_TOKEN = "BearerToken"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another HTTP client needs to reach the same API server as the same user."""

    server: str
    ca_path: str | None
    insecure: bool
    certificate_path: str | None
    private_key_path: str | None
    token: str | None
    proxy_url: str | None
    trust_env: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to connect.

    Attributes:
        kubeconfig: file to read; None reads $KUBECONFIG, then ~/.kube/config, unless the process
            runs in a pod.
        context: context of the kubeconfig; None is its current one.
    """

    kubeconfig: Path | None = None
    context: str | None = None

    async def client(self) -> ApiClient:
        """Make the HTTP client of the Kubernetes library, with AURORA's name.

        Raises:
            ConfigurationError: there is no kubeconfig, it cannot be read, or it names no server.
        """
        client = ApiClient(configuration=await self._configuration())
        client.user_agent = "aurora"
        return client

    async def credentials(self) -> Credentials:
        """Read the credentials anew, for kopf's own HTTP client.

        Raises:
            ConfigurationError: as for `client`.
        """
        found = await self._configuration()
        token = await found.get_api_key_with_prefix(_TOKEN)
        return Credentials(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            insecure=not found.verify_ssl,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            token=token.split(" ", 1)[-1] if token else None,
            proxy_url=found.proxy,
            trust_env=not is_loopback(found.host),
        )

    async def _configuration(self) -> Configuration:
        found = Configuration()
        try:
            await self._load(found)
        except (ConfigException, OSError, ValueError, KeyError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ConfigurationError(
                f"cannot read the connection to the API server from {self._source}: {reason}; "
                "name a readable kubeconfig with --kubeconfig or KUBECONFIG"
            ) from error
        found.connection_pool_maxsize = CONNECTIONS
        found.client_session_kwargs = {
            # aiohttp sends loopback traffic through HTTPS_PROXY unless NO_PROXY says otherwise.
            "trust_env": not is_loopback(found.host),
            "timeout": aiohttp.ClientTimeout(total=60, sock_connect=10),
        }
        return found

    async def _load(self, found: Configuration) -> None:
        if self._in_cluster:
            load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
            return
        await load_kube_config(  # type: ignore[no-untyped-call]
            config_file=self._file,
            context=self.context,
            client_configuration=found,
            persist_config=False,
        )

    @property
    def _in_cluster(self) -> bool:
        explicit = self.kubeconfig is not None or self.context is not None
        return not explicit and "KUBERNETES_SERVICE_HOST" in os.environ

    @property
    def _source(self) -> str:
        if self._in_cluster:
            return "the pod's service account"
        return self._file

    @property
    def _file(self) -> str:
        # The library reads KUBECONFIG once, when it is imported.
        default = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        return str(self.kubeconfig) if self.kubeconfig else default


def is_loopback(server: str) -> bool:
    """Tell whether a server's URL stays on this machine."""
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
