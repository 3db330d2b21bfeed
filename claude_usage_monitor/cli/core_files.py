"""No core files: after a crash, one would contain the tokens and keys in memory."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource


def disable_core_files() -> None:
    """Set the soft limit for core files to 0.

    ``PR_SET_DUMPABLE`` would also keep out debuggers, but needs ctypes, which takes 3 ms.
    """
    if sys.platform != "win32":
        _, hard_limit = resource.getrlimit(resource.RLIMIT_CORE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, hard_limit))
