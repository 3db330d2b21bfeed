from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.command import injected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command


def test_no_command_leaves_a_core_file(command: Command, tmp_path: Path) -> None:
    """It would contain the tokens in memory."""
    report = tmp_path / "report"
    code = f"""
import pathlib, resource
import claude_usage_monitor.cli.output as output
def data(text, original=output.data):
    limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    pathlib.Path({str(report)!r}).write_text(str(limit))
    original(text)
output.data = data
"""
    for arguments in (("--demo", "--once"), ("--demo", "--json"), ("statusline",), ("doctor",)):
        report.unlink(missing_ok=True)
        command.run(*arguments, environ=injected(tmp_path, code))
        assert "0" == report.read_text()
