"""``claude-usage-monitor accounts``: the installed command."""

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
from tests.support.command import PROGRAM, TIMEOUT
from tests.support.payloads import as_bytes
from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer, delayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

KEY = "sk-ant-admin01-canary-90be17"
UNREACHABLE = "http://127.0.0.1:9"  # the discard port, where no server listens


def check(
    done: subprocess.CompletedProcess[str], code: int, *lines: str, out: str = ""
) -> list[str]:
    """Check how a command ended and what it wrote; returns the lines of stderr."""
    assert "Traceback" not in done.stderr
    assert (code, out) == (done.returncode, done.stdout), done.stderr
    written = done.stderr.splitlines()
    for pattern in lines:
        assert [line for line in written if re.search(pattern, line)], (pattern, written)
    return written


def listed(command: Command) -> list[dict[str, Any]]:
    done = command.run("accounts", "list", "--json")
    assert (0, "") == (done.returncode, done.stderr)
    document = json.loads(done.stdout)
    assert 1 == document["version"]
    accounts: list[dict[str, Any]] = document["accounts"]
    return accounts


def names() -> list[str]:
    """Return the names of the accounts as another process would see them."""
    return [entry.account.name for entry in registry().all_accounts()]


def secrets_of(server: TokenServer) -> list[str]:
    """Return every token that the server has ever issued."""
    return [token for token in server._by_token if token]  # noqa: SLF001 - used ones too


def files_of(home: Path) -> dict[str, bytes]:
    """Return the content of our files by name."""
    folder = home / ".local" / "state"
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def watched(*secrets: str) -> Iterator[None]:
    """Fail if a secret appears in the arguments of any process, which all users can read.

    A preloaded command shows the arguments of the process that it was forked from.
    """
    over, leaked = threading.Event(), list[str]()
    others = {process for process in processes() if PROGRAM not in command_line(process)}
    programs = 0

    def watch() -> None:
        nonlocal programs
        while not over.wait(0.005):
            for process in processes() - others:
                line = command_line(process)
                programs += PROGRAM in line
                leaked.extend(secret for secret in secrets if secret in line)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert programs  # the command was seen
    assert [] == leaked


def processes() -> set[str]:
    return set(filter(str.isdigit, os.listdir("/proc")))


