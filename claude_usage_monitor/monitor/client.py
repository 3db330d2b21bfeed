"""The public library: the figures of one account or of all, and the accounts themselves.

Figures have the units of the `--json` document: ``utilization`` is a percentage from 0 to 100 (or
more), instants are aware UTC datetimes, spans are timedeltas, unknown values are None. Every error
is a UsageMonitorError with a stable ``code`` and a ``hint``; none contains a token.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.errors import InvalidSetting, NoCredentials
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.histories import account_history
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry, ListedAccount
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.reader import DisplayedAccount, read_all
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.clock import given_or_current, utc_now
from claude_usage_monitor.usage.limits.history import History
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import CLAUDE_CODE, Account, AccountStatus, Problem

if TYPE_CHECKING:  # 20 ms that only `get_use` needs
    from claude_usage_monitor.usage.attribution.report import UseReport
    from claude_usage_monitor.usage.attribution.window_use import By

LOGIN_TIMEOUT = 120.0  # seconds
_MAX_TIMEOUT = 86_400.0  # seconds
_MAX_DAYS = 36_500.0


def get_usage() -> Usage:
    """Return the limits of the account that Claude Code is logged in as.

    Requests them if the request budget, which all processes share, allows it; otherwise returns the
    stored ones. Each window has the time when it was read (``as_of``) and its ``source``.

    Raises CredentialError if a login is needed, and ServiceError if the service gave no figures. In
    both cases there are no stored figures either. ``retry_at`` of a ServiceError is when the next
    request may be sent; earlier calls send none and raise the same error.
    """
    status = claude_code_reader(_services()).read(AccountStatus(CLAUDE_CODE)).at(utc_now())
    if status.usage is None:
        problem = status.problem or Problem("error", "There are no figures yet.", "")
        raise problem.as_error()
    return status.usage


def authorize(timeout: float = LOGIN_TIMEOUT, *, browser: bool = True) -> str:
    """Log in with the browser (OAuth with PKCE) and return the credentials; nothing is stored.

    The result is JSON as in Claude Code's credentials file: ``{"claudeAiOauth": {"accessToken",
    "refreshToken", "expiresAt", "scopes", …}}``. The address to open is printed on standard error.
    If no browser can be opened, or ``browser`` is false, the user pastes the code that the page
    shows on standard input. ``timeout`` is in seconds.

    Raises LoginFailed if the login is not completed, and ServiceError if the token endpoint gives
    no answer.
    """
    return json.dumps(_log_in(_services(), timeout, browser=browser))


class UsageClient:
    """The accounts of this user and their figures.

    It uses the files and the request budget of the command. Its methods may be called from any
    thread. Notices are UserWarnings; one precedes the first secret that goes to the encrypted file
    because no keyring is available. Raises InvalidSetting if the environment has an unusable
    ``CLAUDE_USAGE_MONITOR_API_URL``.
    """

    def __init__(self) -> None:
        self._registry = AccountRegistry(_services())

    def save_account(
        self, name: str, credentials_json: str | None = None, *, replace: bool = False
    ) -> Account:
        """Add a subscription: Claude Code's current login, or credentials as JSON.

        Claude Code continues to refresh its own login; only this program refreshes other
        credentials. With ``replace``, an existing account with this name gets the new login.

        Raises InvalidName, NoCredentials if there is no login, another CredentialError if the API
        refuses it, and InvalidSetting if another account has the same login.
        """
        if credentials_json is None:
            return _account(add.add_from_claude_code(self._registry, name, replace=replace))
        content = _encoded(credentials_json)
        return _account(
            add.add_credentials(self._registry, name, content, "credentials_json", replace=replace)
        )

    def authenticate(
        self, name: str, timeout: float = LOGIN_TIMEOUT, *, replace: bool = False
    ) -> Account:
        """Add a subscription with a login in the browser. ``timeout`` is in seconds.

        Raises as `authorize` does, and InvalidName.
        """
        manage.account_to_replace(self._registry, name, "code", replace=replace)
        credentials = _log_in(self._registry.services, timeout, browser=True)
        return _account(add.add_login(self._registry, name, credentials, replace=replace))

    def save_admin_account(self, name: str, key: str, *, replace: bool = False) -> Account:
        """Add an organization by its Admin API key.

        Raises InvalidName, NoCredentials if the text cannot be an Admin API key, and another
        CredentialError if the API refuses it.
        """
        return _account(add.add_admin_key(self._registry, name, key, replace=replace))

    def list_accounts(self) -> tuple[Account, ...]:
        """Return every account, the active one first; ``claude-code`` is always one of them.

        Raises AccountsUnavailable if the list cannot be read.
        """
        return tuple(self._with_email(listed) for listed in self._registry.all_accounts())

    def switch_account(self, name: str) -> None:
        """Make an account the active one, for the command too. Raises UnknownAccount."""
        manage.use(self._registry, name)

    def rename_account(self, name: str, new_name: str) -> None:
        """Give an account another name. Raises UnknownAccount, InvalidName."""
        manage.rename(self._registry, name, new_name)

    def delete_account(self, name: str) -> None:
        """Delete an account with its login and figures.

        Raises UnknownAccount, InvalidName for a built-in account, and SecretStoreUnavailable if the
        login cannot be deleted.
        """
        for warning in manage.remove(self._registry, name):
            warnings.warn(warning, stacklevel=2)

    def get_account_usage(self, name: str) -> AccountStatus:
        """Return an account's status, with fresh figures if the request budget allows it.

        ``usage`` (of an organization: ``spend``) is None if there are no figures, and ``problem``
        says why there are none, or no newer ones. Raises UnknownAccount, AccountsUnavailable.
        """
        return self._read([self._registry.find(name)])[0]

    def get_all_accounts_usage(self) -> tuple[AccountStatus, ...]:
        """Return the status of every account that has a login, the active one first.

        Reads the accounts in parallel; each has its own ``problem``. Raises
        AccountsUnavailable.
        """
        return self._read(selected(self._registry, (), "auto", every=True))

    def get_history(
        self, name: str, days: float = 30.0, window: str | None = None, now: datetime | None = None
    ) -> History:
        """Return an account's windows of the last ``days`` days, of one key or of all.

        Windows are newest first and stored for good; no request is sent. Raises UnknownAccount,
        AccountsUnavailable, and InvalidSetting for unusable arguments or an organization, which has
        no windows.
        """
        _check_number("days", days, _MAX_DAYS)
        _check_window(window)
        moment = given_or_current(now)
        _, history, clock_skew = account_history(self._registry, name)
        moment -= clock_skew
        return history.summary(moment, moment - timedelta(days=days), window)

    def get_use(  # noqa: PLR0913 - every question is optional
        self,
        name: str | None = None,
        *,
        window: str | None = None,
        last: int = 0,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "project",
    ) -> UseReport:
        """Return what used a window of a subscription, in points of its percentage.

        Without ``name`` it is the account that Claude Code is logged in as. ``window`` is a key,
        by default the binding one; ``last`` counts back from the running window; ``since`` and
        ``until`` ask for a period instead, which has tokens and no points. Reads what was appended
        to Claude Code's transcripts; before the first time, a UserWarning says what is stored.

        Raises UnknownAccount, AccountsUnavailable, and InvalidSetting for unusable arguments, an
        unknown window, or if transcripts are turned off.
        """
        _check_window(window)
        _check_period(last, since, until)
        # Takes 20 ms (msgspec, the reader of transcripts); only this method needs it.
        from claude_usage_monitor.monitor.attribution import read_use, report

        listed = self._registry.find(name if name is not None else CLAUDE_CODE.name)
        request = report.ReportRequest(by, window, last, since, until)
        return read_use.read_use(
            self._registry,
            listed,
            request,
            announce=lambda notice: warnings.warn(notice, stacklevel=3),
        ).report

    def get_system_token(self) -> str:
        """Return the OAuth access token that Claude Code has stored. Raises CredentialError.

        The token belongs to Claude Code: do not refresh its login, and do not log or store it.
        """
        return self._registry.services.finder.find_stored(utc_now()).token.reveal()

    def _with_email(self, listed: ListedAccount) -> Account:
        if listed.key != CLAUDE_CODE.name:
            return listed.account
        profile = GlobalConfig(self._registry.services.environ).read().profile
        if profile is None:  # that of the last figures
            reader = self._registry.reader(listed)
            profile = reader.cached_status(AccountStatus(CLAUDE_CODE)).profile
        return listed.account._replace(email=profile.email if profile else None)

    def _read(self, accounts: Sequence[ListedAccount]) -> tuple[AccountStatus, ...]:
        displayed = [
            DisplayedAccount(each.key, each.account, self._registry.reader(each))
            for each in accounts
        ]
        statuses = read_all(displayed, self._registry.services.settings.interval)
        return tuple(status.at(utc_now()) for status in statuses)


def _services() -> Services:
    settings = load_settings(config_path(os.environ))
    return Services(
        os.environ, settings, utc_now, announce=lambda notice: warnings.warn(notice, stacklevel=2)
    )


def _check_number(name: str, value: object, maximum: float) -> None:
    """Raise InvalidSetting if an argument is not a number above 0 and up to a maximum."""
    if not isinstance(value, int | float) or not 0 < value <= maximum:
        raise InvalidSetting(
            f"`{name}` is {value!r}.", f"Use a number above 0 and up to {maximum:,.0f}."
        )


def _check_window(window: object) -> None:
    """Raise InvalidSetting if an argument is neither a window's key nor ``None``."""
    if window is not None and not isinstance(window, str):
        raise InvalidSetting(f"`window` is {window!r}.", "Use a key such as `five_hour`.")


