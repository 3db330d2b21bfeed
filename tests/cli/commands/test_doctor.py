from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from claude_usage_monitor.sources.claude_code.installation import NEWEST_TRIED_VERSION
from claude_usage_monitor.store.paths import locks_path, state_path
from claude_usage_monitor.store.state.state_store import StateStore
from tests.support.command import PROGRAM, TIMEOUT
from tests.support.login import TOKEN
from tests.support.payloads import payload
from tests.support.saved import save_account

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def findings(command: Command, *arguments: str, code: int = 0, **environ: str) -> dict[str, Any]:
    done = command.run("doctor", "--json", *arguments, environ=environ)
    assert (code, "") == (done.returncode, done.stderr)
    document = json.loads(done.stdout)
    assert (code == 0) is document["ok"]
    return {finding["name"]: finding for finding in document["findings"]}


def test_a_working_installation_has_no_problems(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    checks = findings(command)
    assert not [name for name, finding in checks.items() if finding["state"] == "problem"]
    login = checks[str(home / ".claude" / ".credentials.json")]
    assert "user:profile" in login["detail"]
    assert "expires in" in login["detail"]
    assert "0 of 20" in checks["request budget"]["detail"]
    assert [] == api.requests


@pytest.mark.parametrize(
    ("version", "state"), [("2.1.330", "ok"), ("2.0.400", "ok"), ("2.2.0", "note"), (None, "note")]
)
def test_it_names_the_version_of_claude_code_and_the_newest_one_tried(
    command: Command, store: Store, tmp_path: Path, version: str | None, state: str
) -> None:
    store.login()
    if version is not None:
        program = tmp_path / "versions" / version
        program.parent.mkdir()
        program.write_text("")
        program.chmod(0o700)
        (tmp_path / "claude").symlink_to(program)
    finding = findings(command, PATH=str(tmp_path))["Claude Code"]
    assert state == finding["state"]
    if version is not None:
        assert f"{version}; tried up to {NEWEST_TRIED_VERSION}" == finding["detail"]
    assert finding["hint"] or state == "ok" or version is None


def test_the_report_fits_the_width_and_has_every_area(command: Command, store: Store) -> None:
    store.login()
    done = command.run("doctor", environ={"COLUMNS": "80"})
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 or "/" in line.split()[-1] for line in lines)  # paths stay whole
    for area in ("Versions", "Logins", "Figures", "Files", "Network", "Terminal"):
        assert area in done.stdout


