"""Processes that run the same code at once: forks of one Python, so that modules load only once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM = """
import importlib, json, os, sys
code, modules, arguments = json.loads(sys.argv[1])
for module in modules:
    importlib.import_module(module)
wait, start = os.pipe()
pids = []
for number in range(len(arguments)):
    pids.append(os.fork())
    if pids[-1] == 0:
        sys.argv[1:] = arguments[number]
        os.close(start)
        os.read(wait, 1)
        exec(code, {})
        sys.exit()
os.close(start)
assert not any([os.waitpid(pid, 0)[1] for pid in pids])
"""


def run_at_once(code: str, modules: Sequence[str], arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run code in a process for each of the arguments, and return the lines that they print.

    ``modules`` are those to import before the processes begin. Fails if one of them fails.
    """
    program = [sys.executable, "-c", _PROGRAM, json.dumps([code, modules, arguments])]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return done.stdout.splitlines()
