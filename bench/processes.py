"""What a process took so far and holds now, as Linux tells it."""

import os
from pathlib import Path

__all__ = ["cpu_s", "open_files", "rss_mb"]


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory as /proc/PID/statm counts it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files(pid: int) -> int:
    """File descriptors, sockets included."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