def test_online_obeys_the_request_budget(command: Command, api: Api, store: Store) -> None:
    store.login()
    assert "the API answers" in findings(command, "--online")["request"]["detail"]
    findings(command, "--online")
    assert 1 == len(api.usage_requests)
    checks = findings(command)
    assert "1 of 20" in checks["request budget"]["detail"]
    assert "3 windows" in checks["stored figures"]["detail"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "Not logged in"),
        (b"", "is empty"),
        (payload("credentials_mcp_only_no_login"), "MCP servers"),
    ],
)
def test_a_missing_or_unusable_login_is_a_problem_with_a_hint(
    command: Command, store: Store, home: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        store.write(content)
    login = findings(command, code=3)[str(home / ".claude" / ".credentials.json")]
    assert "problem" == login["state"]
    assert words in login["detail"]
    assert login["hint"]


def test_an_expired_login_is_a_problem(command: Command, store: Store, home: Path) -> None:
    store.login(expires_in=-720)
    login = findings(command, code=3)[str(home / ".claude" / ".credentials.json")]
    assert "expired 12m ago" in login["detail"]


def test_a_rate_limit_is_a_problem_with_its_end(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429)
    command.run("--json")
    ledger = findings(command, code=4)["request budget"]
    assert ("problem", True) == (ledger["state"], "Next request" in ledger["detail"])


def test_a_state_file_that_others_may_read_is_a_problem(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    command.run("--json")
    path = home / ".local" / "state" / "claude-usage-monitor" / "state.db"
    path.chmod(0o644)
    state = findings(command)["state"]
    assert ("problem", f"chmod 600 {path}") == (state["state"], state["hint"])


def test_the_status_line_command_is_checked(command: Command, store: Store, home: Path) -> None:
    store.login()
    settings = home / ".claude" / "settings.json"
    for line, detail in (
        (f"{PROGRAM} statusline", "set up"),
        (
            "/nowhere/claude-usage-monitor statusline",
            "set up, but its program is not on the PATH",
        ),
        ("my-own-line", "another command is set up"),
    ):
        settings.write_text(json.dumps({"statusLine": {"type": "command", "command": line}}))
        assert detail == findings(command)["status line"]["detail"]


def test_proxy_certificates_and_key_log_are_shown(command: Command, store: Store) -> None:
    store.login()
    checks = findings(
        command,
        HTTPS_PROXY="http://user:hunter2@proxy.invalid:1",
        REQUESTS_CA_BUNDLE="/etc/own-ca.pem",
        SSLKEYLOGFILE="/tmp/keys",  # noqa: S108 - never opened
    )
    assert "set by HTTPS_PROXY" == checks["proxy"]["detail"]
    assert "REQUESTS_CA_BUNDLE=/etc/own-ca.pem" == checks["certificates"]["detail"]
    assert "problem" == checks["SSLKEYLOGFILE"]["state"]


def test_the_report_contains_nothing_private(command: Command, api: Api, store: Store) -> None:
    """No part of a token, no e-mail address, no proxy password."""
    store.login()
    environ = {
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-other-canary",
        "HTTPS_PROXY": "http://user:hunter2@127.0.0.1:1",
        "NO_PROXY": "127.0.0.1",
    }
    for arguments in (("doctor",), ("doctor", "--json", "--online")):
        text = command.run(*arguments, environ=environ).stdout
        for secret in (TOKEN, TOKEN[13:], "canary", "hunter2", "user@example.com"):
            assert secret not in text


def test_wrong_usage_is_an_error_and_a_hint(command: Command) -> None:
    done = command.run("doctor", "--nonsense")
    assert (2, "", 2) == (done.returncode, done.stdout, len(done.stderr.splitlines()))


def test_online_does_not_show_stored_figures_as_an_answer(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    command.run("--json")
    asked = findings(command, "--online", CLAUDE_USAGE_MONITOR_API_URL="http://127.0.0.1:1")
    assert "not sent" in asked["request"]["detail"]


def test_an_api_url_that_cannot_be_used_is_a_finding(command: Command, store: Store) -> None:
    store.login()
    done = command.run("doctor", environ={"CLAUDE_USAGE_MONITOR_API_URL": "ftp://x"})
    assert (4, "") == (done.returncode, done.stderr)
    assert "not an address that a token may be sent to" in " ".join(done.stdout.split())


def test_a_bad_config_file_is_a_problem(command: Command, store: Store, tmp_path: Path) -> None:
    store.login()
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.toml").write_text("interval = = 3")
    settings = findings(command, CLAUDE_USAGE_MONITOR_HOME=str(own))["settings"]
    assert ("problem", True) == (settings["state"], "not valid TOML" in settings["detail"])


@pytest.mark.parametrize(
    ("name", "status"),
    [("error_401_invalid_credentials", 401), ("error_403_scope_user_profile", 403)],
)
def test_a_refused_login_is_exit_3(
    command: Command, api: Api, store: Store, name: str, status: int
) -> None:
    store.login()
    api.answer(payload(name), status)
    assert 3 == command.run("--json").returncode
    findings(command, code=3)


def test_a_login_without_the_scope_is_exit_3(command: Command, store: Store) -> None:
    store.login(scopes=["user:inference"])
    findings(command, code=3)


def test_a_folder_that_others_may_write_to_is_a_problem(
    command: Command, store: Store, tmp_path: Path
) -> None:
    store.login()
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(0o777)
    folder = findings(command, CLAUDE_USAGE_MONITOR_HOME=str(own))["folder"]
    assert ("problem", f"chmod 700 {own}") == (folder["state"], folder["hint"])


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="root gives files away")
def test_a_home_of_another_user_is_a_problem_with_the_command_that_mends_it(
    command: Command, home: Path
) -> None:
    home.chmod(0o700)
    os.chown(home, 1, 1)
    done = command.run("doctor", "--json", through=WITHOUT_PRIVILEGES)
    os.chown(home, 0, 0)
    assert (3, "") == (done.returncode, done.stderr)
    checks = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    for name in ("folder", "state", "accounts", "settings"):
        assert f"sudo chown 0 {home}" == checks[name]["hint"]


def test_a_login_that_a_process_has_locked_is_a_note_with_the_file(
    command: Command, store: Store
) -> None:
    store.login()
    saved = save_account(json.loads(store.path.read_bytes()), "work")
    path = Path(locks_path(os.environ)) / f"{saved.id}.lock"
    path.parent.mkdir(mode=0o700)
    assert "lock" not in findings(command)
    assert not path.exists()
    with FileLock(path, mode=0o600):
        finding = findings(command)["lock"]
    assert "note" == finding["state"]
    assert f"end the process that has {path} open" in finding["hint"]
    assert "lock" not in findings(command)


@pytest.mark.parametrize(("name", "hint"), [("state.db", "state"), ("accounts.db", "list")])
def test_a_file_of_a_newer_version_needs_an_update(
    command: Command, store: Store, tmp_path: Path, name: str, hint: str
) -> None:
    store.login()
    with closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute("PRAGMA user_version = 99")
    (tmp_path / name).chmod(0o600)
    checks = findings(command, CLAUDE_USAGE_MONITOR_HOME=str(tmp_path))
    assert "Update this program." == checks[hint]["hint"]


def test_a_damaged_state_that_was_replaced_needs_nothing(
    command: Command, store: Store, tmp_path: Path
) -> None:
    store.login()
    (tmp_path / "state.db").write_bytes(b"x" * 5000)
    (tmp_path / "state.db").chmod(0o600)
    state = findings(command, CLAUDE_USAGE_MONITOR_HOME=str(tmp_path))["state"]
    assert ("note", "") == (state["state"], state["hint"])
    assert "was damaged" in state["detail"]


def test_a_restored_list_of_accounts_is_a_finding(
    command: Command, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(tmp_path))
    store.login()
    save_account({"claudeAiOauth": {"accessToken": "sk-ant-oat01-of-work"}}, "work")
    (tmp_path / "accounts.db").unlink()
    checks = findings(command)
    assert "accounts were restored" in checks["list"]["detail"]
    assert "ok" == checks["work"]["state"]


def test_an_escape_character_in_a_path_is_escaped(
    command: Command, store: Store, tmp_path: Path
) -> None:
    store.login()
    own = tmp_path / "a\x1b[2Jb\udcff"
    for arguments in (("doctor",), ("doctor", "--json")):
        done = command.run(*arguments, environ={"CLAUDE_USAGE_MONITOR_HOME": str(own)})
        assert (0, "") == (done.returncode, done.stderr)
        assert "\x1b" not in done.stdout
    folder = findings(command, CLAUDE_USAGE_MONITOR_HOME=str(own))["folder"]
    assert r"a\x1b[2Jb\udcff" in folder["detail"]


@pytest.mark.parametrize("how", ["", " --json"])
def test_a_closed_standard_output_is_an_error(store: Store, how: str) -> None:
    store.login()
    done = subprocess.run(
        ["/bin/sh", "-c", f"{PROGRAM} doctor{how} >&-"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (1, 2) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith("error: Standard output is closed")


def test_a_name_that_the_terminal_cannot_encode_is_shown_with_question_marks(
    command: Command, store: Store
) -> None:
    store.login()
    save_account({}, "会社 é")
    assert "会社 é" in findings(command, PYTHONIOENCODING="ascii")
    done = command.run("doctor", environ={"PYTHONIOENCODING": "ascii", "COLUMNS": "80"})
    assert (0, "") == (done.returncode, done.stderr)
    assert "?? ?" in done.stdout


def test_reports_how_often_forecasts_were_right(command: Command, store: Store) -> None:
    store.login()
    finding = findings(command)["forecast"]
    assert ("note", "no window with a forecast has ended yet") == (
        finding["state"],
        finding["detail"],
    )
    state = StateStore(state_path(os.environ))
    held_and_not = ((1, None), (2, 1))  # id, and when the interval ended before the reset
    for window_id, latest in held_and_not:
        state.run(
            lambda connection, row: connection.execute(
                "INSERT INTO window_instance (id, account, key, started_at, resets_at, first_seen,"
                " last_seen, utilization, peak, full_at_is_latest, blocked, watched, lowered,"
                " ending) VALUES (?, 'a', 'five_hour', 0, 100, 0, 99, 5, 5, 0, 0, 0, 0, 'reset')",
                row,
            ),
            (window_id,),
        )
        state.run(
            lambda connection, row: connection.execute(
                "INSERT INTO forecast_log VALUES ('a', ?, 50, 50, 1, 1, ?, 0.9)", row
            ),
            (window_id, latest),
        )
    finding = findings(command)["forecast"]
    assert ("ok", "80 % intervals held 1 of 2 times") == (finding["state"], finding["detail"])


def test_the_report_begins_with_a_verdict(command: Command, api: Api, store: Store) -> None:
    first = command.run("doctor").stdout.splitlines()[0]
    assert first.startswith("No figures: a login is needed. ")
    store.login()
    command.run("--json")
    done = command.run("doctor")
    assert 0 == done.returncode
    assert done.stdout.splitlines()[0].startswith("Figures are available. ")


def test_the_setting_for_the_status_line_can_be_pasted(command: Command, store: Store) -> None:
    """At every width on a line of its own; it is what Claude Code's settings need."""
    store.login()
    for columns in ("28", "60", "100"):
        lines = command.run("doctor", environ={"COLUMNS": columns}).stdout.splitlines()
        (setting,) = [line for line in lines if '"statusLine"' in line]
        parsed = json.loads(setting)
        assert "claude-usage-monitor statusline" == parsed["statusLine"]["command"]
