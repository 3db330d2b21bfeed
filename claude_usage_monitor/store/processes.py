"""Names for processes, which show whether a process still runs."""

from __future__ import annotations

import os
import sys


def this_process() -> str:
    """Return a name for this process that no later process has: its number and its start."""
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def is_alive(process: str) -> bool:
    """Return whether a process runs; ``True`` where that is unknown."""
    pid, _, start_time = process.partition(":")
    if sys.platform == "win32":
        return True  # signal 0 would be Ctrl+C there
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return start_time == _start_time(int(pid))


def _start_time(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[19].decode()
    except (OSError, IndexError):
        return ""
