"""Accounts: several subscriptions and organisations beside what Claude Code is logged in as.

`claude-code` is always there; it is whatever Claude Code is logged in as. Names are any printable
text up to 64 characters. Tokens and keys are never given on the command line.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.commands.dashboard import fail_without_output, print_document, say
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.cli.options import PROGRAM, Parser, tell
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Kind

_MAX_BYTES = 1 << 20  # of standard input; credentials are a few KiB
_WIDEST = 100
_ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT")

_METHOD_NAMES = ("login", "from_claude_code", "credentials_file", "admin_key")
_ALTERNATIVES = "--login, --from-claude-code, --credentials-file FILE or --admin-key"
_METHODS = """\
METHOD is exactly one way to log in:
  --login                  in the browser; the login is this program's own, and no other's
  --from-claude-code       what Claude Code is logged in as now; it stays Claude Code's to renew
  --credentials-file FILE  credentials JSON from a file, or from standard input with -
  --admin-key              an organisation's Admin API key, typed hidden or from standard input"""


def run_accounts(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what is asked for and return the exit code."""
    parser = _parser()
    found = parser.parse_args(arguments)
    if found.command == "add" and not any(getattr(found, name) for name in _METHOD_NAMES):
        found.parser.error(f"one way to log in is needed: {_ALTERNATIVES}")
    settings, _ = load_settings(config_path(environ))
    try:
        registry = AccountRegistry(Services(environ, settings, utc_clock, announce=_note))
        if found.command == "add":
            return _add(registry, found)
        if found.command == "list":
            return _list(registry, found, environ)
        if found.command == "use":
            tell(f"{manage.use(registry, found.name).name} is shown by default now.\n")
        elif found.command == "rename":
            tell(f"It is called {manage.rename(registry, found.name, found.new).name} now.\n")
        else:
            return _remove(registry, found)
    except UsageMonitorError as error:
        say(error.message, error.hint)
        return exit_code_for(error.code)
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"{PROGRAM} accounts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser(
        "add",
        help="add an account",
        usage="%(prog)s NAME METHOD [--no-browser] [--replace]",
        description=_METHODS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add.add_argument("name", metavar="NAME")
    method = add.add_mutually_exclusive_group()
    method.add_argument("--login", action="store_true", help=argparse.SUPPRESS)
    method.add_argument("--from-claude-code", action="store_true", help=argparse.SUPPRESS)
    method.add_argument("--credentials-file", metavar="FILE", help=argparse.SUPPRESS)
    method.add_argument("--admin-key", action="store_true", help=argparse.SUPPRESS)
    add.add_argument("--no-browser", action="store_true", help="with --login: paste a code instead")
    add.add_argument("--replace", action="store_true", help="log an account of that name in again")
    add.set_defaults(parser=add)
    listing = commands.add_parser("list", help="list the accounts", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print one JSON document")
    use = commands.add_parser("use", help="show an account by default", allow_abbrev=False)
    use.add_argument("name", metavar="NAME")
    rename = commands.add_parser("rename", help="give an account a new name", allow_abbrev=False)
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new", metavar="NEW")
    remove = commands.add_parser(
        "remove", help="delete an account, its login and its figures", allow_abbrev=False
    )
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _add(registry: AccountRegistry, found: argparse.Namespace) -> int:
    name, replace = found.name, found.replace
    kind: Kind = "console" if found.admin_key else "code"
    manage.require_free(registry, name, kind, replace=replace)  # before anybody is asked to log in
    if found.login:
        added = add.add_login(registry, name, _logged_in(registry, found), replace=replace)
    elif found.from_claude_code:
        added = add.add_from_claude_code(registry, name, replace=replace)
    elif found.admin_key:
        added = add.add_admin_key(registry, name, _key(), replace=replace)
    else:
        content, place = _credentials(found.credentials_file)
        added = add.add_credentials(registry, name, content, place, replace=replace)
    for note in added.notes:
        _note(note)
    account = added.account
    who = f" ({account.email})" if account.email else ""
    tell(f"Added {account.name}{who}.\n")
    return ExitCode.OK


def _logged_in(registry: AccountRegistry, found: argparse.Namespace) -> dict[str, object]:
    from claude_usage_monitor.monitor.login.browser import Prompter, log_in

    def ask() -> str | None:
        return sys.stdin.readline() or None if sys.stdin is not None else None

    client = registry.services.token_client()
    browser = not found.no_browser
    return log_in(
        client,
        registry.services.environ,
        Prompter(lambda words: tell(f"{words}\n"), ask),
        browser=browser,
        clock=utc_clock,
    )


def _key() -> str:
    """Return the key that is typed, unseen, or comes on standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        try:
            with _signals_as_exits():  # getpass makes the terminal echo again on its way out
                return getpass.getpass("Admin API key (it is not shown): ", sys.stderr)
        except (EOFError, ValueError, OSError):  # no input, no text, no terminal any more
            return ""
    return _input().decode("utf-8", "replace").strip()


@contextlib.contextmanager
def _signals_as_exits() -> Iterator[None]:
    """Leave by SystemExit, and so through every ``finally``, when a signal ends the process."""
    came: list[int] = []

    def leave(number: int, _: object) -> None:
        came.append(number)
        raise SystemExit(ExitCode.SIGNAL + number)

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:  # not what is ignored, as after nohup
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        if came:  # whatever became of it on a terminal that has gone
            raise SystemExit(ExitCode.SIGNAL + came[0])


def _credentials(file: str) -> tuple[bytes, str]:
    if file == "-":
        return _input(), "standard input"
    from claude_usage_monitor.errors import CredentialsNotFound, NoCredentials
    from claude_usage_monitor.sources.claude_code.credentials_file import read_credentials_file

    try:
        return read_credentials_file(Path(file)), file
    except CredentialsNotFound:
        raise NoCredentials(f"There is no file {file}.", "Name another one.") from None


def _input() -> bytes:
    """Return standard input; one that is closed, or no input at all, holds nothing."""
    with contextlib.suppress(OSError):
        return sys.stdin.buffer.read(_MAX_BYTES) if sys.stdin is not None else b""
    return b""


def _list(registry: AccountRegistry, found: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from claude_usage_monitor.formats import account_list

    if sys.stdout is None:
        return fail_without_output()
    rows = [account_list.Row(*each) for each in manage.listed(registry)]
    if found.json:
        print_document(account_list.document(rows, utc_clock(), ClockStyle()))
        return ExitCode.OK
    from claude_usage_monitor.cli.terminal import clock_style, width_of_output

    width = min(width_of_output(environ), _WIDEST)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a name in another script
    sys.stdout.write(account_list.table(rows, utc_clock(), clock_style(environ), width))
    return ExitCode.OK


def _remove(registry: AccountRegistry, found: argparse.Namespace) -> int:
    account = manage.removable(registry, found.name)
    if not found.yes:
        tell(f"Remove {account.name} and its login? [y/N] ")
        answer = b""
        with contextlib.suppress(OSError):
            answer = sys.stdin.buffer.readline() if sys.stdin is not None else b""
        if sys.stdin is None or not sys.stdin.isatty() or not answer:
            tell("\n")  # nobody's Enter ended the line
        if answer.strip().lower() not in (b"y", b"yes"):
            say("Nothing was removed.", "Answer y, or use --yes.")
            return ExitCode.FAILED
    for warning in manage.remove(registry, found.name):
        tell(f"warning: {warning}\n")
    tell(f"Removed {account.name}.\n")
    return ExitCode.OK


def _note(words: str) -> None:
    tell(f"note: {words}\n")
