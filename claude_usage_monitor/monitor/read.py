"""One account, read now: credential, figures, profile, and what went wrong."""

from __future__ import annotations

import dataclasses
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import (
    CredentialError,
    CredentialsExpired,
    Forbidden,
    MissingScope,
    RateLimited,
    Unauthorized,
    UsageMonitorError,
)
from claude_usage_monitor.monitor import schedule
from claude_usage_monitor.monitor.credentials import ENVIRONMENT, Credential, CredentialFinder
from claude_usage_monitor.sources import claude_code, oauth_api
from claude_usage_monitor.sources.http import HttpClient, base_url_from
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.profile import Profile, plan_label
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from claude_usage_monitor.usage.secret import Secret
    from claude_usage_monitor.usage.windows import Usage

CLAUDE_CODE = Account("claude-code")

# A token that was refused is not sent again for this long, however often its store is looked at.
_REFUSED_FOR: dict[type[UsageMonitorError], timedelta] = {
    Unauthorized: timedelta(minutes=15),
    CredentialsExpired: timedelta(minutes=15),
    MissingScope: timedelta(hours=1),
    Forbidden: timedelta(hours=1),
}


def get_usage() -> Usage:
    """Return the limits of the account Claude Code is logged in as, asked now, with one request.

    Credential, address and proxy come from the environment as for the command. Raises
    CredentialError when a login is needed, ServiceError when no figures could be had.
    """
    settings, _ = load_settings(config_path(os.environ))
    return open_reader(os.environ, settings, utc_now).figures(utc_now())


def open_reader(
    environ: Mapping[str, str], settings: Settings, clock: Callable[[], datetime]
) -> AccountReader:
    """Return a reader of the ``claude-code`` account. Raises InvalidSetting."""
    user_agent = settings.user_agent or f"claude-code/{claude_code.installed_version(environ)}"
    client = HttpClient(base_url_from(environ), user_agent, clock, environ)
    return AccountReader(CredentialFinder(environ, sys.platform), client, settings)


