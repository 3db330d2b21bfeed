from __future__ import annotations

import subprocess
import sys

import pytest

_ALLOCATE_IN_THREADS = """
import ctypes, sys, threading
from claude_usage_monitor.monitor.live.memory import use_one_arena

if sys.argv[1] == "one":
    use_one_arena()
started = threading.Barrier(8)
def allocate():
    started.wait()
    return bytes(100_000)
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
"""


def arenas(setting: str) -> int:
    """Return the number of arenas after eight threads allocated memory at the same time."""
    command = [sys.executable, "-c", _ALLOCATE_IN_THREADS, setting]
    report = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return report.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_all_threads_allocate_from_one_arena() -> None:
    assert arenas("several") > 1
    assert 1 == arenas("one")
