"""``claude-usage-monitor accounts``, as it is installed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.store.paths import accounts_path, secrets_path
from tests.support.browser import install_browser
from tests.support.command import PROGRAM
from tests.support.payloads import as_bytes
from tests.support.saved import keep, registry
from tests.support.token_server import TokenServer, delayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

KEY = "sk-ant-admin01-canary-90be17"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody answers


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


def says(
    done: subprocess.CompletedProcess[str], code: int, *lines: str, out: str = ""
) -> list[str]:
    """Check how a command ended, and that each pattern is a line of stderr; returns its lines."""
    assert "Traceback" not in done.stderr
    assert (code, out) == (done.returncode, done.stdout), done.stderr
    found = done.stderr.splitlines()
    for pattern in lines:
        assert [line for line in found if re.search(pattern, line)], (pattern, found)
    return found


def listed(command: Command) -> list[dict[str, Any]]:
    done = command.run("accounts", "list", "--json")
    assert (0, "") == (done.returncode, done.stderr)
    document = json.loads(done.stdout)
    assert 1 == document["version"]
    found: list[dict[str, Any]] = document["accounts"]
    return found


def names() -> list[str]:
    """Return the accounts as another process finds them."""
    return [entry.account.name for entry in registry().all_accounts()]


def secrets_of(server: TokenServer) -> list[str]:
    """Return every token that the server has ever given out."""
    return [token for token in server._by_token if token]  # noqa: SLF001 - used ones too


def files_of(home: Path) -> dict[str, bytes]:
    """Return our files, by name."""
    folder = home / ".local" / "state"
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def watched(*secrets: str) -> Iterator[None]:
    """Fail if a secret is in any process's arguments meanwhile, which all users can read."""
    over, seen = threading.Event(), list[str]()
    programs = 0

    def watch() -> None:
        nonlocal programs
        while not over.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = path.read_bytes().decode(errors="replace")
                    programs += PROGRAM in line
                    seen.extend(secret for secret in secrets if secret in line)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert programs  # it was looked at while it ran
    assert [] == seen


# --- adding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["-", "FILE"])
def test_credentials_are_added_from_a_file_or_from_standard_input(
    command: Command, server: TokenServer, tmp_path: Path, home: Path, way: str
) -> None:
    credentials = as_bytes(server.issue("work"))
    file = tmp_path / "credentials.json"
    file.write_bytes(credentials)
    where, stdin = ("-", credentials) if way == "-" else (str(file), b"")
    with watched(*secrets_of(server)):
        done = command.run("accounts", "add", "Work", "--credentials-file", where, stdin=stdin)
    lines = says(done, 0, r"^Added Work \(work@example.com\)\.$")
    assert ["note: ", "Added "] == [line[:6] for line in lines]
    assert str(secrets_path(os.environ)) in lines[0]
    assert ["Work", "claude-code"] == names()
    told = done.stderr.encode() + b"".join(files_of(home).values())
    assert not [secret for secret in secrets_of(server) if secret.encode() in told]
    assert {"accounts.db", "secrets.json"} <= set(files_of(home))


def test_claude_codes_login_is_added_and_left_as_it_is(
    command: Command, server: TokenServer, store: Store, home: Path
) -> None:
    store.write(as_bytes(server.issue("mine")))
    before = store.path.read_bytes(), store.path.stat().st_mtime_ns
    done = command.run("accounts", "add", "Mine", "--from-claude-code")
    says(done, 0, r"^Added Mine \(mine@example.com\)\.$")
    assert before == (store.path.read_bytes(), store.path.stat().st_mtime_ns)
    assert ["claude-code", "Mine"] == names()
    told = b"".join(files_of(home).values())
    assert not [secret for secret in secrets_of(server) if secret.encode() in told]


def test_a_login_in_the_browser_is_added(
    command: Command, server: TokenServer, tmp_path: Path, home: Path
) -> None:
    script = tmp_path / "browser"
    install_browser(script, server.url)
    done = command.run("accounts", "add", "Personal", "--login", environ={"BROWSER": str(script)})
    says(done, 0, "Your browser opens", "^https://claude.ai/", r"^Added Personal \(work@")
    (exchange,) = (seen.document for seen in server.requests if seen.method == "POST")
    told = done.stderr.encode() + b"".join(files_of(home).values())
    hidden = [*secrets_of(server), exchange["code"], exchange["code_verifier"]]
    assert not [secret for secret in hidden if secret.encode() in told]


