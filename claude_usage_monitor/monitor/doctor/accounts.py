"""What ``doctor`` says of the accounts that were added, and of where their logins are."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.store.paths import accounts_path, secrets_path
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.status import CLAUDE_CODE

_AREA = "Accounts"


class AccountFindings:
    """Looks at the saved accounts; ``works`` is whether the login of one of them can be used."""

    def __init__(self, registry: AccountRegistry, now: datetime, style: ClockStyle) -> None:
        self._registry = registry
        self._now = now
        self._style = style
        self.works = False

    def findings(self) -> Iterator[Finding]:
        """Yield how each saved login is and which place new ones would be kept in."""
        try:
            listed = [
                a for a in manage.summaries(self._registry) if a.account.name != CLAUDE_CODE.name
            ]
        except UsageMonitorError as error:
            yield Finding(_AREA, "list", "problem", error.message, error.hint)
            return
        for each in listed:
            name = _shown(each.account.name)
            if each.problem is None:
                self.works = True
                yield Finding(_AREA, name, "ok", f"login in the {each.stored_in}")
                continue
            words = problem_text.message(each.problem, self._now, self._style)
            yield Finding(_AREA, name, "problem", words, each.problem.hint)
        damaged = self._registry.services.accounts.damaged
        if damaged:
            detail = f"{damaged} of the list's rows cannot be read"
            yield Finding(_AREA, "damaged", "problem", detail, "Add what is missing again.")
        if not listed:
            yield Finding(_AREA, "added", "ok", "none: `accounts add` adds one")
        yield Finding(
            _AREA,
            "place for logins",
            "ok",
            self._registry.services.secrets.location_for_new_logins(),
        )


def _shown(name: str) -> str:
    """Return a name as it may stand in an issue: people name accounts after their addresses."""
    return f"{name.partition('@')[0]}@…" if "@" in name else name


def account_files(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the files that accounts have, and who else may read them."""
    for name, path in (
        ("accounts", accounts_path(environ)),
        ("encrypted file", secrets_path(environ)),
    ):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except OSError:
            yield Finding("Files", name, "ok", f"{path}: not there (it need not be)")
            continue
        yield _finding(name, path, mode)


def _finding(name: str, path: Path, mode: int) -> Finding:
    if mode & 0o077 and sys.platform != "win32":
        detail = f"{path}: others may read it ({mode:o})"
        return Finding("Files", name, "problem", detail, f"chmod 600 {path}")
    return Finding("Files", name, "ok", f"{path}: yours alone ({mode:o})")
