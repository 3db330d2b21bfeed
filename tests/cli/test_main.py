"""The table of commands, and the process around them."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import claude_usage_monitor.cli.commands
from claude_usage_monitor.cli import COMMANDS
from claude_usage_monitor.cli.commands.dashboard import OUTPUTS
from claude_usage_monitor.cli.parser import build_parser
from tests.support.command import environ_running

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

FOLDER = Path(claude_usage_monitor.cli.commands.__file__).parent
PREFIX = "claude_usage_monitor.cli.commands."

# Removes a capability of root, so that permissions count in a test as for any other user.
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def modules_after(*arguments: str) -> set[str]:
    """Return the command modules that a command line imports."""
    code = (
        "import sys\n"
        "from claude_usage_monitor.cli import main\n"
        f"main({list(arguments)!r})\n"
        f"names = [name for name in sys.modules if name.startswith({PREFIX!r})]\n"
        "print(*names, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.removeprefix(PREFIX) for name in done.stderr.split()}


def test_the_help_names_every_command_and_imports_none(command: Command) -> None:
    shown = command.run("--help").stdout
    for name, (_, help_text) in COMMANDS.items():
        assert f"{name} " in shown
        assert help_text in shown
    assert set() == modules_after("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_this_command_alone(command: Command, name: str) -> None:
    done = command.run(name, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"usage: claude-usage-monitor {name}")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert {name} == modules_after(name, "--help")


def test_one_parser_knows_every_command() -> None:
    parser = build_parser(COMMANDS, COMMANDS)
    assert "list" == parser.parse_args(["accounts", "list"]).action
    assert parser.parse_args(["doctor", "--online"]).online


def test_every_row_of_the_tables_is_a_module_and_no_module_imports_another() -> None:
    for module_name, _ in COMMANDS.values():
        module = import_module(module_name)
        assert callable(module.arguments)
        assert callable(module.run)
    for module_name in OUTPUTS.values():
        assert callable(import_module(module_name).show)
    for path in FOLDER.glob("*.py"):
        imported = [
            node.module or ""
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert not [name for name in imported if name.startswith(PREFIX.rstrip("."))], path


# Writes to a file whether the garbage collector is on, once figures are drawn or printed.
COLLECTOR = """
import pathlib
import claude_usage_monitor.cli.{module} as module
def {name}(*arguments, original=module.{name}):
    import gc
    report = pathlib.Path({path!r})  # replaced whole: the test reads it between two frames
    report.with_suffix(".new").write_text(str(gc.isenabled()))
    report.with_suffix(".new").replace(report)
    return original(*arguments)
module.{name} = {name}
"""


def test_only_live_mode_collects_garbage(command: Command, tmp_path: Path) -> None:
    """A short command ends before there is any; live mode runs for days."""
    report = tmp_path / "report"
    code = COLLECTOR.format(module="output", name="data", path=str(report))
    command.run("--demo", "--once", environ=environ_running(tmp_path, code))
    assert "False" == report.read_text()

    code = COLLECTOR.format(module="commands.live", name="dashboard", path=str(report))
    terminal = command.open("--demo", environ=environ_running(tmp_path, code))
    terminal.wait_for("Fable")
    assert "True" == report.read_text()


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
        command.run(*arguments, environ=environ_running(tmp_path, code))
        assert "0" == report.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize(
    "arguments",
    [("--once",), ("--json",), ("doctor",), ("accounts", "list"), ("accounts", "use", "console")],
    ids=" ".join,
)
def test_a_folder_that_may_not_be_entered_is_not_a_full_disk(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    try:
        done = command.run(
            *arguments, through=WITHOUT_PRIVILEGES, environ={"HOME": str(closed / "home")}
        )
    finally:
        closed.chmod(0o700)

    assert "Traceback" not in done.stderr
    assert "disk" not in done.stderr + done.stdout
    assert "ermission denied" in done.stderr + done.stdout


def test_a_failed_read_is_named_and_is_a_document_too(
    command: Command, api: Api, store: Store, tmp_path: Path
) -> None:
    store.login()
    code = """
import claude_usage_monitor.cli.dashboard_request as dashboard_request
def read_all(*arguments):
    raise OSError(5, "Input/output error", "/some/file")
dashboard_request.read_all = read_all
"""
    done = command.run("--json", environ=environ_running(tmp_path, code))

    assert 1 == done.returncode
    error, hint = done.stderr.splitlines()
    assert "error: /some/file: Input/output error." == error
    assert hint.startswith("hint: ")
    assert "/some/file: Input/output error." in done.stdout
