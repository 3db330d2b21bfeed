"""Placeholders instead of names, for screenshots: `--hide-names`.

The dashboard, `--once` and `--json` import it only where names are hidden.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from claude_usage_monitor.usage.money.spend import Spend, UserSpend
from claude_usage_monitor.usage.status import CLAUDE_CODE, CONSOLE, Account, AccountStatus, Problem

_BUILT_IN = (CLAUDE_CODE.name, CONSOLE.name, "demo")
_YOU = "you"  # instead of the name and the address of the user


def hidden(statuses: Sequence[AccountStatus]) -> tuple[AccountStatus, ...]:
    """Return statuses with placeholders for e-mails, organizations, accounts and projects."""
    return tuple(_hidden(status, number) for number, status in enumerate(statuses, 1))


def hidden_name(name: str) -> str:
    """Return a placeholder for the name of the only account that a command is about."""
    return hidden([AccountStatus(Account(name))])[0].account.name


def without_names(text: str, names: Iterable[str]) -> str:
    """Return a text with placeholders for the names of accounts."""
    for number, name in enumerate(names, 1):
        if name not in _BUILT_IN:
            text = _with_placeholder(text, name, f"account {number}")
    return text


def _with_placeholder(text: str, name: str, placeholder: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", placeholder, text)


def _without_name(problem: Problem, name: str, placeholder: str) -> Problem:
    """Return a problem with texts that do not name the account."""
    hint = problem.hint.replace(f"accounts add {shlex.quote(name)}", "accounts add NAME")
    return problem._replace(
        message=_with_placeholder(problem.message, name, placeholder),
        hint=_with_placeholder(hint, name, placeholder),
    )


def _without_user_name(user: UserSpend, placeholder: str) -> UserSpend:
    return user._replace(name=placeholder, email=user.email and placeholder)


def _hidden(status: AccountStatus, number: int) -> AccountStatus:
    account, profile, spend = status.account, status.profile, status.spend
    problem, origin = status.problem, status.credential_origin
    if account.name not in _BUILT_IN:
        placeholder = f"account {number}"
        problem = problem and _without_name(problem, account.name, placeholder)
        origin = origin and _with_placeholder(origin, account.name, placeholder)
        account = account._replace(name=placeholder)
    account = account._replace(email=account.email and f"user {number}")
    if profile is not None:
        profile = profile._replace(
            display_name=profile.display_name and f"user {number}",
            email=profile.email and f"user {number}",
            organization=profile.organization and f"organization {number}",
        )
    if spend is not None:
        spend = _spend_without_names(spend)
    use = tuple(
        each._replace(
            rows=tuple(
                row._replace(project=f"project {row.number}" if row.number else row.project)
                for row in each.rows
            )
        )
        for each in status.use
    )
    return status._replace(
        account=account,
        profile=profile,
        credential_origin=origin,
        spend=spend,
        use=use,
        problem=problem,
    )


def _spend_without_names(spend: Spend) -> Spend:
    """Return an organization's spend without the names of users, workspaces and API keys."""
    report = spend.claude_code
    if report is not None:
        you = report.you
        report = replace(
            report,
            you=you and you._replace(email=_YOU),
            by_user=tuple(
                _without_user_name(
                    user, _YOU if you and user.email == you.email else f"user {number}"
                )
                for number, user in enumerate(report.by_user, 1)
            ),
        )
    workspaces, keys = spend.by_workspace, spend.by_api_key
    return replace(
        spend,
        claude_code=report,
        by_workspace=workspaces
        and tuple(
            row._replace(name=row.name and f"workspace {number}")
            for number, row in enumerate(workspaces, 1)
        ),
        by_api_key=keys
        and tuple(
            row._replace(name=row.name and f"API key {number}")
            for number, row in enumerate(keys, 1)
        ),
    )