class AccountReader:
    """Reads one account, again and again: what it remembers spares requests, never figures."""

    def __init__(self, finder: CredentialFinder, client: HttpClient, settings: Settings) -> None:
        self._finder = finder
        self._client = client
        self._settings = settings
        self._refused: dict[Secret, tuple[UsageMonitorError, datetime]] = {}
        self._profiles: dict[Secret, Profile] = {}
        self._credential: Credential | None = None
        self._notice: str | None = None
        self._failures = 0
        self._rate_limits = 0
        self._last_request_at: datetime | None = None
        self._blocked_until: datetime | None = None
        self._lacks_login = False

    def read(
        self,
        now: datetime,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
        *,
        chance: float = 0.0,
    ) -> AccountStatus:
        """Return the account's status after one look, with ``previous``'s figures if it failed.

        ``publish`` is handed the figures before the profile is asked for. ``chance`` (0–1) is the
        share of the jitter in ``next_read_at``.
        """
        try:
            usage = self.figures(now)
        except UsageMonitorError as error:
            return self._failed(now, previous, error, chance)
        self._failures = self._rate_limits = 0
        self._blocked_until, self._lacks_login = None, False
        credential = self._credential
        assert credential is not None  # noqa: S101 - figures came with it
        status = AccountStatus(
            account=CLAUDE_CODE,
            usage=usage,
            profile=self._profiles.get(credential.token) or _profile_of_login(credential),
            credential_origin=credential.origin,
            notice=self._notice,
            next_read_at=schedule.after_success(
                now,
                (window.resets_at for window in usage.windows if window.resets_at is not None),
                interval=self._settings.interval,
                floor=self._settings.api_floor,
                chance=chance,
            ),
            interval=self._settings.interval,
            clock_ahead=self._client.clock_ahead,
        )
        if credential.token not in self._profiles:
            publish(status)
            self._profiles = {credential.token: self._ask_profile(credential)}
        return dataclasses.replace(status, profile=self._profiles[credential.token])

    def allow_request(self, now: datetime) -> bool:
        """Return whether a read that the user asks for may happen now.

        Never during a block, and not sooner than the floor (than the first back-off after a
        failure). Looking for a login is always allowed: it costs no request.
        """
        if self._blocked_until is not None and now < self._blocked_until:
            return False
        gap = schedule.FIRST_BACKOFF if self._failures else self._settings.api_floor
        if self._last_request_at is None or now - self._last_request_at >= gap:
            self._refused.clear()
            return True
        return self._lacks_login

    def figures(self, now: datetime) -> Usage:
        """Return the account's limits, asked with one request, two if the first token was stale.

        Raises CredentialError or ServiceError.
        """
        self._notice = None
        credential = self._use(self._finder.find(now))
        refusal = self._known_refusal(credential, now)
        if refusal is None:
            try:
                return self._ask(credential, now)
            except (CredentialError, RateLimited) as error:
                refusal = error
                if isinstance(error, Unauthorized | CredentialsExpired | RateLimited):
                    # An expired token also gets 429. One renewed meanwhile is tried, once.
                    again = self._finder.find(now, afresh=True)
                    if again.token != credential.token:
                        return self._ask(self._use(again), now)
                    again.raise_if_expired(now - self._client.clock_ahead)
        if credential.origin == ENVIRONMENT and isinstance(refusal, MissingScope | Forbidden):
            return self._ask_stored_instead(now, refusal)
        raise refusal

    def _ask_stored_instead(self, now: datetime, refusal: UsageMonitorError) -> Usage:
        try:
            stored = self._finder.find_stored(now)
            usage = self._ask(stored, now)
        except CredentialError:
            raise refusal from None
        self._use(stored)
        self._notice = f"{claude_code.TOKEN_VARIABLE} may not read usage: using the stored login."
        return usage

    def _use(self, credential: Credential) -> Credential:
        self._credential = credential
        return credential

    def _known_refusal(self, credential: Credential, now: datetime) -> UsageMonitorError | None:
        """Return why this credential need not be sent: its time is up, or it was refused."""
        if credential.expired(now - self._client.clock_ahead):
            return CredentialsExpired(expired_at=credential.login.expires_at)
        error, until = self._refused.get(credential.token, (None, now))
        return error if now < until else None

    def _ask(self, credential: Credential, now: datetime) -> Usage:
        known = self._known_refusal(credential, now)
        if known is not None:
            raise known
        self._last_request_at = now
        try:
            return oauth_api.get_usage(self._client, credential.token)
        except CredentialError as error:
            self._refused[credential.token] = (error, now + _REFUSED_FOR[type(error)])
            raise

    def _ask_profile(self, credential: Credential) -> Profile:
        try:
            return oauth_api.get_profile(self._client, credential.token)
        except UsageMonitorError:
            return _profile_of_login(credential)  # once a token, whatever came of it

    def _failed(
        self, now: datetime, previous: AccountStatus, error: UsageMonitorError, chance: float
    ) -> AccountStatus:
        retry_at = None
        self._lacks_login = isinstance(error, CredentialError)
        if isinstance(error, RateLimited):
            self._rate_limits += 1
            retry_at = schedule.after_rate_limit(
                now, error.retry_after, self._rate_limits, chance=chance
            )
            self._blocked_until = retry_at
        elif not isinstance(error, CredentialError):
            self._failures += 1
            retry_at = schedule.after_error(now, self._failures, chance=chance)
        credential = self._credential
        return dataclasses.replace(
            previous,
            credential_origin=credential.origin if credential else previous.credential_origin,
            problem=Problem.from_error(error, retry_at),
            next_read_at=retry_at,
            interval=self._settings.interval,
            clock_ahead=self._client.clock_ahead,
        )


def _profile_of_login(credential: Credential) -> Profile:
    """Return what the stored login itself tells: the plan, as of when the user logged in."""
    login = credential.login
    plan = plan_label(login.subscription_type, login.rate_limit_tier)
    return Profile(plan=plan, rate_limit_tier=login.rate_limit_tier)
