"""The way to the API server: through the environment's proxy, or around it."""

from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from aurora.errors import ConfigurationError, UnavailableError
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import CONFIG_MAP, Ref
from aurora.kube.transport import Retries

SERVER = "http://apiserver.invalid:8080/clusters/one"


def kubeconfig(folder: Path, **cluster: str) -> Path:
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(found))
    return path


@pytest.mark.parametrize(
    ("named_by", "around", "asked"),
    [
        pytest.param("environment", "", True, id="a proxy that the environment names"),
        pytest.param("environment", "apiserver.invalid", False, id="one that is to be gone around"),
        pytest.param("kubeconfig", "apiserver.invalid", True, id="a proxy that the cluster names"),
        pytest.param("", "", False, id="none"),
    ],
)
async def test_a_proxy_is_asked_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, around: str, asked: bool
) -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(f"{request.headers['Host']}{request.path_qs}")
        return web.json_response({"metadata": {"name": "a:b"}})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    async with TestServer(app) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("no_proxy", around)
        if named_by == "environment":
            monkeypatch.setenv("http_proxy", str(proxy.make_url("/")))
        cluster = {"proxy-url": str(proxy.make_url("/"))} if named_by == "kubeconfig" else {}
        connection = Connection(kubeconfig(tmp_path, **cluster))
        async with KubeClient(connection, retries=Retries(attempts=1)) as client:
            if asked:
                assert await client.get(Ref(CONFIG_MAP, "default", "a:b")) is not None
            else:
                with pytest.raises(UnavailableError):
                    await client.get(Ref(CONFIG_MAP, "default", "a:b"))
    path = "/clusters/one/api/v1/namespaces/default/configmaps/a%3Ab"
    assert seen == ([f"apiserver.invalid:8080{path}"] if asked else [])


@pytest.mark.parametrize(
    ("server", "sent"),
    [
        pytest.param("https://host:6443/", "https://host:6443", id="a slash at its end"),
        pytest.param("https://host/ba se", "https://host/ba%20se", id="a space in its path"),
        pytest.param("https://host/a%20b", "https://host/a%20b", id="a path that is quoted"),
        pytest.param("https://bücher.example", "https://xn--bcher-kva.example", id="an IDN"),
        pytest.param("https://[::1]:6443", "https://[::1]:6443", id="IPv6"),
    ],
)
async def test_the_servers_url_is_sent_quoted(tmp_path: Path, server: str, sent: str) -> None:
    found = await Connection(kubeconfig(tmp_path, server=server)).client()
    assert found.api.configuration.host == sent
    await found.close()


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:abc", "http://127.0.0.1:99999", "http://[::1"]
)
async def test_a_server_that_is_no_url_is_told_in_one_line(tmp_path: Path, server: str) -> None:
    with pytest.raises(ConfigurationError, match="kubeconfig is no URL"):
        await Connection(kubeconfig(tmp_path, server=server)).client()