def _check_period(last: object, since: object, until: object) -> None:
    """Raise InvalidSetting for arguments of `get_use` that name no window and no period."""
    if not isinstance(last, int) or last < 0:
        raise InvalidSetting(f"`last` is {last!r}.", "Use 0 for the running window, 1 and so on.")
    if last and (since, until) != (None, None):
        raise InvalidSetting("`last` names a window, not a period.", "Leave out `last`.")
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise InvalidSetting(
                f"`{name}` must be a timezone-aware datetime, not {moment!r}.",
                "Use, for example, `datetime(2026, 11, 21, tzinfo=UTC)`.",
            )


def _log_in(services: Services, timeout: float, *, browser: bool) -> dict[str, object]:
    _check_number("timeout", timeout, _MAX_TIMEOUT)
    # Takes 20 ms (http.server); only a login needs it.
    from claude_usage_monitor.monitor.login.browser import Prompter, log_in

    def read_line() -> str | None:
        return sys.stdin.readline() or None if sys.stdin is not None else None

    return log_in(
        services.token_client(),
        services.environ,
        Prompter(lambda text: print(text, file=sys.stderr), read_line),
        browser=browser,
        timeout=timeout,
        clock=services.clock,
    )


def _encoded(credentials: object) -> bytes:
    if not isinstance(credentials, str):
        kind = type(credentials).__name__
        raise NoCredentials(f"Credentials are JSON text, not {kind}.", "Use `json.dumps`.")
    return credentials.encode(errors="surrogatepass")  # refused later: it is not JSON


def _account(added: add.Added) -> Account:
    for note in added.notes:
        warnings.warn(note, stacklevel=3)
    return added.account
