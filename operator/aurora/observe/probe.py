"""Asks the pods of a failed primary whether they answer again."""

import asyncio
import json

import aiohttp

from aurora.errors import ConfigurationError
from aurora.observe.facts import ObjectKey, PodFacts, ProbeFacts
from aurora.observe.snapshot import ModelObservation
from aurora.resources.names import ORIGINAL_ANNOTATION

__all__ = ["HttpProber"]

_TIMEOUT_S = 2.0
_TARGET_PORT = "/spec/ports/0/targetPort"
_PLACEHOLDERS = ("{ip}", "{port}", "{namespace}", "{pod}", "{path}")


class HttpProber:
    """GETs a path of each ready pod, one request per pod and cycle.

    Answers in a row are counted over cycles; one that fails clears the count.

    Args:
        url: template with {ip}, {port}, {namespace}, {pod} and {path}. The default asks the pod
            itself; behind a mesh it can name a proxy.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        try:
            url.format(ip="i", port=1, namespace="n", pod="p", path="/")
        except (KeyError, IndexError, ValueError):
            raise ConfigurationError(
                f"AURORA_PROBE_URL may hold only {', '.join(_PLACEHOLDERS)}"
            ) from None
        self._session = session
        self._url = url
        self._successes: dict[ObjectKey, int] = {}

    async def probe(self, observation: ModelObservation) -> ProbeFacts:
        """Ask every ready pod once."""
        pods = [pod for pod in observation.pods if pod.ready and not pod.deleting]
        fallback = observation.model.spec.fallback
        if not pods or fallback is None:
            self._successes[observation.key] = 0
            return ProbeFacts(0, "no pod is ready")
        port = _port(observation)
        answers = await asyncio.gather(*(self._ask(pod, port, fallback.probe.path) for pod in pods))
        failure = next((one for one in answers if one), "")
        so_far = 0 if failure else self._successes.get(observation.key, 0) + len(pods)
        self._successes[observation.key] = so_far
        return ProbeFacts(so_far, failure)

    async def _ask(self, pod: PodFacts, port: str, path: str) -> str:
        """Why the pod did not answer; empty when it did."""
        url = self._url.format(
            ip=pod.ip, port=port, namespace=pod.key.namespace, pod=pod.key.name, path=path
        )
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as answer:
                return "" if answer.status < 300 else f"{pod.key.name} answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{pod.key.name} did not answer: {type(error).__name__}"


def _port(observation: ModelObservation) -> str:
    """The pods' own port: what the Service sent to before traffic went away from them.

    While a Service is switched, its targetPort is the fallback's. A name is looked up in the pod
    template; where it is not found, the Service's port is the best guess.
    """
    ports = observation.service.ports if observation.service is not None else ()
    if not ports:
        return "80"
    found = _found_port(observation) or ports[0].target_port
    named = observation.target.ports.get(found) if observation.target is not None else None
    if named is not None:
        return str(named)
    return found if found.isdigit() else str(ports[0].port)


def _found_port(observation: ModelObservation) -> str:
    """The Service's targetPort as AURORA found it, by the values that it keeps; else empty."""
    kept = observation.model.metadata.annotations.get(ORIGINAL_ANNOTATION, "")
    try:
        changes = json.loads(kept) if kept else []
        return next(
            (
                str(json.loads(one["to"]))
                for one in changes
                if one["kind"] == "Service" and one["path"] == _TARGET_PORT and "to" in one
            ),
            "",
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
