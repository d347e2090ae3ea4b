"""Opens whatever `--trace` names: a file in a known format, or the built-in profile."""

from pathlib import Path
from typing import Final, NamedTuple

from aurora.errors import UsageError
from aurora.simulator.profile import COLUMNS, builtin_profile, read_profile
from aurora.simulator.servegen import SERVEGEN_COLUMNS, read_servegen
from aurora.simulator.trace import AZURE_COLUMNS, RecordedSource, TraceSource, read_azure

__all__ = ["BUILTIN", "Opened", "open_source"]

BUILTIN: Final = "builtin"


class Opened(NamedTuple):
    """A source and the key of its calibrated scale; None when it has none of its own."""

    source: TraceSource
    kind: str | None


def open_source(name: str, *, start_s: float = 0.0, duration_s: float | None = None) -> Opened:
    """Open the load called `name`, from `start_s` on for `duration_s` seconds.

    Raises:
        UsageError: no such file, an unknown format, a malformed row, or an empty window.
    """
    if name == BUILTIN:
        _refuse_window(start_s, duration_s, "the built-in profile")
        return Opened(builtin_profile(), BUILTIN)
    path = Path(name)
    header = _header(path)
    if header[: len(AZURE_COLUMNS)] == list(AZURE_COLUMNS):
        trace = read_azure(path)
        part = trace.since(start_s) if start_s else trace
        whole = part if duration_s is None else part.first(duration_s)
        return Opened(RecordedSource(whole), "azure")
    if set(SERVEGEN_COLUMNS) <= set(header):
        rates = read_servegen(path)
        length = len(rates.rates) * rates.interval_s - start_s
        return Opened(rates.window(start_s, duration_s or length), "servegen")
    if header == list(COLUMNS):
        _refuse_window(start_s, duration_s, "a profile")
        return Opened(read_profile(path), None)
    raise UsageError(
        f"{path} line 1: no known trace format: expected the columns "
        f"{','.join(AZURE_COLUMNS)} (Azure) or {','.join(SERVEGEN_COLUMNS)} (ServeGen)"
    )


def _refuse_window(start_s: float, duration_s: float | None, what: str) -> None:
    if start_s or duration_s is not None:
        raise UsageError(f"{what} is played whole: leave --from-hour and --hours out")


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(4096).strip().split(",")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(
            f"cannot read the trace {path}: {reason}; give a CSV file or {BUILTIN!r}"
        ) from error
