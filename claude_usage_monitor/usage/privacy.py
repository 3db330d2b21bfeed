"""Placeholders instead of names, for screenshots: `--hide-names`.

Imported only where names are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from claude_usage_monitor.usage.status import CLAUDE_CODE, CONSOLE, AccountStatus

_BUILT_IN = (CLAUDE_CODE.name, CONSOLE.name, "demo")


def hidden(statuses: Sequence[AccountStatus]) -> tuple[AccountStatus, ...]:
    """Return statuses with placeholders for e-mails, organizations, accounts and projects."""
    return tuple(_hidden(status, number) for number, status in enumerate(statuses, 1))


def _hidden(status: AccountStatus, number: int) -> AccountStatus:
    account, profile, spend = status.account, status.profile, status.spend
    if account.name not in _BUILT_IN:
        account = account._replace(name=f"account {number}")
    account = account._replace(email=account.email and f"user {number}")
    if profile is not None:
        profile = profile._replace(
            display_name=profile.display_name and f"user {number}",
            email=profile.email and f"user {number}",
            organization=profile.organization and f"organization {number}",
        )
    if spend is not None and spend.claude_code is not None:
        you, users = spend.claude_code.you, spend.claude_code.by_user
        claude_code = replace(
            spend.claude_code,
            you=you and you._replace(email="you"),
            by_user=users
            and tuple(
                user._replace(name=f"user {place}", email=f"user {place}")
                for place, user in enumerate(users, 1)
            ),
        )
        spend = replace(spend, claude_code=claude_code)
    use = tuple(
        each._replace(
            rows=tuple(row._replace(project=f"project {row.number}") for row in each.rows)
        )
        for each in status.use
    )
    return status._replace(account=account, profile=profile, spend=spend, use=use)
