"""The C library's heap, in a process of its own."""

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, sys, threading
from aurora.heap import keep_the_heap_small
if sys.argv[1] == "small":
    assert keep_the_heap_small()
together = threading.Barrier(4)
def work():
    kept = [bytes(2000) for _ in range(50)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
ctypes.CDLL(None).malloc_stats()
"""


def heaps(how: str) -> int:
    done = subprocess.run(
        (sys.executable, "-c", THREADS, how), capture_output=True, text=True, check=True
    )
    return done.stderr.count("Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has several")
def test_threads_share_one_heap() -> None:
    assert heaps("small") == 1
    assert heaps("as it is") > 1
