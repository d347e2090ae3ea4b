"""Asks the pods of a failed primary whether they answer again."""

import asyncio

import aiohttp

from aurora.errors import ConfigurationError
from aurora.observe.facts import ObjectKey, PodFacts, ProbeFacts
from aurora.observe.snapshot import ModelObservation

__all__ = ["HttpProber"]

_TIMEOUT_S = 2.0
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
    """The pods' own port: a Service's targetPort that is a number, else the Service's port."""
    ports = observation.service.ports if observation.service is not None else ()
    if not ports:
        return "80"
    return ports[0].target_port if ports[0].target_port.isdigit() else str(ports[0].port)