def test_without_a_browser_a_code_is_pasted(command: Command, server: TokenServer) -> None:
    process = subprocess.Popen(
        [PROGRAM, "accounts", "add", "Personal", "--login", "--no-browser"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = [process.stderr.readline()]
    while not told[-1].startswith("https://"):
        assert told[-1]
        told.append(process.stderr.readline())
    code = server.authorize(told[-1].strip())
    with watched(code):
        out, err = process.communicate(f"not it\n{code}\n", timeout=60)
    assert ("", 0) == (out, process.returncode)
    assert "Added Personal (work@example.com)." in err
    assert code not in err
    assert ["Personal", "claude-code"] == names()


def test_in_a_terminal_a_code_is_pasted(command: Command, server: TokenServer) -> None:
    terminal = command.open(
        "accounts", "add", "Personal", "--login", "--no-browser", columns=500, rows=30
    )
    terminal.wait_for(lambda: "state=" in terminal.text)
    (url,) = re.findall(r"https://\S+", terminal.wait_until_quiet())
    terminal.type(server.authorize(url) + "\n")
    terminal.wait_for("Added Personal")
    assert 0 == terminal.wait_for_exit()


@pytest.fixture
def admin(httpserver: HTTPServer, api: Api) -> list[str | None]:
    """Return the keys that whose they are was asked for."""
    keys: list[str | None] = []

    def answer(request: Request) -> Response:
        keys.append(request.headers.get("x-api-key"))
        time.sleep(0.05)  # to be looked at
        if keys[-1] != KEY:
            return Response(as_bytes({"type": "error"}), 401)
        return Response(as_bytes({"id": "uuid", "name": "Company"}), mimetype="application/json")

    httpserver.expect_request("/v1/organizations/me", "GET").respond_with_handler(answer)
    return keys


def test_an_admin_key_from_standard_input(
    command: Command, admin: list[str | None], home: Path
) -> None:
    with watched(KEY):
        done = command.run("accounts", "add", "Org", "--admin-key", stdin=f"{KEY}\n".encode())
    says(done, 0, r"^Added Org\.$")
    assert [KEY] == admin
    assert KEY.encode() not in done.stderr.encode() + b"".join(files_of(home).values())
    org = next(each for each in listed(command) if each["name"] == "Org")
    assert ("console", "encrypted file", None) == (org["kind"], org["stored_in"], org["problem"])


def test_an_admin_key_that_is_typed_is_never_echoed(
    command: Command, admin: list[str | None], home: Path
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200)
    terminal.wait_for("Admin API key")
    with watched(KEY):
        terminal.type(f"{KEY}\n")
        terminal.wait_for("Added Org")
    assert 0 == terminal.wait_for_exit()
    assert [KEY] == admin
    assert KEY.encode() not in terminal.written + b"".join(files_of(home).values())
    assert terminal.state["modes as before"]


@pytest.mark.parametrize(
    ("keys", "code"), [("\x04", 3), ("\n", 3), ("\x03", 130), (b"\xff\xfe\n", 3)]
)
def test_a_key_that_is_not_typed_adds_nothing(
    command: Command, admin: list[str | None], keys: str | bytes, code: int
) -> None:
    """The end of input, an empty line, Ctrl+C, what is no text: the terminal echoes again."""
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200)
    terminal.wait_for("Admin API key")
    terminal.type(keys)
    assert code == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert terminal.state["modes as before"]
    assert ([], ["claude-code"]) == (admin, names())


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_a_signal_while_a_key_is_typed_leaves_a_terminal_that_echoes(
    command: Command, admin: list[str | None], number: signal.Signals, code: int
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200)
    terminal.wait_for("Admin API key")
    terminal.wait_for(lambda: not terminal.state["modes as before"])
    terminal.kill(number)
    assert code == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert terminal.state["modes as before"]
    assert ([], ["claude-code"]) == (admin, names())


def test_a_hangup_that_is_ignored_does_not_end_the_typing_of_a_key(
    command: Command, admin: list[str | None]
) -> None:
    through = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200, through=through)
    terminal.wait_for("Admin API key")
    terminal.kill(signal.SIGHUP)
    terminal.type(f"{KEY}\n")
    assert 0 == terminal.wait_for_exit()
    assert [KEY] == admin


def test_a_terminal_that_goes_while_a_key_is_typed_ends_it(
    command: Command, admin: list[str | None]
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200)
    terminal.wait_for("Admin API key")
    terminal.close()
    assert 129 == terminal.wait_for_exit()
    assert ([], ["claude-code"]) == (admin, names())


