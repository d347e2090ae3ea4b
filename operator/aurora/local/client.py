"""A few requests to the API server with the administrator's certificate, on the standard library.

The control plane's own start needs five kinds of request; loading a full client for them would
cost a second of the start time.
"""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from aurora.local.ports import LOOPBACK

_TIMEOUT_SECONDS = 5.0


class LocalClient:
    """Requests to one API server on loopback. Every method raises OSError when it is not there."""

    def __init__(self, *, port: int, pki: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body (text when it is not JSON)."""
        connection = http.client.HTTPSConnection(
            LOOPBACK, self._port, timeout=_TIMEOUT_SECONDS, context=self._tls
        )
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, _decode(response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"no HTTP answer: {error}") from error
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        return self._answers("/readyz")

    def exists(self, path: str) -> bool:
        """Whether GET `path` answers 200."""
        return self._answers(path)

    def _answers(self, path: str) -> bool:
        try:
            return self.request("GET", path)[0] == http.client.OK
        except OSError:
            return False


def http_ok(port: int, path: str) -> bool:
    """Whether plain HTTP on loopback answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", errors="replace")
