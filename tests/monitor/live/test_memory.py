from __future__ import annotations

import subprocess
import sys
import weakref

import pytest

from claude_usage_monitor.monitor.live.memory import release_free_memory

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


_FREE_MEMORY = """
import re
from pathlib import Path
from claude_usage_monitor.monitor.live.memory import release_free_memory

def kibibytes():
    return int(re.findall(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[0])

blocks = [bytes(1000) for _ in range(30_000)]
last = bytes(1000)  # behind the others, so that the heap cannot shrink by itself
del blocks
before = kibibytes()
release_free_memory()
print(before - kibibytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_returned_to_the_system() -> None:
    command = [sys.executable, "-c", _FREE_MEMORY]
    released = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert int(released) > 20_000


def test_cycles_of_unused_objects_are_freed() -> None:
    class Node:
        pass

    node = Node()
    node.self = node  # type: ignore[attr-defined]  # a cycle
    unused = weakref.ref(node)
    del node
    release_free_memory()
    assert unused() is None