def test_a_refused_admin_key_is_not_added(command: Command, admin: list[str | None]) -> None:
    done = command.run("accounts", "add", "Org", "--admin-key", stdin=f"{KEY}x".encode())
    says(done, 3, "^error: The API refuses this Admin key", "^hint: ")
    assert KEY not in done.stderr
    assert ["claude-code"] == names()
    assert 1 == len(admin)


WRONG: list[tuple[tuple[str, ...], bytes, int, str]] = [
    (("Work", "--credentials-file", "-"), b"canary", 3, "standard input contains no credentials"),
    (("Work", "--credentials-file", "/nowhere"), b"", 3, "There is no file /nowhere"),
    (("Work", "--credentials-file", "/"), b"", 3, "not a regular file"),
    (("Work", "--from-claude-code"), b"", 3, "Not logged in to Claude Code"),
    (("Work", "--admin-key"), b"\xff\xfe", 3, "not an Admin API key"),
    (("Work", "--login", "--no-browser"), b"", 3, "input ended before a code"),
    (("Console", "--from-claude-code"), b"", 2, "taken"),
    (("a\x1b[2Jb", "--login"), b"", 2, "cannot be printed"),
    (("\udcff", "--login"), b"", 2, "cannot be printed"),
    ((KEY, "--admin-key"), b"", 2, "looks like a token or key"),
    (("Work",), b"", 2, "one of the arguments --login "),
    (("Work", "--login", "--admin-key"), b"", 2, "not allowed with"),
    (("Work", "--admin-key", "key"), b"", 2, "unrecognized"),
    (("Work", "--admin-key", KEY), b"", 2, "arguments: sk-ant-<redacted>$"),
    (("Work", f"--admin-key={KEY}"), b"", 2, "sk-ant-<redacted>"),
    (("Console", "--login", KEY), b"", 2, "sk-ant-<redacted>$"),
]


