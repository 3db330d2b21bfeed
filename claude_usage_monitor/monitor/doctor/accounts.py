"""Findings about the saved accounts and where their logins are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from claude_usage_monitor.monitor.accounts.manage import AccountSummary
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.findings import Finding

AREA = "Accounts"


def account_findings(
    summaries: Sequence[AccountSummary], damaged_rows: int, now: datetime, style: ClockStyle
) -> Iterator[Finding]:
    """Yield a finding for each saved account, and one for damaged rows in accounts.db."""
    for summary in summaries:
        name = _without_domain(summary.account.name)
        if summary.problem is None:
            yield Finding(AREA, name, "ok", f"login stored in: {summary.stored_in}")
        else:
            text = problem_text.message(summary.problem, now, style)
            yield Finding(AREA, name, "problem", text, summary.problem.hint)
    if damaged_rows:
        detail = f"{damaged_rows} rows of the list cannot be read"
        yield Finding(AREA, "damaged", "problem", detail, "Add the missing accounts again.")
    if not summaries:
        yield Finding(AREA, "saved accounts", "ok", "none")


def lock_findings(locked_files: Iterable[Path]) -> Iterator[Finding]:
    """Yield a finding for each login that a process has locked."""
    for path in locked_files:
        yield Finding(
            AREA,
            "lock",
            "note",
            "a process is refreshing or changing a login",
            f"That takes a second. If it lasts, end the process that has {path} open.",
        )


def _without_domain(name: str) -> str:
    """Return a name without the domain of an e-mail address: people paste reports into issues."""
    return f"{name.partition('@')[0]}@…" if "@" in name else name
