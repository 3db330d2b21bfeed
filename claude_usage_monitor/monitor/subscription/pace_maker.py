"""Claude Pace Maker beside a login: its state, its reading if it is the login's, its back-off.

It asks the same API with the login that Claude Code keeps in ``~/.claude/.credentials.json``, so
the request budget is one: what it was told counts here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import NoCredentials, RateLimited
from claude_usage_monitor.monitor.login.credentials import FILE
from claude_usage_monitor.monitor.subscription.snapshot import LoginSnapshot
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.usage.status import CLAUDE_CODE, Problem

if TYPE_CHECKING:
    from claude_usage_monitor.sources.pace_maker.reader import PaceMaker, Seen
    from claude_usage_monitor.store.state.state_store import StateStore

FOLDER = ".claude-pace-maker"  # known here, so that looking for it loads nothing
REFUSED = "The usage API asked Claude Pace Maker to wait."

_CLOCKS_APART = timedelta(seconds=90)
_ON_ITS_WAY = timedelta(seconds=60)  # its token is read before, its reading dated after, a request


class PaceMakerMonitor:
    """Looks at Claude Pace Maker's folder, where there is one: else it costs one stat."""

    def __init__(self, environ: Mapping[str, str], state: StateStore) -> None:
        self._environ = environ
        self._state = state
        self._pace_maker: PaceMaker | None = None
        self._taken: tuple[str, datetime] | None = None

    def added_to(self, snapshot: LoginSnapshot, now: datetime) -> LoginSnapshot:
        """Return the look with what Pace Maker adds to it; keeps its reading and its back-off."""
        backoff = self._state.backoff_of(snapshot.fingerprint) if snapshot.fingerprint else None
        seen = self.seen(now, backoff.clock_skew if backoff else timedelta())
        if seen is None:
            return snapshot
        snapshot = snapshot._replace(throttling=seen.throttling)
        if snapshot.identity is None:
            return snapshot
        polled_at = self._take(snapshot, snapshot.identity, seen, now)
        if polled_at is not None and backoff is not None and polled_at <= backoff.requested_at:
            polled_at = None
        problem = self._hold(snapshot, seen, now)
        return snapshot._replace(pace_maker_polled_at=polled_at, pace_maker_problem=problem)

    def seen(self, now: datetime, clock_skew: timedelta = timedelta()) -> Seen | None:
        """Return what its folder holds; ``None`` where there is none."""
        folder = self.folder
        if folder is None or not folder.is_dir():
            return None
        if self._pace_maker is None or self._pace_maker.folder != folder:
            # Only those who run Pace Maker pay for these rooms.
            from claude_usage_monitor.sources.pace_maker.reader import PaceMaker

            self._pace_maker = PaceMaker(folder)
        return self._pace_maker.read(now, clock_skew)

    @property
    def folder(self) -> Path | None:
        """Where its folder would be; ``None`` without a home."""
        try:
            return credentials_file.home_directory(self._environ) / FOLDER
        except NoCredentials:
            return None

    def not_taken(self, snapshot: LoginSnapshot, seen: Seen, now: datetime) -> str | None:
        """Return why its reading is not this account's, as far as can be known; else ``None``.

        Its files do not say whose figures they are (the profile it keeps is that of whoever was
        logged in when it was installed). But it asks with the token in the credentials file. So
        they are this account's if that is where this login comes from, the API has said whose
        this token is, and the file was last touched, by content or by name, before the request.
        """
        if snapshot.credential is None or snapshot.identity is None or snapshot.problem is not None:
            return "no login to compare it with"
        if not self._same_login(snapshot):
            return "it asks with another login"
        if seen.polled_at is None or seen.usage is None:
            return "it has no figures"
        if seen.polled_at > now + _CLOCKS_APART:
            return "its figures are dated in the future"
        owner = self._state.identity_of(snapshot.fingerprint or "")
        if identities.is_provisional(owner) or owner != snapshot.identity:
            return "whose this login is, is not confirmed yet"
        touched_at = self._touched_at()
        if touched_at is None or seen.polled_at < touched_at + _ON_ITS_WAY:
            return "its figures are older than this login"
        return None

    def _take(
        self, snapshot: LoginSnapshot, account: str, seen: Seen, now: datetime
    ) -> datetime | None:
        """Keep its reading if it is this account's; returns when it was made."""
        if seen.usage is None or self.not_taken(snapshot, seen, now) is not None:
            return None
        if self._taken != (account, seen.usage.as_of):
            self._taken = (account, seen.usage.as_of)
            self._state.record_usage(account, seen.usage)
        return seen.polled_at

    def _hold(self, snapshot: LoginSnapshot, seen: Seen, now: datetime) -> Problem | None:
        """Keep its back-off in the ledger if it is this account's, and return it."""
        account = snapshot.identity
        if account is None or not self._same_login(snapshot):
            return None
        if not seen.throttling.backing_off(now) and any(
            gap.startswith(("usage.db", "backoff_state")) for gap in seen.throttling.gaps
        ):
            return None  # not known: what is in the ledger stays
        until = seen.throttling.backoff_until
        if until is not None and until > now and self._refused_before(snapshot, seen):
            until = None
        problem = None
        if until is not None and until > now:
            problem = Problem(RateLimited.code, REFUSED, RateLimited.default_hint, until)
        self._state.set_account_backoff(account, problem, now)
        return problem

    def _refused_before(self, snapshot: LoginSnapshot, seen: Seen) -> bool:
        """Return whether the back-off began when somebody else was logged in."""
        known = self._state.last_login(CLAUDE_CODE.name)
        since = known[1] if known is not None and known[0] == snapshot.identity else None
        return since is not None and seen.refused_at is not None and seen.refused_at < since

    def _same_login(self, snapshot: LoginSnapshot) -> bool:
        """Return whether the login at hand is the one Pace Maker asks with."""
        if snapshot.credential is None or snapshot.credential.origin != FILE:
            return False
        home = credentials_file.home_directory(self._environ)
        ours = credentials_file.credentials_path(self._environ)
        return ours == home / ".claude" / ".credentials.json"

    def _touched_at(self) -> datetime | None:
        """Return when the credentials file last became what it is; ``None`` if it is gone."""
        path = credentials_file.credentials_path(self._environ)
        try:
            found = (path.stat(), path.lstat())
        except OSError:
            return None
        # A file that is moved here keeps its mtime, but not its ctime.
        newest = max(moment for s in found for moment in (s.st_mtime, s.st_ctime))
        return datetime.fromtimestamp(newest, UTC)