@pytest.mark.parametrize(("arguments", "stdin", "code", "words"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_added_is_an_error_and_a_hint(
    command: Command,
    server: TokenServer,
    arguments: tuple[str, ...],
    stdin: bytes,
    code: int,
    words: str,
) -> None:
    done = command.run("accounts", "add", *arguments, stdin=stdin)
    lines = says(done, code, words)
    assert ["error:", "hint: "] == [line[:6] for line in lines[-2:]]
    assert "canary" not in done.stderr
    assert "\x1b" not in done.stderr
    assert ([], False) == (server.requests, secrets_path(os.environ).exists())


def test_without_a_network_it_is_added_with_a_note(command: Command, server: TokenServer) -> None:
    done = command.run(
        *("accounts", "add", "Work", "--credentials-file", "-"),
        stdin=as_bytes(server.issue("work")),
        environ={"CLAUDE_USAGE_MONITOR_API_URL": NOWHERE},
    )
    says(done, 0, "^note: It could not be checked", r"^Added Work\.$")
    assert ["Work", "claude-code"] == names()


def test_a_name_that_is_taken_is_replaced_only_when_it_is_asked_for(
    command: Command, server: TokenServer
) -> None:
    saved = keep(server.issue("Work"), "Work")
    add = ("accounts", "add", "wORK", "--credentials-file", "-")
    stdin = as_bytes(server.issue("other"))
    says(command.run(*add, stdin=stdin), 2, "^error: There is an account 'Work' already")
    assert [] == server.requests
    says(command.run(*add, "--replace", stdin=stdin), 0, "other@example.com")
    assert [saved.id] == [each.id for each in registry().services.accounts.all()]


# --- the list ------------------------------------------------------------------------------------


def test_the_list_for_a_person_and_for_a_program(
    command: Command, server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("mine")))
    keep(server.issue("Work"), "Work")
    keep({}, "会社")
    done = command.run("accounts", "list", environ={"COLUMNS": "60"})
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert ["* claude-code", "  Work", "  会社"] == [
        re.split(r"\s{2,}", line[2:])[0].join((line[:2], "")) for line in lines[:3]
    ]
    assert lines[3].startswith("    ! ")
    mine, work, broken = listed(command)
    keys = ["name", "kind", "email", "plan", "active", "saved_at", "stored_in", "problem"]
    assert [keys] * 3 == [list(each) for each in (mine, work, broken)]
    assert ("claude-code", True, None, None) == (
        mine["name"],
        mine["active"],
        mine["saved_at"],
        mine["problem"],
    )
    assert ("Work", "work@example.com", "Max 5x", "encrypted file") == (
        work["name"],
        work["email"],
        work["plan"],
        work["stored_in"],
    )
    assert ["code", "message", "hint", "retry_at"] == list(broken["problem"])
    assert [] == server.requests


def test_the_list_in_a_locale_without_the_names_letters(
    command: Command, server: TokenServer
) -> None:
    keep(server.issue("x"), "会社 é")
    environ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = command.run("accounts", "list", environ={**environ, "PYTHONIOENCODING": "ascii:strict"})
    assert (0, "") == (done.returncode, done.stderr)
    for encoding in ("ascii", "cp1252:strict", "utf-8", "ascii:replace"):
        for arguments in (("accounts", "list", "--json"), ("--json", "--account", "会社 é")):
            document = command.run(*arguments, environ={"PYTHONIOENCODING": encoding})
            assert (0, "") == (document.returncode, document.stderr)
            assert "会社 é" in [each["name"] for each in json.loads(document.stdout)["accounts"]]
            assert document.stdout.isascii() is (encoding != "utf-8")
    document = command.run("accounts", "list", "--json", environ=environ)
    assert "会社 é" in [each["name"] for each in json.loads(document.stdout)["accounts"]]


def test_a_document_of_half_a_character_is_one(command: Command, server: TokenServer) -> None:
    done = command.run("--json", "--account", "\udcff\U0001f642")
    assert 2 == done.returncode
    assert "\U0001f642" in json.loads(done.stdout)["problem"]["message"]


def in_shell(line: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``cum`` is the command."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'cum() {{ "{PROGRAM}" "$@"; }}\n{line}'],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(line, done.returncode, out, err)


@pytest.mark.parametrize("how", ["", " --json"])
def test_without_standard_output_it_says_so(server: TokenServer, how: str) -> None:
    done = in_shell(f"cum accounts list{how} >&-")
    says(done, 1, "^error: Standard output is closed", "^hint: ")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2>&- >&-", "2>/dev/full >&-"])
def test_what_is_done_is_a_success_whatever_takes_no_words(server: TokenServer, where: str) -> None:
    """And what fails has its own exit code."""
    add = f"cum accounts add Work --credentials-file - {where}"
    says(in_shell(add, as_bytes(server.issue("work"))), 0)
    assert ["Work", "claude-code"] == names()
    for line, code in (
        ("cum accounts use nobody", 2),
        ("cum accounts add", 2),
        ("cum accounts remove Work", 1),
        ("cum --account nobody --once", 1 if ">&-" in where.split() else 2),
        ("cum accounts remove Work --yes", 0),
    ):
        says(in_shell(f"{line} {where}"), code)
    assert ["claude-code"] == names()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("add Work --credentials-file -", 3, "standard input contains no credentials"),
        ("add Work --admin-key", 3, "key is empty"),
        ("remove Kept", 1, "Nothing was removed"),
    ],
)
@pytest.mark.parametrize("stdin", ["0>/dev/null", "<&-"])
def test_an_input_that_cannot_be_read_holds_nothing(
    server: TokenServer, line: str, code: int, words: str, stdin: str
) -> None:
    keep(server.issue("Kept"), "Kept")
    says(in_shell(f"cum accounts {line} {stdin}"), code, words, "^hint: ")
    assert ["Kept", "claude-code"] == names()


def test_a_list_that_cannot_be_read_is_an_error(command: Command, server: TokenServer) -> None:
    path = accounts_path(os.environ)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage" * 1000)
    add = ("add", "Work", "--credentials-file", "-")
    for arguments in (("list",), ("list", "--json"), ("use", "claude-code"), add):
        done = command.run("accounts", *arguments, stdin=as_bytes(server.issue("work")))
        says(done, 1, f"^error: {re.escape(str(path))} cannot be used", "^hint: ")
    assert b"garbage" * 1000 == path.read_bytes()


# --- using, renaming, removing -------------------------------------------------------------------


def test_an_account_is_used_renamed_and_removed(command: Command, server: TokenServer) -> None:
    for name in ("one", "two"):
        keep(server.issue(name), name)
    says(command.run("accounts", "use", "TWO"), 0)
    assert "two" == names()[0]
    says(command.run("accounts", "rename", "two", "second 🙂"), 0)
    assert "second 🙂" == names()[0]
    says(command.run("accounts", "remove", "Second 🙂", "--yes"), 0)
    assert ["one", "claude-code"] == names()
    assert 1 == len(json.loads(secrets_path(os.environ).read_bytes())["entries"])


