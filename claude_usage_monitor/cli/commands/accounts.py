"""Add, list, use, rename and remove accounts: subscriptions and organizations.

Without a command, the accounts are listed.

The account `claude-code` always exists: it is Claude Code's own
login. A name is any printable text up to 64 characters. Tokens and keys are never
passed as arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
from pathlib import Path

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.parser import COMMAND
from claude_usage_monitor.cli.signals import end_signals
from claude_usage_monitor.cli.terminal import clock_style, output_width, terminal_size
from claude_usage_monitor.errors import CredentialsNotFound, NoCredentials
from claude_usage_monitor.formats import account_list
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.login.browser import Prompter, log_in
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.claude_code.credentials_file import read_credentials_file
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Kind

_MAX_INPUT = 1 << 20  # bytes; credentials are a few KiB
_MAX_WIDTH = 100  # columns


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``accounts`` and of its actions."""
    parser.set_defaults(function=_list, json=False, names=False, hide_names=False)
    actions = parser.add_subparsers(title="commands", dest="action", metavar=COMMAND)
    _add_arguments(actions.add_parser("add", help="add an account", description="Add an account."))
    listing = actions.add_parser("list", help="list the accounts")
    formats = listing.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print one JSON document")
    formats.add_argument("--names", action="store_true", help="print the names only, one a line")
    listing.add_argument(
        "--hide-names",
        action="store_true",
        help="show placeholders for names and e-mails; not with --names",
    )
    listing.set_defaults(function=_list)
    use = actions.add_parser("use", help="show an account by default")
    use.add_argument("name", metavar="NAME")
    use.set_defaults(function=_use)
    rename = actions.add_parser("rename", help="give an account a new name")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new", metavar="NEW")
    rename.set_defaults(function=_rename)
    remove = actions.add_parser("remove", help="delete an account, its login and its figures")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    remove.set_defaults(function=_remove)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s NAME METHOD [--no-browser] [--replace]"
    parser.add_argument("name", metavar="NAME", help="the name to give it")
    group = parser.add_argument_group("METHOD (exactly one)")
    method = group.add_mutually_exclusive_group(required=True)
    method.add_argument(
        "--login",
        action="store_true",
        help="log in with the browser; no other program uses or refreshes this login",
    )
    method.add_argument(
        "--from-claude-code",
        action="store_true",
        help="copy the login of Claude Code, which still refreshes it",
    )
    method.add_argument(
        "--credentials-file",
        metavar="FILE",
        help="read credentials as JSON from a file, or from standard input with -",
    )
    method.add_argument(
        "--admin-key",
        action="store_true",
        help="read an organization's Admin API key from standard input; not echoed when typed",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="with --login: paste a code instead"
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace the login of the account with this name"
    )
    parser.set_defaults(function=_add)


def run(options: argparse.Namespace) -> int:
    """Run the action and return the exit code."""
    settings = load_settings(config_path(os.environ), output.warning)
    services = Services(os.environ, settings, utc_now, announce=output.note)
    code: int = options.function(AccountRegistry(services), options)
    return code


def _add(registry: AccountRegistry, options: argparse.Namespace) -> int:
    name, replace = options.name, options.replace
    kind: Kind = "console" if options.admin_key else "code"
    manage.account_to_replace(registry, name, kind, replace=replace)  # fail before the user logs in
    if options.login:
        credentials = _log_in(registry, browser=not options.no_browser)
        added = add.add_login(registry, name, credentials, replace=replace)
    elif options.from_claude_code:
        added = add.add_from_claude_code(registry, name, replace=replace)
    elif options.admin_key:
        added = add.add_admin_key(registry, name, _read_admin_key(), replace=replace)
    else:
        content, location = _read_credentials(options.credentials_file)
        added = add.add_credentials(registry, name, content, location, replace=replace)
    for note in added.notes:
        output.note(note)
    shows_email = added.account.email and not registry.services.settings.hide_names
    email = f" ({added.account.email})" if shows_email else ""
    output.message(f"Added {added.account.name}{email}.")
    return ExitCode.OK


def _log_in(registry: AccountRegistry, *, browser: bool) -> dict[str, object]:
    def read_line() -> str | None:
        return sys.stdin.readline() or None if sys.stdin is not None else None

    services = registry.services
    prompter = Prompter(output.message, read_line)
    return log_in(
        services.token_client(), services.environ, prompter, browser=browser, clock=utc_now
    )


def _read_admin_key() -> str:
    """Return the key from standard input; prompt without an echo if that is a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return _read_input().decode("utf-8", "replace").strip()
    try:
        return getpass.getpass("Admin API key (it is not shown): ", sys.stderr)
    except (EOFError, ValueError, OSError):  # no input, not text, or the terminal is gone
        return ""
    finally:
        if end_signals.exit_code is not None:  # getpass fails if the terminal is gone by then
            raise SystemExit(end_signals.exit_code)


def _read_credentials(file: str) -> tuple[bytes, str]:
    """Return the raw credentials and the name of their source."""
    if file == "-":
        return _read_input(), "standard input"
    try:
        return read_credentials_file(Path(file)), file
    except CredentialsNotFound:
        raise NoCredentials(f"There is no file {file}.", "Check the path.") from None


def _read_input() -> bytes:
    """Return all of standard input; empty if it is closed or cannot be read."""
    with contextlib.suppress(OSError):
        return sys.stdin.buffer.read(_MAX_INPUT) if sys.stdin is not None else b""
    return b""


def _list(registry: AccountRegistry, options: argparse.Namespace) -> int:
    output.stdout()  # fails if it is closed
    if options.names:
        names = (listed.account.name for listed in registry.all_accounts())
        output.data("".join(f"{name}\n" for name in names))
        return ExitCode.OK
    now, environ = utc_now(), os.environ
    settings = registry.services.settings
    hide_names = options.hide_names or settings.hide_names
    summaries = manage.summaries(registry, hide_names=hide_names)
    rows = [account_list.Row(*account) for account in summaries]
    if options.json:
        output.json(account_list.document(rows, now, ClockStyle()))
    else:
        clock = clock_style(environ, now, settings)
        width = min(output_width(environ), _MAX_WIDTH)
        is_terminal = terminal_size() is not None
        output.data(account_list.table(rows, now, clock, width, is_terminal=is_terminal))
    return ExitCode.OK


def _use(registry: AccountRegistry, options: argparse.Namespace) -> int:
    account = manage.use(registry, options.name)
    output.message(f"{account.name} is now shown by default.")
    return ExitCode.OK


def _rename(registry: AccountRegistry, options: argparse.Namespace) -> int:
    account = manage.rename(registry, options.name, options.new)
    output.message(f"The account is now called {account.name}.")
    return ExitCode.OK


def _remove(registry: AccountRegistry, options: argparse.Namespace) -> int:
    account = manage.require_removable(registry, options.name)
    if not options.yes and not _confirm(f"Remove {account.name} and its login?"):
        output.error("Nothing was removed.", "Answer y, or use --yes.")
        return ExitCode.FAILED
    for warning in manage.remove(registry, options.name):
        output.warning(warning)
    output.message(f"Removed {account.name}.")
    return ExitCode.OK


def _confirm(question: str) -> bool:
    output.prompt(f"{question} [y/N] ")
    answer = b""
    with contextlib.suppress(OSError):
        answer = sys.stdin.buffer.readline() if sys.stdin is not None else b""
    if sys.stdin is None or not sys.stdin.isatty() or not answer:
        output.message("")  # end the line, as Enter on a terminal would
    return answer.strip().lower() in (b"y", b"yes")
