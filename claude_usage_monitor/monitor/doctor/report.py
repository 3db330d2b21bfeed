"""What works, what does not, and what to do about it: every place that is looked at, named.

No token, not even a part of one, and no e-mail is in a finding: people paste them into issues.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialError,
    InvalidSetting,
    ServiceError,
    error_of,
)
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.monitor.doctor.accounts import AccountFindings, account_files
from claude_usage_monitor.monitor.doctor.files_and_network import files, network
from claude_usage_monitor.monitor.doctor.pace_maker import pace_maker
from claude_usage_monitor.monitor.login.credentials import KEYCHAIN, Credential, CredentialFinder
from claude_usage_monitor.sources.claude_code import credentials_file, global_config
from claude_usage_monitor.sources.claude_code.installation import statusline_command
from claude_usage_monitor.store.paths import state_path
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.ledger import MAX_REQUESTS_PER_HOUR
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle, ago, clock_time, countdown
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.store.settings import Settings

_STATUSLINE = "claude-usage-monitor statusline"


class Doctor:
    """Looks at everything that figures depend on."""

    def __init__(
        self,
        environ: Mapping[str, str],
        settings: Settings,
        warnings: Sequence[str],
        clock: Callable[[], datetime],
        style: ClockStyle,
    ) -> None:
        self._environ = environ
        self._settings = settings
        self._warnings = warnings
        self._clock = clock
        self._now = clock()
        self._style = style
        self._finder = CredentialFinder(environ)
        self._state = StateStore(state_path(environ))
        self.login_works = False
        self._saved_login_works = False
        self.figures_stored = False
        self.blocked = False

    @property
    def ok(self) -> bool:
        """Whether figures can be had: a login that works and nothing in its way, or stored ones."""
        usable = self.login_works or self._saved_login_works
        return self.figures_stored or (usable and not self.blocked)

    def findings(self, *, online: bool) -> Iterator[Finding]:
        """Yield what was found. ``online`` asks the API, through the request budget."""
        yield from self._credentials()
        yield from self._accounts()
        yield from self._ledger_and_sources()
        yield from pace_maker(self._environ, self._state, self._now, self._style)
        yield from files(self._environ, self._state, self._warnings)
        yield from account_files(self._environ)
        yield from network(self._environ)
        if online:
            yield self._asked()

    # --- credentials ---------------------------------------------------------------------------

    def _credentials(self) -> Iterator[Finding]:
        area = "Logins"
        name = credentials_file.TOKEN_VARIABLE
        try:
            login = credentials_file.token_from_environment(self._environ)
        except CredentialError as error:
            yield Finding(area, name, "problem", error.message, error.hint)
        else:
            yield Finding(
                area,
                name,
                "note" if login else "ok",
                "set: used before any stored login" if login else "not set",
            )
        try:
            stored = self._finder.find_stored(self._now)
        except CredentialError as error:
            yield Finding(area, self._store_name(), "problem", error.message, error.hint)
        else:
            yield self._stored(stored)
        try:
            found = self._finder.find(self._now)
            lacks = found.login.scopes and credentials_file.USAGE_SCOPE not in found.login.scopes
            self.login_works = not (found.expired(self._now) or lacks)
        except CredentialError:
            self.login_works = False

    def _store_name(self) -> str:
        return KEYCHAIN if sys.platform == "darwin" else self._path_of_login()

    def _path_of_login(self) -> str:
        try:
            return str(credentials_file.credentials_path(self._environ))
        except CredentialError:
            return "credentials file"

    def _stored(self, credential: Credential) -> Finding:
        login = credential.login
        scopes = ", ".join(sorted(login.scopes)) or "not said"
        if login.expires_at is None:
            until = "expiry not said"
        elif credential.expired(self._now):
            until = f"expired {ago(self._now - login.expires_at)}"
        else:
            until = f"expires in {countdown(login.expires_at - self._now)}"
        detail = f"found; {until}; scopes: {scopes}"
        place = credential.origin if credential.origin == KEYCHAIN else self._path_of_login()
        if credential.expired(self._now):
            hint = "Open Claude Code once (`claude`): it renews its login."
            return Finding("Logins", place, "problem", detail, hint)
        if login.scopes and credentials_file.USAGE_SCOPE not in login.scopes:
            hint = "Run `claude`, then `/login`: usage needs `user:profile`."
            return Finding("Logins", place, "problem", detail, hint)
        return Finding("Logins", place, "ok", detail)

    def _accounts(self) -> Iterator[Finding]:
        try:
            services = Services(self._environ, self._settings, self._clock)
        except InvalidSetting:
            return  # said of the network
        found = AccountFindings(AccountRegistry(services), self._now, self._style)
        yield from found.findings()
        self._saved_login_works = found.works

    # --- ledger and sources ----------------------------------------------------------------------

    def _ledger_and_sources(self) -> Iterator[Finding]:
        area = "Figures"
        try:
            reader = claude_code_reader(Services(self._environ, self._settings, self._clock))
        except InvalidSetting:
            return  # said of the network
        status = reader.cached_status(AccountStatus(CLAUDE_CODE, interval=self._settings.interval))
        usage = status.usage
        self.figures_stored = usage is not None
        if usage is None:
            yield Finding(area, "stored figures", "note", "none yet")
        else:
            yield Finding(area, "stored figures", "ok", self._last_reading(status))
            sources = {
                w.source: max(v.as_of for v in usage.windows if v.source == w.source)
                for w in usage.windows
            }
            for source, as_of in sorted(sources.items()):
                yield Finding(area, f"from {source}", "ok", f"newest {ago(self._now - as_of)}")
        yield self._ledger(status)
        yield self._statusline()
        yield self._claude_json()

    def _last_reading(self, status: AccountStatus) -> str:
        assert status.usage is not None  # noqa: S101 - only asked of one with figures
        figures_age = status.age(self._now) or timedelta()
        windows = len(status.usage.windows)
        return f"{windows} windows, last complete reading {ago(figures_age)}"

    def _ledger(self, status: AccountStatus) -> Finding:
        try:
            credential = self._finder.find(self._now)
        except CredentialError:
            return Finding("Figures", "request ledger", "note", "no login to ask with")
        account = self._state.identity_of(identities.token_fingerprint(credential.token))
        count = self._state.requests_in_last_hour(account, self._now)
        detail = f"{count} of {MAX_REQUESTS_PER_HOUR} requests in the last hour"
        problem = status.problem
        over = (
            problem is not None and problem.retry_at is not None and problem.retry_at <= self._now
        )
        if problem is not None and problem.since is None and not over:
            self.blocked = True
            self.login_works &= isinstance(error_of(problem.code, "", ""), ServiceError)
            message = problem_text.message(problem, self._now, self._style)
            hint = problem_text.hint(status, self._now, self._style, live=False)
            return Finding("Figures", "request ledger", "problem", f"{detail}; {message}", hint)
        due = status.next_read_at
        if due is not None and due > self._now:
            detail += f"; next at {clock_time(due, self._now, self._style)}"
        return Finding("Figures", "request ledger", "ok", detail)

    def _statusline(self) -> Finding:
        command = statusline_command(self._environ)
        if command is None:
            return Finding(
                "Figures",
                "status line",
                "note",
                "not set up in Claude Code",
                "It brings figures without a request: see README.",
            )
        if "claude-usage-monitor" in command and "statusline" in command:
            program = command.split()[0]
            if shutil.which(program, path=self._environ.get("PATH", os.defpath)) is None:
                detail = "set up, but its program is not on the PATH"
                return Finding("Figures", "status line", "problem", detail, "Write its whole path.")
            return Finding("Figures", "status line", "ok", "set up")
        return Finding(
            "Figures",
            "status line",
            "note",
            "another command is set up",
            f"Keep it and add ours: {_STATUSLINE} -- COMMAND",
        )

    def _claude_json(self) -> Finding:
        known = global_config.GlobalConfig(self._environ).read()
        if known.profile is None or known.profile.account_uuid is None:
            return Finding("Figures", "~/.claude.json", "note", "does not say who is logged in")
        if known.usage is None:
            return Finding("Figures", "~/.claude.json", "ok", "says who is logged in, no figures")
        read = ago(self._now - known.usage.as_of)
        return Finding("Figures", "~/.claude.json", "ok", f"figures, read {read}")

    # --- the API -----------------------------------------------------------------------------

    def _asked(self) -> Finding:
        started = self._clock()
        try:
            reader = claude_code_reader(Services(self._environ, self._settings, self._clock))
        except InvalidSetting as error:
            return Finding("Network", "asked the API", "problem", error.message, error.hint)
        status = reader.read(AccountStatus(CLAUDE_CODE, interval=self._settings.interval))
        now = self._clock()
        if status.problem is not None:
            self.blocked = True
            message = problem_text.message(status.problem, now, self._style)
            return Finding(
                "Network",
                "asked the API",
                "problem",
                message,
                problem_text.hint(status, now, self._style, live=False),
            )
        self.figures_stored = status.usage is not None
        asked = reader.last_request_at()
        if asked is None or asked < started - timedelta(milliseconds=1):
            detail = "not asked: the request budget says to wait"
            return Finding("Network", "asked the API", "note", detail)
        return Finding("Network", "asked the API", "ok", "it answers")