@pytest.mark.parametrize(
    ("answer", "removed"),
    [
        (b"y\n", True),
        (b"y", True),
        (b"\n", False),
        (b"", False),
        (b"\xff\n", False),
    ],
)
def test_removing_asks_first(
    command: Command, server: TokenServer, answer: bytes, removed: bool
) -> None:
    keep(server.issue("Work"), "Work")
    done = command.run(
        "accounts", "remove", "work", stdin=answer, environ={"PYTHONIOENCODING": "utf-8:strict"}
    )
    says(done, 0 if removed else 1, r"Remove Work and its login\? \[y/N\] ")
    if not removed:
        says(done, 1, "error: Nothing was removed", "^hint: .*--yes")
    assert removed is ("Work" not in names())


def test_without_standard_input_nothing_is_removed(command: Command, server: TokenServer) -> None:
    keep(server.issue("Work"), "Work")
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", PROGRAM, "accounts", "remove", "Work"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    says(done, 1, "Nothing was removed")
    assert "Work" in names()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("use", "Nobody"), 2, "There is no account 'Nobody'"),
        (("remove", "claude-code", "--yes"), 2, "cannot be removed"),
        (("rename", "Work", "CONSOLE"), 2, "taken"),
        (("use", "\udcff"), 2, "There is no account"),
        ((), 2, "COMMAND"),
        (("list", "--js"), 2, "unrecognized"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_a_hint(
    command: Command, server: TokenServer, arguments: tuple[str, ...], code: int, words: str
) -> None:
    keep(server.issue("Work"), "Work")
    lines = says(command.run("accounts", *arguments), code, words)
    assert ["error:", "hint: "] == [line[:6] for line in lines]


@pytest.mark.parametrize("which", [(), ("add",)])
def test_help_touches_nothing(command: Command, home: Path, which: tuple[str, ...]) -> None:
    done = command.run("accounts", *which, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert "usage: claude-usage-monitor accounts" in done.stdout
    assert [] == list(home.iterdir())


# --- showing them --------------------------------------------------------------------------------


def documents(command: Command, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = command.run("--json", *arguments)
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)["accounts"]
    return done.returncode, {account["name"]: account for account in found}


def test_the_accounts_that_are_asked_for_are_shown(
    command: Command, server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("mine")))
    for name, figure in (("one", 11.0), ("two", 22.0)):
        keep(server.issue(name), name)
        server.figures[name] = figure
    assert ["claude-code"] == list(documents(command)[1])
    code, found = documents(command, "--account", "TWO", "--account", "one")
    shown = {name: each["windows"][0]["utilization"] for name, each in found.items()}
    assert (0, {"two": 22.0, "one": 11.0}) == (code, shown)
    code, found = documents(command, "--all-accounts")
    assert (0, ["claude-code", "one", "two"]) == (code, list(found))
    assert [True, False, False] == [each["active"] for each in found.values()]


def test_one_frame_has_every_account(command: Command, server: TokenServer) -> None:
    for name, figure in (("one", 11.0), ("two", 22.0)):
        keep(server.issue(name), name)
        server.figures[name] = figure
    done = command.run("--once", "--all-accounts", environ={"COLUMNS": "70"})
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.index("11 %") < done.stdout.index("22 %")


def test_an_unknown_account_is_wrong_usage_with_the_known_ones(
    command: Command, server: TokenServer, store: Store
) -> None:
    store.login()
    keep(server.issue("one"), "one")
    done = command.run("--once", "--account", "three")
    says(done, 2, "^error: There is no account 'three'", "Known accounts: claude-code, one")
    assert [] == server.requests


def test_the_exit_code_is_the_worst_of_them_and_one_failure_hides_no_other(
    command: Command, server: TokenServer
) -> None:
    """And which account a problem is of is said."""
    keep(server.issue("good"), "good")
    ended: Any = server.issue("ended", expires_in=-60)
    server.revoke(server.family_of(ended))
    keep(ended, "ended")
    code, found = documents(command, "--all-accounts")
    problems = {name: (each["problem"] or {}).get("code") for name, each in found.items()}
    assert (3, {"good": None, "ended": "credentials_expired"}) == (code, problems)
    assert found["good"]["windows"]
    done = command.run("--once", "--all-accounts")
    assert (3, True) == (done.returncode, "78 %" in done.stdout)
    assert "error: ended: The login of ended is no longer valid" in done.stderr


def test_tab_goes_through_the_accounts(command: Command, server: TokenServer, store: Store) -> None:
    store.write(as_bytes(server.issue("mine")))
    server.figures |= {"mine": 7.0, "one": 11.0, "two": 22.0}
    for name in ("one", "two"):
        keep(server.issue(name), name)
    terminal = command.open(columns=70, rows=30)
    for figure in ("7 %", "11 %", "22 %", "7 %"):
        alone = re.compile(rf"(?<!\d){figure}")
        terminal.wait_for(lambda: alone.search(terminal.text) is not None)  # noqa: B023 - at once
        terminal.type("\t")
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
    assert 3 == sum(seen.path == "/api/oauth/usage" for seen in server.requests)


def test_an_account_that_is_removed_while_it_is_shown(
    command: Command, server: TokenServer
) -> None:
    """Its figures go within a moment, and another is a key away."""
    server.figures |= {"one": 11.0, "two": 22.0}
    for name in ("one", "two"):
        keep(server.issue(name), name)
    terminal = command.open("--account", "one", columns=70, rows=30)
    terminal.wait_for("11 %")
    terminal.wait_for(lambda: 2 == len(server.requests))  # for figures, and whose they are
    says(command.run("accounts", "remove", "one", "--yes"), 0)
    terminal.wait_for("was removed")
    assert "11 %" not in terminal.text
    assert 2 == len(server.requests)
    terminal.press_until("\t", "22 %")
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()


def test_an_account_that_is_added_and_renamed_while_all_are_shown(
    command: Command, server: TokenServer
) -> None:
    server.figures |= {"one": 11.0, "two": 22.0}
    keep(server.issue("one"), "one")
    terminal = command.open("--all-accounts", columns=70, rows=50)
    terminal.wait_for("11 %")
    keep(server.issue("two"), "two")
    terminal.wait_for("22 %")
    says(command.run("accounts", "rename", "two", "Twenty-two"), 0)
    terminal.wait_for("Twenty-two")
    assert 0 == leave(terminal)


def leave(terminal: Terminal) -> int:
    terminal.type("q")
    return terminal.wait_for_exit()


def test_live_mode_stays_when_the_list_is_damaged(command: Command, server: TokenServer) -> None:
    """Whatever key is pressed."""
    server.figures["one"] = 11.0
    keep(server.issue("one"), "one")
    terminal = command.open(columns=70, rows=30)
    terminal.wait_for("11 %")
    path = accounts_path(os.environ)
    path.unlink()
    path.write_bytes(b"garbage" * 1000)
    for _ in range(3):
        terminal.type("\t")
        terminal.read_for(0.3)
    assert None is terminal.exit_code, terminal.text
    assert 0 == leave(terminal)


def test_no_secret_is_ever_told_or_left_in_the_clear(
    command: Command, server: TokenServer, store: Store, home: Path
) -> None:
    """Not on a stream, a screen or a command line; in no file of ours."""
    store.write(as_bytes(server.issue("mine")))
    given = as_bytes(server.issue("work", expires_in=-60))
    told: list[str] = []
    with watched("sk-ant-oat01-", "sk-ant-ort01-"):
        for arguments, stdin in (
            (("accounts", "add", "Work", "--credentials-file", "-"), given),
            (("accounts", "add", "Mine", "--from-claude-code"), b""),
            (("accounts", "list"), b""),
            (("--json", "--all-accounts"), b""),
            (("doctor",), b""),
        ):
            done = command.run(*arguments, stdin=stdin)
            assert 0 == done.returncode, done.stderr
            told += [done.stdout, done.stderr]
    assert 1 == len(server.refreshes)
    assert not [text for text in told if "sk-ant-o" in text]
    assert {"accounts.db", "secrets.json", "state.db"} <= set(files_of(home))
    assert not [name for name, content in files_of(home).items() if b"sk-ant-o" in content]


def test_an_interrupted_login_leaves_nothing(command: Command, server: TokenServer) -> None:
    server.script(delayed(5))
    terminal = command.open(
        "accounts", "add", "Personal", "--login", "--no-browser", columns=500, rows=30
    )
    terminal.wait_for(lambda: "state=" in terminal.text)
    terminal.kill(signal.SIGINT)
    assert 130 == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert ["claude-code"] == names()
