"""The memory of a process that runs for days."""

from __future__ import annotations

import contextlib
import gc
import sys

_M_ARENA_MAX = -8  # from glibc's malloc.h


def use_one_arena() -> None:
    """Let all threads allocate from one arena of glibc's allocator; call it before they start.

    Each read runs on a new thread. With an arena for each, a dashboard of many accounts grows by
    10 MiB within an hour, although it holds no more objects.
    """
    _call_glibc("mallopt", _M_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Free unused objects and return their memory to the system; takes about 15 ms.

    Python itself frees the cycles that a read leaves after many reads: by then 2 MiB, scattered
    over memory that cannot be returned. glibc returns only what is at the end of the heap.
    """
    gc.collect()
    _call_glibc("malloc_trim", 0)


def _call_glibc(function: str, *arguments: int) -> None:
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, AttributeError):  # a Python without ctypes, musl
        import ctypes  # only a few builds of Python lack it

        getattr(ctypes.CDLL(None), function)(*arguments)
