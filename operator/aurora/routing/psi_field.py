"""The psi field: an outside source of density, coherence and entropy that damps exploration.

Density says how settled the surroundings are (0 open, 1 dense); coherence how far the readings
agree, entropy how disordered they are. All are 0 to 1; a number outside is taken to the nearer
bound. High density lowers exploration, as far as it can be trusted:

    certainty   = density * coherence * (1 - entropy)
    exploration = 1 - strength * certainty            in [1 - strength, 1], strength 0.9

and a strategy's epsilon is multiplied by `exploration`. Missing coherence counts as 1 and missing
entropy as 0 (they take nothing away from the density). A missing, stale or unusable density is
neutral: exploration 1.

The value comes from an HTTP endpoint that a background thread polls (Prometheus' query API among
them, see `psi_prometheus`), from a callable, or is pushed. Nothing is fetched on a decision's path.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from aurora.routing.errors import InputError
from aurora.routing.psi_prometheus import NAMES, is_prometheus, reading_of

__all__ = ["PsiField", "PsiMetrics", "exploration_factor", "fetch_http"]

DEFAULT_STRENGTH: Final = 0.9
DEFAULT_INTERVAL_SECONDS: Final = 15.0
STALE_AFTER_INTERVALS: Final = 3
TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 65_536
"""An answer is three numbers; whatever sends more is not a psi field."""

Source = Callable[[], "Mapping[str, Any] | float | None"]


@dataclass(frozen=True, slots=True)
class PsiMetrics:
    """One reading, each 0 to 1; None where it is not known."""

    density: float | None = None
    coherence: float | None = None
    entropy: float | None = None

    @classmethod
    def of(cls, value: "PsiMetrics | Mapping[str, Any] | float | None") -> "PsiMetrics":
        """Read a mapping (`density` or `psi_density`, ...) or a bare density.

        What is no finite number is unknown: a broken source must not stop routing.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            return cls(_unit(value))
        read = [_unit(value.get(name, value.get(f"psi_{name}"))) for name in NAMES]
        return cls(*read)

    def to_dict(self) -> dict[str, float | None]:
        return {"density": self.density, "coherence": self.coherence, "entropy": self.entropy}


def _unit(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(min(1.0, max(0.0, value)))  # an integer can be too long for a float


def exploration_factor(metrics: PsiMetrics, strength: float = DEFAULT_STRENGTH) -> float:
    """The factor on exploration, by the formula above."""
    if metrics.density is None:
        return 1.0
    coherence = 1.0 if metrics.coherence is None else metrics.coherence
    entropy = 0.0 if metrics.entropy is None else metrics.entropy
    return 1.0 - strength * metrics.density * coherence * (1.0 - entropy)


def fetch_http(url: str, timeout: float = TIMEOUT_SECONDS) -> Mapping[str, Any] | float | None:
    """GET one JSON answer: an object with the three numbers, a bare density, or Prometheus'."""
    # Imported late: it brings 3 MB that an engine without an endpoint does not need.
    import urllib.request

    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310  # scheme is checked
        body = answer.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"the answer has more than {MAX_BYTES} bytes")
    value: Any = json.loads(body)
    return reading_of(value) if is_prometheus(value) else cast("Mapping[str, Any] | float", value)


class PsiField:
    """Holds the newest reading and, when it has a source, keeps it fresh in the background.

    Args:
        url: http or https endpoint, also a Prometheus query `.../api/v1/query?query=...`; None when
            values are pushed or `source` is given.
        source: asked instead of the endpoint; may do I/O and may raise.
        strength: 0 (no influence) to 1.
        interval_seconds: between two polls; three missed polls make the reading stale.
        monotonic: seconds that never go backwards.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        source: Source | None = None,
        strength: float = DEFAULT_STRENGTH,
        interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise InputError(f"psi_field_url must start with http:// or https://, not {url!r}")
        if not 0.0 <= strength <= 1.0:
            raise InputError(f"psi strength must be from 0 to 1, not {strength!r}")
        if not interval_seconds > 0.0:
            raise InputError(f"psi interval must be above 0 s, not {interval_seconds!r}")
        self._source = source or (_http_source(url) if url else None)
        self._strength = strength
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._reading = PsiMetrics()
        self._factor = 1.0
        self._until = -math.inf
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.last_error: str | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a reading that is not stale."""
        return self._monotonic() < self._until

    @property
    def metrics(self) -> PsiMetrics:
        """The newest reading; all None when it is missing or stale."""
        return self._reading if self.connected else PsiMetrics()

    def exploration(self, now: float) -> float:
        """The factor from the newest reading; 1 when it is missing or stale."""
        return self._factor if now < self._until else 1.0

    def factor_of(self, value: PsiMetrics | Mapping[str, Any] | float) -> float:
        """The factor from a value that came with one decision."""
        return exploration_factor(PsiMetrics.of(value), self._strength)

    def push(self, value: PsiMetrics | Mapping[str, Any] | float | None) -> PsiMetrics:
        """Take a reading from outside; it is stale after three intervals, as a polled one is."""
        reading = PsiMetrics.of(value)
        self._reading = reading
        self._factor = exploration_factor(reading, self._strength)
        self._until = self._monotonic() + STALE_AFTER_INTERVALS * self._interval
        if reading.density is None:
            self._until = -math.inf
        return reading

    def poll(self) -> PsiMetrics | None:
        """Ask the source once, now; None (and `last_error`) when it has no usable answer.

        A failed poll keeps the last reading until it is stale.
        """
        if self._source is None:
            return None
        try:
            reading = PsiMetrics.of(self._source())
        except Exception as error:  # noqa: BLE001  # any failure of an outside source is "no data"
            self.last_error = f"{type(error).__name__}: {error}"
            return None
        if reading.density is None:
            self.last_error = "the answer has no usable density"
            return None
        self.last_error = None
        return self.push(reading)

    def start(self) -> None:
        """Poll in the background from now on; once is enough."""
        if self._source is None or self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="aurora-psi-field", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop polling; waits for a poll under way, at most its timeout."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 1.0)
            self._thread = None

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(Exception):
                self.poll()
            self._stop.wait(self._interval)


def _http_source(url: str) -> Source:
    return lambda: fetch_http(url)
