"""Tries the newest Claude Code on npm, or one version, and prints what differs.

``python -m tests.integration.claude_code [VERSION] [--record]``; with ``--record``, the shapes
that were seen replace the recorded ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.claude_code.installed import VERSION_VARIABLE, newest_version
from tests.integration.claude_code.shapes import RECORDED, RECORDING_VARIABLE, differences


def main() -> int:
    """Run the tests with a version; return the exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="default: the newest on npm")
    parser.add_argument("--record", action="store_true", help="replace the recorded shapes")
    options = parser.parse_args()
    version = options.version or newest_version()
    print(f"Claude Code {version}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "shapes.json"
        environ = {**os.environ, VERSION_VARIABLE: version, RECORDING_VARIABLE: str(seen)}
        tests = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent)]
        code = subprocess.run(tests, env=environ, check=False).returncode
        if not seen.exists():
            return code or 1
        lines = differences(json.loads(RECORDED.read_text()), json.loads(seen.read_text()))
        if options.record:
            RECORDED.write_text(seen.read_text())
    print("\n".join(lines) or "Everything it wrote and sent has the recorded shape.")
    return code


if __name__ == "__main__":
    sys.exit(main())
