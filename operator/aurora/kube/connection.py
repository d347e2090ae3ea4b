"""How the API server is reached: a kubeconfig, or the pod's service account."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from yarl import URL

from aurora.errors import ConfigurationError

__all__ = ["Connection", "Credentials", "HttpClient"]

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
class HttpClient:
    """The HTTP client of one server, made by the Kubernetes library's settings.

    Its own way to send a request copies the body value by value and the headers twice.

    Attributes:
        api: has the settings, and the credentials, which it renews.
        session: the pool of connections.
        route: what every request takes along: the proxy, and the name to be checked in TLS.
    """

    api: ApiClient
    session: aiohttp.ClientSession
    route: dict[str, Any]

    async def close(self) -> None:
        await self.session.close()
        await self.api.close()  # type: ignore[no-untyped-call]


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

    async def client(self) -> HttpClient:
        """Make an HTTP client with AURORA's name.

        Raises:
            ConfigurationError: there is no kubeconfig, it cannot be read, or it names no server.
        """
        found = await self._configuration()
        found.host = self._quoted(found.host)
        api = ApiClient(configuration=found)
        api.user_agent = "aurora"
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=api.rest_client.ssl_context),
            # Whoever trusts the environment asks it, and ~/.netrc, in a thread for each request.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**21,
        )
        route = {
            "proxy": found.proxy or _proxy_of(found.host),
            "proxy_headers": found.proxy_headers,
            "server_hostname": found.tls_server_name,
        }
        return HttpClient(api, session, {name: value for name, value in route.items() if value})

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
        return found

    def _quoted(self, server: str) -> str:
        """The server's URL as it goes over the wire, without a slash at its end."""
        try:
            return str(URL(server)).rstrip("/")
        except ValueError as error:
            raise ConfigurationError(f"the server of {self._source} is no URL: {error}") from error

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


def _proxy_of(server: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a server; none for loopback."""
    parts = urlsplit(server)
    if is_loopback(server) or not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def is_loopback(server: str) -> bool:
    """Tell whether a server's URL stays on this machine."""
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
