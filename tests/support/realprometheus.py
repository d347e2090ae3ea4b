"""A real Prometheus on loopback, and exporters that it scrapes every second."""

import json
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from aurora.local.binaries import Binaries
from aurora.local.layout import default_cache_dir
from aurora.local.progress import PlainReporter
from tests.support.ports import free_port

START_DEADLINE_S = 30.0
WARM_S = 60.0
Page = Callable[[], str | None]
"""Text of one exporter at the moment of a scrape; None answers 503."""


def prometheus_binary() -> str:
    found = shutil.which("prometheus")
    if found:
        return found
    return str(
        Binaries(cache=default_cache_dir(), reporter=PlainReporter(print)).resolve()["prometheus"]
    )


class Exporters:
    """One HTTP server with a page per exporter, at /NAME."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.strip("/"))
                text = page() if page else None
                self.send_response(200 if text is not None else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with suppress(ConnectionError):  # a scraper that waits no longer
                    self.wfile.write((text or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(0.01), daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Prometheus:
    """One process; `kill` and `start` again keep its data."""

    folder: Path
    targets: list[dict[str, object]] = field(default_factory=list)
    rules: dict[str, object] | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, exporter: str, page: str, *, job: str = "pods", **labels: str) -> None:
        """Scrape one page, with labels as a PodMonitor sets them."""
        self.targets.append(
            {
                "targets": [exporter],
                "labels": {"__metrics_path__": f"/{page}", "job": job, **labels},
            }
        )

    def start(self) -> None:
        (self.folder / "targets.json").write_text(json.dumps(self.targets))
        config: dict[str, object] = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": "pods", "file_sd_configs": [{"files": ["targets.json"]}]}
            ],
        }
        if self.rules is not None:
            (self.folder / "rules.yml").write_text(yaml.safe_dump(self.rules))
            config["rule_files"] = ["rules.yml"]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    prometheus_binary(),
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(self.ready, START_DEADLINE_S, "Prometheus is ready")

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def query(self, promql: str) -> float | None:
        """The first number of an instant query, asked apart from the code under test."""
        text = urllib.parse.urlencode({"query": promql})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{text}", timeout=5) as answer:
            rows = json.load(answer)["data"]["result"]
        return float(rows[0]["value"][1]) if rows else None

    def fill_window(self, window_s: int) -> None:
        """Wait until each page was scraped for a whole window, once missed at most."""
        full = f"min(count_over_time(up[{window_s}s])) >= bool {window_s - 1}"
        wait_until(lambda: self.query(full) == 1.0, WARM_S, "the window is full")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None


def wait_until(holds: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Poll until it holds; fails by name."""
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.1)
