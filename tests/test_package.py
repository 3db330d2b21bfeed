"""The package as a whole: public names, the cost of imports, structure."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import claude_usage_monitor
from tests.support.organization import ADMIN_KEY, AdminApi, Invented

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from tests.support.api import Api
    from tests.support.login import Store

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "claude_usage_monitor"
HEAVY = (
    "requests",
    "urllib3",
    "rich",
    "keyring",
    "secretstorage",
    "cryptography",
    "platformdirs",
    "prometheus_client",
    "tomllib",
    "ssl",
    "msgspec",
)


def loaded_by(code: str) -> set[str]:
    """Return the heavy modules that a fresh interpreter has imported after running some code."""
    probe = f"import sys; {code}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def quietly(arguments: list[str]) -> str:
    """Return code that runs the command in this interpreter and discards its output."""
    return (
        "import contextlib, io; from claude_usage_monitor.cli import main\n"
        "text = io.TextIOWrapper(io.BytesIO(), 'utf-8')\n"
        "with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):\n"
        f"    main({arguments!r})\n"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import claude_usage_monitor", set()),
        ("from claude_usage_monitor import UsageWindow, UsageMonitorError", set()),
        ("import claude_usage_monitor.formats.json_document", set()),
        ("import claude_usage_monitor.sources.anthropic.oauth_api", set()),
        ("import claude_usage_monitor.sources.claude_code.credentials_file", set()),
        ("import claude_usage_monitor.sources.anthropic.admin_reports", set()),
        ("import claude_usage_monitor.monitor.organization.reader", set()),
        ("import claude_usage_monitor.store.settings", set()),
        ("import claude_usage_monitor.monitor.live.poller", set()),
        ("import claude_usage_monitor.render.dashboard", {"rich"}),
    ],
)
def test_importing_a_module_imports_no_heavy_library_that_it_does_not_use(
    code: str, expected: set[str]
) -> None:
    assert expected == loaded_by(code)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["--demo", "--json"], set()),
        (["--demo", "--once"], {"rich"}),
        (["--json"], set()),
        (["doctor", "--json"], {"secretstorage", "cryptography"}),
    ],
)
def test_a_command_imports_only_the_libraries_it_needs(
    arguments: list[str], expected: set[str]
) -> None:
    assert expected == loaded_by(f"exec({quietly(arguments)!r})")


def test_stored_figures_are_printed_without_heavy_libraries(api: Api, store: Store) -> None:
    """``--json`` and the status line are for scripts and prompts: no network library, no Rich."""
    store.login()
    assert {"requests", "urllib3", "ssl"} <= loaded_by(f"exec({quietly(['--json'])!r})")
    assert set() == loaded_by(f"exec({quietly(['--json'])!r})")
    assert {"rich"} == loaded_by(f"exec({quietly(['--once'])!r})")
    assert set() == loaded_by(f"exec({quietly(['statusline'])!r})")
    assert 1 == len(api.usage_requests)


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "tmux"], ["statusline"]])
def test_stored_figures_are_printed_without_typing_and_descriptions(
    api: Api, store: Store, arguments: list[str]
) -> None:
    """`light_typing` saves 3 ms; only ``--json-schema`` needs the descriptions of the fields."""
    store.login()
    loaded_by(f"exec({quietly(['--json'])!r})")
    unneeded = {"typing", "claude_usage_monitor.formats.published_schema"}
    probe = f"import sys; exec({quietly(arguments)!r}); assert not {unneeded!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True, stdin=subprocess.DEVNULL)
    assert 1 == len(api.usage_requests)


def test_a_stored_organization_is_printed_without_heavy_libraries(
    admin_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = AdminApi(admin_server, Invented.of_size(datetime.now(UTC), users=2))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", api.url)
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", ADMIN_KEY)
    command = f"exec({quietly(['--mode', 'console', '--json'])!r})"
    assert {"requests", "urllib3", "ssl"} <= loaded_by(command)
    requests_before = len(api.requests)
    assert set() == loaded_by(command)
    assert requests_before == len(api.requests)


def test_public_names_exist_and_are_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    for name in claude_usage_monitor.__all__:
        assert getattr(claude_usage_monitor, name) is not None
    assert set(claude_usage_monitor.__all__) == set(dir(claude_usage_monitor))
    typed = {
        alias.name
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("claude_usage_monitor.")
        for alias in node.names
    }
    assert typed == set(claude_usage_monitor.__all__) - {"__version__"}
    with pytest.raises(AttributeError):
        claude_usage_monitor.no_such_name  # noqa: B018 - the look-up is the test


def test_what_the_library_returns_is_public() -> None:
    functions = [claude_usage_monitor.get_usage, claude_usage_monitor.authorize]
    methods = vars(claude_usage_monitor.UsageClient).items()
    functions += [method for name, method in methods if not name.startswith("_")]
    forecast = claude_usage_monitor.UsageWindow.__annotations__["forecast"]
    annotations = [forecast, *(each.__annotations__["return"] for each in functions)]
    texts = [getattr(each, "__forward_arg__", each) for each in annotations]
    names = {name for text in texts for name in re.findall(r"[A-Z]\w+", text)} - {"None"}
    assert {"Usage", "UseReport", "Forecast"} <= names
    assert names <= set(claude_usage_monitor.__all__)


def test_every_module_can_be_imported_by_itself() -> None:
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.endswith("__main__"):
            importlib.import_module(name)


def test_every_module_has_its_tests() -> None:
    """``tests/`` mirrors the package, one file a module; those without logic are named here."""
    exempt = {
        "__init__.py": "resolves names; tried above",
        "__main__.py": "one line; tried below",
        "errors.py": "tested in usage/test_problem_text.py and cli/test_exit_codes.py",
        "usage/clock.py": "reads the clock",
        "usage/attribution/messages.py": "records",
        "usage/findings.py": "a record",
        "usage/limits/reading_sources.py": "a table; tried in store/state/test_readings.py",
        "monitor/demo.py": "tried through the command",
        "monitor/doctor/pace_maker.py": "tried in monitor/subscription/test_pace_maker.py",
        "monitor/subscription/claude_code.py": "tried through monitor/subscription/reader.py",
        "monitor/subscription/hook.py": "tried through the command",
        "monitor/subscription/history.py": "tried through the command",
        "monitor/accounts/histories.py": "tried through the command",
        "monitor/subscription/snapshot.py": "tried through monitor/subscription/reader.py",
        "monitor/organization/snapshot.py": "tried through monitor/organization/reader.py",
        "monitor/doctor/versions.py": "tried through the command",
        "monitor/doctor/credentials.py": "tried through the command",
        "monitor/doctor/network.py": "tried through the command",
        "monitor/doctor/requests.py": "tried through the command",
        "monitor/subscription/statusline.py": "tried through the command",
        "sources/anthropic/api_url.py": "tried in sources/test_http.py",
        "sources/anthropic/failed_reply.py": "tried through the modules beside it",
        "sources/claude_code/transcript_types.py": "types; tried through transcript_lines.py",
        "sources/connection_errors.py": "tried through sources/http.py",
        "sources/reply.py": "tried in sources/test_http.py",
        "sources/transport.py": "tried through sources/http.py",
        "cli/pipes.py": "tried in cli/commands/test_statusline.py",
        "render/layout.py": "tried through render/dashboard.py",
        "render/frame.py": "tried through render/dashboard.py",
        "render/panels/panel.py": "types",
        "render/limits/rows.py": "tried through render/dashboard.py",
        "render/limits/lines.py": "tried through render/dashboard.py",
        "render/account_frame.py": "tried through render/dashboard.py",
        "render/table.py": "tried through render/panels/spend.py",
        "render/panels/limits.py": "tried through render/dashboard.py",
        "render/captions.py": "tried through render/dashboard.py",
        "render/panels/spend_tables.py": "tried through render/panels/spend.py",
        "render/help.py": "tried through render/dashboard.py",
        "formats/options.py": "a record",
        "formats/use.py": "tried in cli/commands/test_usage.py",
        "monitor/attribution/read_use.py": "tried in cli/commands/test_usage.py",
        "monitor/attribution/report.py": "tried in monitor/attribution/test_use.py",
        "monitor/attribution/transcripts.py": "tried in cli/commands/test_usage.py",
        "store/transcripts/shown_use.py": "tried in monitor/attribution/test_use.py",
        "store/transcripts/tables.py": "tried in store/transcripts/test_transcript_store.py",
        "formats/text_layout.py": "tried in formats/test_account_list.py and test_history.py",
        "monitor/accounts/readers.py": "tried through monitor/accounts/registry.py",
        "monitor/services.py": "tried through monitor/accounts/registry.py",
        "monitor/login/saved_logins.py": "tried through monitor/subscription/saved_login.py",
        "monitor/doctor/accounts.py": "tried through the command",
        "store/locks.py": "tried in monitor/login/test_refresh.py",
        "store/config_toml.py": "tested in store/test_settings.py",
        "store/accounts/accounts_file.py": "tried through store/accounts/account_store.py",
        "store/accounts/backup.py": "tried through store/accounts/account_store.py",
        "store/accounts/refresh_state.py": "tried through monitor/login/refresh.py",
        "store/accounts/schema.py": "tables; tried through store/accounts/account_store.py",
        "store/state/schema.py": "tables; tried through store/state/state_file.py",
        "store/secrets/keyring_backend.py": "a protocol and a table of reasons",
        "store/secrets/encryption.py": "tested in store/secrets/test_encrypted_file.py",
        "cli/commands/dashboard.py": "tried in cli/commands/test_once.py and test_json_output.py",
        "cli/shown_statuses.py": "tried in cli/commands/test_live.py and test_plain.py",
        "cli/dashboard_request.py": "tried in cli/commands/test_once.py and test_json_output.py",
        "cli/rich_console.py": "tried in cli/test_terminal.py",
    }
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE)
        if path.name == "__init__.py" or relative.as_posix() in exempt:
            continue
        assert (ROOT / "tests" / relative.parent / f"test_{path.name}").is_file(), relative


def test_python_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "claude_usage_monitor", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"claude-usage-monitor {claude_usage_monitor.__version__}\n" == done.stdout


def test_every_dependency_is_imported_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for requirement in project["dependencies"]:
        name = requirement.split(">")[0]
        assert f"import {name}" in source or f"from {name}" in source, name


def test_house_rules() -> None:
    """Figures that DESIGN and STYLE hold the package to."""
    lengths = [len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")]
    assert max(lengths) <= 450
    modules = Counter(path.parent for path in PACKAGE.rglob("*.py") if path.stem != "__init__")
    tables = {PACKAGE / "formats", PACKAGE / "cli" / "commands"}  # a module is a row there
    for folder, count in modules.items():
        assert count <= (20 if folder in tables else 12), folder
    clocks = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "datetime.now(" in path.read_text()
    ]
    assert ["usage/clock.py"] == clocks
    inside = [
        f"{path.relative_to(PACKAGE)}:{each.lineno}"
        for path in PACKAGE.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for each in ast.walk(function)
        if isinstance(each, ast.Import | ast.ImportFrom)
    ]
    assert len(set(inside)) <= 45, "import it at the top, unless a start would take longer"
