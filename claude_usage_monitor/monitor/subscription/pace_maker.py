"""Adds Claude Pace Maker's state, usage figures and back-off to Claude Code's login.

Pace Maker sends requests to the same API, with the login in ``~/.claude/.credentials.json``. Both
programs share one request budget, so Pace Maker's responses count here too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from claude_usage_monitor.errors import NoCredentials, RateLimited
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.login.credentials import FILE
from claude_usage_monitor.monitor.subscription.snapshot import LoginSnapshot
from claude_usage_monitor.sources.claude_code.credentials_file import (
    credentials_path,
    home_directory,
)
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.usage.status import CLAUDE_CODE, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.sources.pace_maker.reader import PaceMaker, PaceMakerSnapshot

BACKOFF_MESSAGE = "The usage API asked Claude Pace Maker to wait."

_FOLDER = ".claude-pace-maker"
_MAX_CLOCK_DIFFERENCE = timedelta(seconds=90)
_MAX_REQUEST_TIME = timedelta(seconds=60)  # between reading the token and dating the response


class PaceMakerMonitor:
    """Adds Claude Pace Maker's state to a login. If it is not installed, this costs one stat."""

    def __init__(self, environ: Mapping[str, str], state: StateStore) -> None:
        self._environ = environ
        self._state = state
        self._pace_maker: PaceMaker | None = None
        self._recorded: tuple[str, datetime] | None = None  # identity and time of the last usage

    def with_pace_maker(self, login: LoginSnapshot, now: datetime) -> LoginSnapshot:
        """Return the login with Pace Maker's state; store its usage and its back-off."""
        backoff = login.backoff
        pace_maker = self.read(now, backoff.clock_skew if backoff else timedelta())
        if pace_maker is None:
            return login
        login = login._replace(throttling=pace_maker.throttling)
        if login.identity is None:
            return login
        polled_at = self._record_usage(login, login.identity, pace_maker, now)
        if polled_at is not None and backoff is not None and polled_at <= backoff.requested_at:
            polled_at = None  # our own request is newer
        return login._replace(
            pace_maker_polled_at=polled_at,
            pace_maker_problem=self._record_backoff(login, login.identity, pace_maker, now),
        )

    def read(self, now: datetime, clock_skew: timedelta = timedelta()) -> PaceMakerSnapshot | None:
        """Return Pace Maker's state; ``None`` if it is not installed."""
        folder = self.folder
        if folder is None or not os.path.isdir(folder):
            return None
        if self._pace_maker is None or self._pace_maker.folder != folder:
            # Takes 2 ms; only users of Pace Maker need it.
            from claude_usage_monitor.sources.pace_maker.reader import PaceMaker

            self._pace_maker = PaceMaker(folder)
        return self._pace_maker.read(now, clock_skew)

    @property
    def folder(self) -> str | None:
        """The path of its folder, whether or not it exists; ``None`` without a home directory."""
        try:
            return os.path.join(home_directory(self._environ), _FOLDER)
        except NoCredentials:
            return None

    def why_unused(
        self, login: LoginSnapshot, pace_maker: PaceMakerSnapshot, now: datetime
    ) -> str | None:
        """Return why its usage may not be this login's; ``None`` if it certainly is.

        Pace Maker's files do not name the account of their figures, but it always uses the token in
        the credentials file. So the figures are this login's if all of these are true: the login
        comes from that file, the API has confirmed the token's account, and Pace Maker sent its
        request after the last change of the file.
        """
        if login.credential is None or login.identity is None or login.problem is not None:
            return "no login to compare it with"
        if not self._uses_this_login(login):
            return "Pace Maker uses another login"
        if pace_maker.polled_at is None or pace_maker.usage is None:
            return "Pace Maker has no figures"
        if pace_maker.polled_at > now + _MAX_CLOCK_DIFFERENCE:
            return "its figures are dated in the future"
        confirmed = self._state.identity_of(login.credential.fingerprint)
        if identities.is_provisional(confirmed) or confirmed != login.identity:
            return "the account of this login is not confirmed yet"
        changed_at = self._credentials_changed_at()
        if changed_at is None or pace_maker.polled_at < changed_at + _MAX_REQUEST_TIME:
            return "its figures are older than this login"
        return None

    def _record_usage(
        self, login: LoginSnapshot, identity: str, pace_maker: PaceMakerSnapshot, now: datetime
    ) -> datetime | None:
        """Store its usage if it is this login's; return when Pace Maker received it."""
        if pace_maker.usage is None or self.why_unused(login, pace_maker, now) is not None:
            return None
        if self._recorded != (identity, pace_maker.usage.as_of):
            self._recorded = (identity, pace_maker.usage.as_of)
            self._state.record_usage(identity, pace_maker.usage)
        return pace_maker.polled_at

    def _record_backoff(
        self, login: LoginSnapshot, identity: str, pace_maker: PaceMakerSnapshot, now: datetime
    ) -> Problem | None:
        """Store its back-off for all tokens of this login's account, and return it."""
        if not self._uses_this_login(login):
            return None
        backing_off = pace_maker.throttling.backing_off(now)
        if not backing_off and not pace_maker.backoff_known:
            return None  # the stored back-off remains
        problem = None
        if backing_off and not self._refused_before_login(identity, pace_maker):
            until = pace_maker.throttling.backoff_until
            problem = Problem(RateLimited.code, BACKOFF_MESSAGE, RateLimited.default_hint, until)
        self._state.set_account_backoff(identity, problem, now)
        return problem

    def _refused_before_login(self, identity: str, pace_maker: PaceMakerSnapshot) -> bool:
        """Return whether the back-off started while another account was logged in."""
        login = self._state.last_login(CLAUDE_CODE.name)
        since = login[1] if login is not None and login[0] == identity else None
        refused_at = pace_maker.refused_at
        return since is not None and refused_at is not None and refused_at < since

    def _uses_this_login(self, login: LoginSnapshot) -> bool:
        """Return whether Pace Maker uses this login."""
        if login.credential is None or login.credential.origin != FILE:
            return False
        used = os.path.join(home_directory(self._environ), ".claude", ".credentials.json")
        return os.path.realpath(credentials_path(self._environ)) == os.path.realpath(used)

    def _credentials_changed_at(self) -> datetime | None:
        """Return when the credentials file was last written or replaced; ``None`` without one."""
        path = credentials_path(self._environ)
        try:
            stats = (os.stat(path), os.lstat(path))
        except OSError:
            return None
        # Moving a file here changes only its ctime.
        changed = max(moment for stat in stats for moment in (stat.st_mtime, stat.st_ctime))
        return datetime.fromtimestamp(changed, UTC)
