"""A vLLM server's metrics page that behaves as a test says, on wall-clock time."""

import time
from dataclasses import dataclass, field

BOUNDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


@dataclass
class ModelServer:
    """Counters grow with time at `rate` requests/s; every request takes the latencies set here.

    Attributes:
        model: the name under which it serves.
        gone: the page answers 503, as a server that is down.
        nan: every value is NaN, as a broken exporter.
    """

    rate: float = 50.0
    ttft_s: float = 0.08
    e2e_s: float = 0.4
    error_share: float = 0.0
    model: str = "m"
    gone: bool = False
    nan: bool = False
    _at: float = field(default_factory=time.monotonic)
    _counts: dict[str, list[float]] = field(default_factory=dict)
    _requests: float = 0.0
    _errors: float = 0.0

    def page(self) -> str | None:
        """The text that Prometheus scrapes."""
        self._advance()
        if self.gone:
            return None
        labels = f'model_name="{self.model}"'
        post = 'http_requests_total{handler="/v1/completions",method="POST"'
        answered = self._value(self._requests - self._errors)
        lines = [
            f"vllm:num_requests_running{{{labels}}} {self._value(self.rate * self.e2e_s)}",
            f"vllm:num_requests_waiting{{{labels}}} {self._value(0)}",
            f"vllm:kv_cache_usage_perc{{{labels}}} {self._value(0.2)}",
            f"vllm:prompt_tokens_total{{{labels}}} {self._value(self._requests * 500)}",
            f"vllm:generation_tokens_total{{{labels}}} {self._value(self._requests * 100)}",
            f'vllm:request_success_total{{{labels},finished_reason="stop"}} {answered}',
            f'{post},status="2xx"}} {answered}',
            f'{post},status="5xx"}} {self._value(self._errors)}',
        ]
        for name in (
            "time_to_first_token_seconds",
            "e2e_request_latency_seconds",
            "request_time_per_output_token_seconds",
            "inter_token_latency_seconds",
        ):
            lines += self._histogram(f"vllm:{name}", labels, self._counts.get(name, []))
        return "\n".join(lines) + "\n"

    def _advance(self) -> None:
        now = time.monotonic()
        more = (now - self._at) * self.rate
        self._at = now
        self._requests += more
        self._errors += more * self.error_share
        tpot = max(0.001, (self.e2e_s - self.ttft_s) / 100)
        for name, value in (
            ("time_to_first_token_seconds", self.ttft_s),
            ("e2e_request_latency_seconds", self.e2e_s),
            ("request_time_per_output_token_seconds", tpot),
            ("inter_token_latency_seconds", tpot),
        ):
            counts = self._counts.setdefault(name, [0.0] * (len(BOUNDS) + 2))
            for place, bound in enumerate(BOUNDS):
                counts[place] += more if value <= bound else 0.0
            counts[-2] += more
            counts[-1] += more * value

    def _histogram(self, name: str, labels: str, counts: list[float]) -> list[str]:
        lines = [
            f'{name}_bucket{{{labels},le="{bound}"}} {self._value(counts[place])}'
            for place, bound in enumerate(BOUNDS)
        ]
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {self._value(counts[-2])}')
        lines.append(f"{name}_sum{{{labels}}} {self._value(counts[-1])}")
        lines.append(f"{name}_count{{{labels}}} {self._value(counts[-2])}")
        return lines

    def _value(self, value: float) -> str:
        return "NaN" if self.nan else repr(value)