def command_line(process: str) -> str:
    """Return a process's command line; an empty string if the process has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


# --- adding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["-", "FILE"])
def test_credentials_are_added_from_a_file_or_from_standard_input(
    command: Command, server: TokenServer, tmp_path: Path, home: Path, source: str
) -> None:
    credentials = as_bytes(server.issue("work"))
    file = tmp_path / "credentials.json"
    file.write_bytes(credentials)
    where, stdin = ("-", credentials) if source == "-" else (str(file), b"")
    with watched(*secrets_of(server)):
        done = command.run(
            "accounts", "add", "Work", "--credentials-file", where, stdin=stdin, preloaded=False
        )
    lines = check(done, 0, r"^Added Work \(work@example.com\)\.$")
    assert ["note: ", "Added "] == [line[:6] for line in lines]
    assert str(secrets_path(os.environ)) in lines[0]
    assert ["Work", "claude-code"] == names()
    written = done.stderr.encode() + b"".join(files_of(home).values())
    assert not [secret for secret in secrets_of(server) if secret.encode() in written]
    assert {"accounts.db", "secrets.json"} <= set(files_of(home))


def test_claude_codes_login_is_copied_and_not_changed(
    command: Command, server: TokenServer, store: Store, home: Path
) -> None:
    store.write(as_bytes(server.issue("mine")))
    before = store.path.read_bytes(), store.path.stat().st_mtime_ns
    done = command.run("accounts", "add", "Mine", "--from-claude-code")
    check(done, 0, r"^Added Mine \(mine@example.com\)\.$")
    assert before == (store.path.read_bytes(), store.path.stat().st_mtime_ns)
    assert ["claude-code", "Mine"] == names()
    written = b"".join(files_of(home).values())
    assert not [secret for secret in secrets_of(server) if secret.encode() in written]


def test_a_login_in_the_browser_is_added(
    command: Command, server: TokenServer, tmp_path: Path, home: Path
) -> None:
    script = tmp_path / "browser"
    install_browser(script, server.url)
    done = command.run("accounts", "add", "Personal", "--login", environ={"BROWSER": str(script)})
    check(done, 0, "Your browser opens", "^https://claude.ai/", r"^Added Personal \(work@")
    (exchange,) = (request.document for request in server.requests if request.method == "POST")
    written = done.stderr.encode() + b"".join(files_of(home).values())
    hidden = [*secrets_of(server), exchange["code"], exchange["code_verifier"]]
    assert not [secret for secret in hidden if secret.encode() in written]


def test_without_a_browser_a_code_is_pasted(command: Command, server: TokenServer) -> None:
    process = subprocess.Popen(
        [PROGRAM, "accounts", "add", "Personal", "--login", "--no-browser"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("https://"):
        assert lines[-1]
        lines.append(process.stderr.readline())
    code = server.authorize(lines[-1].strip())
    with watched(code):
        out, err = process.communicate(f"not it\n{code}\n", timeout=TIMEOUT)
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
    """Return the keys that requests for the organization carried."""
    keys: list[str | None] = []

    def answer(request: Request) -> Response:
        keys.append(request.headers.get("x-api-key"))
        time.sleep(0.05)  # long enough for `watched` to see the process
        if keys[-1] != KEY:
            return Response(as_bytes({"type": "error"}), 401)
        return Response(as_bytes({"id": "uuid", "name": "Company"}), mimetype="application/json")

    httpserver.expect_request("/v1/organizations/me", "GET").respond_with_handler(answer)
    return keys


def test_an_admin_key_is_read_from_standard_input(
    command: Command, admin: list[str | None], home: Path
) -> None:
    with watched(KEY):
        done = command.run(
            "accounts", "add", "Org", "--admin-key", stdin=f"{KEY}\n".encode(), preloaded=False
        )
    check(done, 0, r"^Added Org\.$")
    assert [KEY] == admin
    assert KEY.encode() not in done.stderr.encode() + b"".join(files_of(home).values())
    org = next(each for each in listed(command) if each["name"] == "Org")
    assert ("console", "encrypted file", None) == (org["kind"], org["stored_in"], org["problem"])


def test_a_typed_admin_key_is_not_echoed(
    command: Command, admin: list[str | None], home: Path
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200, preloaded=False)
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
def test_without_a_typed_key_nothing_is_added(
    command: Command, admin: list[str | None], keys: str | bytes, code: int
) -> None:
    """After the end of input, an empty line, Ctrl+C or invalid text, the terminal echoes again."""
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
def test_a_signal_while_a_key_is_typed_restores_the_echo(
    command: Command, admin: list[str | None], number: signal.Signals, code: int
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200, preloaded=False)
    terminal.wait_for("Admin API key")
    terminal.wait_for(lambda: not terminal.state["modes as before"])
    terminal.kill_until_exit(number)
    assert code == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert terminal.state["modes as before"]
    assert ([], ["claude-code"]) == (admin, names())


def test_an_ignored_hangup_does_not_end_the_prompt_for_a_key(
    command: Command, admin: list[str | None]
) -> None:
    through = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200, through=through)
    terminal.wait_for("Admin API key")
    terminal.kill(signal.SIGHUP)
    terminal.type(f"{KEY}\n")
    assert 0 == terminal.wait_for_exit()
    assert [KEY] == admin


def test_a_terminal_that_is_closed_while_a_key_is_typed_ends_the_command(
    command: Command, admin: list[str | None]
) -> None:
    terminal = command.open("accounts", "add", "Org", "--admin-key", columns=200)
    terminal.wait_for("Admin API key")
    terminal.close()
    assert 129 == terminal.wait_for_exit()
    assert ([], ["claude-code"]) == (admin, names())


def test_an_unusable_setting_is_a_warning(command: Command, home: Path) -> None:
    (home / "ours").mkdir(mode=0o700)
    (home / "ours" / "config.toml").write_text("hide_names = 3\n")
    environ = {"CLAUDE_USAGE_MONITOR_HOME": str(home / "ours")}
    done = command.run("accounts", "list", environ=environ)
    assert 0 == done.returncode
    assert re.fullmatch("warning: .*hide_names.*\n", done.stderr)


def test_a_refused_admin_key_is_not_added(command: Command, admin: list[str | None]) -> None:
    done = command.run("accounts", "add", "Org", "--admin-key", stdin=f"{KEY}x".encode())
    check(done, 3, "^error: The API refuses this Admin key", "^hint: ")
    assert KEY not in done.stderr
    assert ["claude-code"] == names()
    assert 1 == len(admin)


def test_credentials_of_another_form_are_explained(command: Command) -> None:
    done = command.run("accounts", "add", "Work", "--credentials-file", "-", stdin=b"{}")
    hint = "^hint: Provide the content of `~/.claude/.credentials.json`, or use --login.$"
    check(done, 3, "contains no Claude login", hint)


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
    (("Work", "--admin-key", "key"), b"", 2, "unrecognized arguments: key"),
    (("Work", "--admin-key", KEY), b"", 2, "arguments: sk-ant-<redacted>$"),
    (("Work", f"--admin-key={KEY}"), b"", 2, "sk-ant-<redacted>"),
    (("Console", "--login", KEY), b"", 2, "sk-ant-<redacted>$"),
]


@pytest.mark.parametrize(("arguments", "stdin", "code", "words"), WRONG, ids=range(len(WRONG)))
def test_a_failed_add_is_an_error_and_a_hint(
    command: Command,
    server: TokenServer,
    arguments: tuple[str, ...],
    stdin: bytes,
    code: int,
    words: str,
) -> None:
    done = command.run("accounts", "add", *arguments, stdin=stdin)
    lines = check(done, code, words)
    assert ["error:", "hint: "] == [line[:6] for line in lines[-2:]]
    assert "canary" not in done.stderr
    assert "\x1b" not in done.stderr
    assert ([], False) == (server.requests, Path(secrets_path(os.environ)).exists())


def test_without_a_network_the_account_is_added_with_a_note(
    command: Command, server: TokenServer
) -> None:
    done = command.run(
        *("accounts", "add", "Work", "--credentials-file", "-"),
        stdin=as_bytes(server.issue("work")),
        environ={"CLAUDE_USAGE_MONITOR_API_URL": UNREACHABLE},
    )
    check(done, 0, "^note: It could not be checked", r"^Added Work\.$")
    assert ["Work", "claude-code"] == names()


def test_an_existing_account_is_replaced_only_on_request(
    command: Command, server: TokenServer
) -> None:
    saved = save_account(server.issue("Work"), "Work")
    add = ("accounts", "add", "wORK", "--credentials-file", "-")
    stdin = as_bytes(server.issue("other"))
    check(command.run(*add, stdin=stdin), 2, "^error: There is an account 'Work' already")
    assert [] == server.requests
    check(command.run(*add, "--replace", stdin=stdin), 0, "other@example.com")
    assert [saved.id] == [each.id for each in registry().services.accounts.all()]


# --- the list ------------------------------------------------------------------------------------


def test_the_list_as_text_and_as_json(command: Command, server: TokenServer, store: Store) -> None:
    store.write(as_bytes(server.issue("mine")))
    save_account(server.issue("Work"), "Work")
    save_account({}, "会社")
    done = command.run("accounts", "list", environ={"COLUMNS": "60"})
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert ["* claude-code", "  Work", "  会社"] == [
        re.split(r"\s{2,}", line[2:])[0].join((line[:2], "")) for line in lines[1:4]
    ]
    assert lines[0].split() == ["Name", "E-mail", "Plan", "Login"]
    assert lines[4].startswith("    ! ")
    assert done.stdout == command.run("accounts", environ={"COLUMNS": "60"}).stdout
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


@pytest.mark.parametrize("arguments", [("accounts", "list"), ("accounts", "list", "--json")])
@pytest.mark.parametrize("how", ["option", "setting"])
def test_hidden_names_are_not_listed(
    command: Command,
    server: TokenServer,
    store: Store,
    home: Path,
    arguments: tuple[str, ...],
    how: str,
) -> None:
    store.write(as_bytes(server.issue("mine")))
    save_account(server.issue("Work"), "Work")
    save_account({}, "Secret client")  # its problem names it, too
    if how == "setting":
        config = home / ".config" / "claude-usage-monitor" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("hide_names = true\n")
    option = ("--hide-names",) if how == "option" else ()
    done = command.run(*arguments, *option)
    assert 0 == done.returncode
    for name in ("Work", "work@", "Secret", "mine@"):
        assert name not in done.stdout
    for name in ("claude-code", "account 2", "account 3", "user 2"):
        assert name in done.stdout


def test_hidden_names_are_in_no_error_and_no_hint(
    command: Command, home: Path, admin: list[str | None]
) -> None:
    save_account({}, "Zebra client")
    command.run("accounts", "add", "Zebra Org", "--admin-key", stdin=KEY.encode())
    config = home / ".config" / "claude-usage-monitor" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("hide_names = true\n")
    for code, arguments in (
        (3, ("guard", "--account", "Zebra client")),
        (3, ("guard", "--json", "--account", "Zebra client")),
        (0, ("usage", "--account", "Zebra client")),  # there are no transcripts
        (3, ("--once", "--account", "Zebra client")),
        (3, ("--json", "--account", "Zebra client")),
        (0, ("--format", "plain", "--account", "Zebra client")),
        (2, ("history", "--account", "Zebra Org")),
        (2, ("usage", "--account", "Zebra Org")),
        (2, ("--mode", "code", "--account", "Zebra Org")),
        (2, ("guard", "--account", "Zebr")),
        (2, ("history", "--account", "Zebr")),
        (2, ("usage", "--account", "Zebr")),
        (2, ("--once", "--account", "Zebr")),
        (2, ("accounts", "use", "Zebr")),
        (2, ("accounts", "remove", "Zebr")),
        (0, ("doctor",)),
    ):
        done = command.run(*arguments)
        assert (code, arguments) == (done.returncode, arguments)
        assert "Zebra" not in done.stdout + done.stderr, arguments


def test_a_name_that_is_added_is_shown_but_no_address_and_no_other_name(
    command: Command, server: TokenServer, home: Path
) -> None:
    config = home / ".config" / "claude-usage-monitor" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("hide_names = true\n")
    credentials = as_bytes(server.issue("mine"))
    add = ("accounts", "add", "--credentials-file", "-")
    done = command.run(*add, "Secret client", stdin=credentials)
    assert (0, "Added Secret client.\n") == (done.returncode, done.stderr.splitlines(True)[-1])
    assert "mine@" not in done.stderr
    done = command.run(*add, "Other", stdin=credentials)
    assert 2 == done.returncode
    assert "Secret" not in done.stderr


def test_the_list_in_an_encoding_that_lacks_the_letters_of_a_name(
    command: Command, server: TokenServer
) -> None:
    save_account(server.issue("x"), "会社 é")
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


def test_a_name_that_is_not_utf8_gives_a_valid_document(
    command: Command, server: TokenServer
) -> None:
    done = command.run("--json", "--account", "\udcff\U0001f642")
    assert 2 == done.returncode
    assert "\U0001f642" in json.loads(done.stdout)["problem"]["message"]


def in_shell(line: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``cum`` is our command."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'cum() {{ "{PROGRAM}" "$@"; }}\n{line}'],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(line, done.returncode, out, err)


@pytest.mark.parametrize("how", ["", " --json"])
def test_a_closed_standard_output_is_an_error(server: TokenServer, how: str) -> None:
    done = in_shell(f"cum accounts list{how} >&-")
    check(done, 1, "^error: Standard output is closed", "^hint: ")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2>&- >&-", "2>/dev/full >&-"])
def test_messages_that_cannot_be_written_do_not_change_the_exit_code(
    server: TokenServer, where: str
) -> None:
    add = f"cum accounts add Work --credentials-file - {where}"
    check(in_shell(add, as_bytes(server.issue("work"))), 0)
    assert ["Work", "claude-code"] == names()
    for line, code in (
        ("cum accounts use nobody", 2),
        ("cum accounts add", 2),
        ("cum accounts remove Work", 1),
        ("cum --account nobody --once", 1 if ">&-" in where.split() else 2),
        ("cum accounts remove Work --yes", 0),
    ):
        check(in_shell(f"{line} {where}"), code)
    assert ["claude-code"] == names()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("add Work --credentials-file -", 3, "standard input contains no credentials"),
        ("add Work --admin-key", 3, "key is empty"),
        ("remove Old", 1, "Nothing was removed"),
    ],
)
@pytest.mark.parametrize("stdin", ["0>/dev/null", "<&-"])
def test_an_input_that_cannot_be_read_counts_as_empty(
    server: TokenServer, line: str, code: int, words: str, stdin: str
) -> None:
    save_account(server.issue("Old"), "Old")
    check(in_shell(f"cum accounts {line} {stdin}"), code, words, "^hint: ")
    assert ["Old", "claude-code"] == names()


def test_a_list_that_cannot_be_read_is_an_error(command: Command, server: TokenServer) -> None:
    path = Path(accounts_path(os.environ))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage" * 1000)
    add = ("add", "Work", "--credentials-file", "-")
    for arguments in (("list",), ("list", "--json"), ("use", "claude-code"), add):
        done = command.run("accounts", *arguments, stdin=as_bytes(server.issue("work")))
        check(done, 1, f"^error: {re.escape(str(path))} cannot be used", "^hint: ")
    assert b"garbage" * 1000 == path.read_bytes()


# --- using, renaming, removing -------------------------------------------------------------------


def test_an_account_is_used_renamed_and_removed(command: Command, server: TokenServer) -> None:
    for name in ("one", "two"):
        save_account(server.issue(name), name)
    check(command.run("accounts", "use", "TWO"), 0)
    assert "two" == names()[0]
    check(command.run("accounts", "rename", "two", "second 🙂"), 0)
    assert "second 🙂" == names()[0]
    check(command.run("accounts", "remove", "Second 🙂", "--yes"), 0)
    assert ["one", "claude-code"] == names()
    assert 1 == len(json.loads(Path(secrets_path(os.environ)).read_bytes())["entries"])


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
def test_remove_asks_for_confirmation(
    command: Command, server: TokenServer, answer: bytes, removed: bool
) -> None:
    save_account(server.issue("Work"), "Work")
    done = command.run(
        "accounts", "remove", "work", stdin=answer, environ={"PYTHONIOENCODING": "utf-8:strict"}
    )
    check(done, 0 if removed else 1, r"Remove Work and its login\? \[y/N\] ")
    if not removed:
        check(done, 1, "error: Nothing was removed", "^hint: .*--yes")
    assert removed is ("Work" not in names())


def test_without_standard_input_nothing_is_removed(command: Command, server: TokenServer) -> None:
    save_account(server.issue("Work"), "Work")
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", PROGRAM, "accounts", "remove", "Work"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    check(done, 1, "Nothing was removed")
    assert "Work" in names()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("use", "Nobody"), 2, "There is no account 'Nobody'"),
        (("remove", "claude-code", "--yes"), 2, "cannot be removed"),
        (("rename", "Work", "CONSOLE"), 2, "taken"),
        (("use", "\udcff"), 2, "There is no account"),
        (("list", "--js"), 2, "unknown option"),
    ],
)
def test_a_failed_action_is_an_error_and_a_hint(
    command: Command, server: TokenServer, arguments: tuple[str, ...], code: int, words: str
) -> None:
    save_account(server.issue("Work"), "Work")
    lines = check(command.run("accounts", *arguments), code, words)
    assert ["error:", "hint: "] == [line[:6] for line in lines]


@pytest.mark.parametrize("which", [(), ("add",)])
def test_help_creates_no_files(command: Command, home: Path, which: tuple[str, ...]) -> None:
    done = command.run("accounts", *which, "--help")
    assert (0, "") == (done.returncode, done.stderr)
    assert "usage: claude-usage-monitor accounts" in done.stdout
    assert [] == list(home.iterdir())


# --- showing them --------------------------------------------------------------------------------


def documents(command: Command, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = command.run("--json", *arguments)
    assert "Traceback" not in done.stderr
    accounts = json.loads(done.stdout)["accounts"]
    return done.returncode, {account["name"]: account for account in accounts}


def test_the_selected_accounts_are_shown(
    command: Command, server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("mine")))
    for name, figure in (("one", 11.0), ("two", 22.0)):
        save_account(server.issue(name), name)
        server.figures[name] = figure
    assert ["claude-code"] == list(documents(command)[1])
    code, accounts = documents(command, "--account", "TWO", "--account", "one")
    shown = {name: each["windows"][0]["utilization"] for name, each in accounts.items()}
    assert (0, {"two": 22.0, "one": 11.0}) == (code, shown)
    code, accounts = documents(command, "--all-accounts")
    assert (0, ["claude-code", "one", "two"]) == (code, list(accounts))
    assert [True, False, False] == [each["active"] for each in accounts.values()]


def test_one_frame_has_every_account(command: Command, server: TokenServer) -> None:
    for name, figure in (("one", 11.0), ("two", 22.0)):
        save_account(server.issue(name), name)
        server.figures[name] = figure
    done = command.run("--once", "--all-accounts", environ={"COLUMNS": "70"})
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.index("11 %") < done.stdout.index("22 %")


def test_an_unknown_account_is_wrong_usage_and_the_hint_names_the_known_ones(
    command: Command, server: TokenServer, store: Store
) -> None:
    store.login()
    save_account(server.issue("one"), "one")
    done = command.run("--once", "--account", "three")
    check(done, 2, "^error: There is no account 'three'", "Known accounts: claude-code, one")
    assert [] == server.requests


def test_the_worst_account_decides_the_exit_code_and_every_problem_is_shown(
    command: Command, server: TokenServer
) -> None:
    save_account(server.issue("good"), "good")
    ended: Any = server.issue("ended", expires_in=-60)
    server.revoke(server.family_of(ended))
    save_account(ended, "ended")
    code, accounts = documents(command, "--all-accounts")
    problems = {name: (each["problem"] or {}).get("code") for name, each in accounts.items()}
    assert (3, {"good": None, "ended": "credentials_expired"}) == (code, problems)
    assert accounts["good"]["windows"]
    done = command.run("--once", "--all-accounts")
    assert (3, True) == (done.returncode, "78 %" in done.stdout)
    assert "error: ended: The login of ended is no longer valid" in done.stderr


def test_tab_shows_the_next_account(command: Command, server: TokenServer, store: Store) -> None:
    store.write(as_bytes(server.issue("mine")))
    server.figures |= {"mine": 7.0, "one": 11.0, "two": 22.0}
    for name in ("one", "two"):
        save_account(server.issue(name), name)
    terminal = command.open(columns=70, rows=30)
    for figure in ("7 %", "11 %", "22 %", "7 %"):
        alone = re.compile(rf"(?<!\d){figure}")
        terminal.wait_for(lambda: alone.search(terminal.text) is not None)  # noqa: B023 - at once
        terminal.type("\t")
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
    assert 3 == sum(seen.path == "/api/oauth/usage" for seen in server.requests)


def test_an_account_can_be_removed_while_it_is_shown(command: Command, server: TokenServer) -> None:
    """Its figures disappear, and Tab shows the next account."""
    server.figures |= {"one": 11.0, "two": 22.0}
    for name in ("one", "two"):
        save_account(server.issue(name), name)
    terminal = command.open("--account", "one", columns=70, rows=30)
    terminal.wait_for("11 %")
    terminal.wait_for(lambda: 2 == len(server.requests))  # usage and profile
    check(command.run("accounts", "remove", "one", "--yes"), 0)
    terminal.wait_for("was removed")
    assert "11 %" not in terminal.text
    assert 2 == len(server.requests)
    terminal.press_until("\t", "22 %")
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()


def test_an_account_can_be_added_and_renamed_while_all_are_shown(
    command: Command, server: TokenServer
) -> None:
    server.figures |= {"one": 11.0, "two": 22.0}
    save_account(server.issue("one"), "one")
    terminal = command.open("--all-accounts", columns=70, rows=50)
    terminal.wait_for("11 %")
    save_account(server.issue("two"), "two")
    terminal.wait_for("22 %")
    check(command.run("accounts", "rename", "two", "Twenty-two"), 0)
    terminal.wait_for("Twenty-two")
    assert 0 == leave(terminal)


def leave(terminal: Terminal) -> int:
    terminal.type("q")
    return terminal.wait_for_exit()


def test_live_mode_survives_damage_to_the_list_of_accounts(
    command: Command, server: TokenServer
) -> None:
    server.figures["one"] = 11.0
    save_account(server.issue("one"), "one")
    terminal = command.open(columns=70, rows=30)
    terminal.wait_for("11 %")
    path = Path(accounts_path(os.environ))
    path.unlink()
    path.write_bytes(b"garbage" * 1000)
    for _ in range(3):
        terminal.type("\t")
        terminal.read_for(0.3)
    assert None is terminal.exit_code, terminal.text
    assert 0 == leave(terminal)


def test_no_secret_is_printed_or_stored_in_plain_text(
    command: Command, server: TokenServer, store: Store, home: Path
) -> None:
    """Neither on a stream nor in a process's arguments nor in a file of ours."""
    store.write(as_bytes(server.issue("mine")))
    given = as_bytes(server.issue("work", expires_in=-60))
    printed: list[str] = []
    with watched("sk-ant-oat01-", "sk-ant-ort01-"):
        for arguments, stdin in (
            (("accounts", "add", "Work", "--credentials-file", "-"), given),
            (("accounts", "add", "Mine", "--from-claude-code"), b""),
            (("accounts", "list"), b""),
            (("--json", "--all-accounts"), b""),
            (("doctor",), b""),
        ):
            done = command.run(*arguments, stdin=stdin, preloaded=False)
            assert 0 == done.returncode, done.stderr
            printed += [done.stdout, done.stderr]
    assert 1 == len(server.refreshes)
    assert not [text for text in printed if "sk-ant-o" in text]
    assert {"accounts.db", "secrets.json", "state.db"} <= set(files_of(home))
    assert not [name for name, content in files_of(home).items() if b"sk-ant-o" in content]


def test_an_interrupted_login_stores_nothing(command: Command, server: TokenServer) -> None:
    server.script(delayed(5))
    terminal = command.open(
        "accounts", "add", "Personal", "--login", "--no-browser", columns=500, rows=30
    )
    terminal.wait_for(lambda: "state=" in terminal.text)
    terminal.kill(signal.SIGINT)
    assert 130 == terminal.wait_for_exit()
    assert "Traceback" not in terminal.text
    assert ["claude-code"] == names()
