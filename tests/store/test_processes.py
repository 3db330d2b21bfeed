from __future__ import annotations

import os
import subprocess
import sys

from claude_usage_monitor.store.processes import is_alive, this_process


def dead_process() -> str:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return f"{done.pid}:1"


def test_a_process_is_distinguished_from_a_later_one_with_its_number() -> None:
    pid, _, start_time = this_process().partition(":")
    assert is_alive(this_process())
    assert not is_alive(dead_process())
    assert not is_alive(f"{pid}:{int(start_time) + 1}")
    assert not is_alive("nonsense")
    assert int(pid) == os.getpid()
