"""How accounts are read and displayed: protocols, checks, and a read of several accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from claude_usage_monitor.errors import InvalidSetting, RateLimited
from claude_usage_monitor.light_typing import NamedTuple, Protocol
from claude_usage_monitor.suggestions import did_you_mean
from claude_usage_monitor.threads import run_all
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem

MAX_PARALLEL_READS = 8  # accounts at a time: each has a thread and a connection


class Reader(Protocol):
    """Reads one account: a subscription, an organization, or the demo."""

    def read(
        self, previous: AccountStatus, publish: Callable[[AccountStatus], None] = ...
    ) -> AccountStatus:
        """Return the status, requesting figures if a read is due and the budget allows it.

        ``publish`` is called with the stored figures before a request is sent.
        """
        ...

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the status without a request."""
        ...

    def request_refresh(self) -> None:
        """Request figures as soon as the budget allows, without waiting for the interval."""
        ...

    def changed(self) -> bool:
        """Return whether `cached_status` would return something new."""
        ...


def unwrapped(reader: Reader) -> Reader:
    """Return the reader of the account itself, without one that adds to the status it returns."""
    wrapped: Reader = getattr(reader, "wrapped", reader)
    return wrapped


def require_subscription(account: Account) -> None:
    """Raise InvalidSetting if the account is an organization, which has no windows."""
    if account.kind == "console":
        raise InvalidSetting(
            "This account is an organization: it has no windows.",
            "Name a subscription with `--account NAME`.",
        )


def require_window(key: str, known: Sequence[str]) -> None:
    """Raise InvalidSetting, which names the known windows, unless the key is one of them."""
    if key not in known:
        raise InvalidSetting(
            f"There is no window `{key}`{did_you_mean(key, known) or '.'}",
            f"Known windows: {', '.join(known)}.",
        )


def delayed(status: AccountStatus, until: datetime, hint: str) -> AccountStatus:
    """Return the status of an account for which no request may be sent before ``until``.

    ``hint`` explains the wait if there are no figures to show meanwhile.
    """
    if not status.has_figures and status.problem is None:
        problem = Problem(RateLimited.code, "The request budget is used up.", hint, until)
        status = status._replace(problem=problem)
    if status.next_read_at is None:
        return status
    return status._replace(next_read_at=max(until, status.next_read_at))


class DisplayedAccount(NamedTuple):
    """One account on the screen and its reader; ``key`` stays the same when it is renamed."""

    key: str
    account: Account
    reader: Reader


class DisplayedAccounts(Protocol):
    """The accounts on the screen."""

    def current(self) -> Sequence[DisplayedAccount]:
        """Return the accounts to show now."""
        ...

    def show_next(self) -> None:
        """Show the next account instead."""
        ...

    def version(self) -> object:
        """Return a value that changes when `current` may return other accounts."""
        ...

    def position(self) -> tuple[int, int] | None:
        """Return which of all accounts is the only one on the screen, and how many there are."""
        return None


def read_all(
    accounts: Sequence[DisplayedAccount], interval: timedelta
) -> tuple[AccountStatus, ...]:
    """Return every account's status, with fresh figures as far as the request budget allows.

    If an account fails, its status has a ``problem``. Unexpected exceptions propagate.
    """
    reads = [
        partial(each.reader.read, AccountStatus(each.account, interval=interval))
        for each in accounts
    ]
    if len(reads) == 1:
        return (reads[0](),)
    return tuple(run_all(reads, "reader", MAX_PARALLEL_READS))
