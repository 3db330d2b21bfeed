"""Reads several accounts at the same time, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from claude_usage_monitor.monitor.reader import DisplayedAccount
from claude_usage_monitor.usage.status import AccountStatus

MAX_PARALLEL_READS = 8


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
    # Takes 5 ms (logging), which users with one account save.
    from claude_usage_monitor.threads import run_all

    return tuple(run_all(reads, "reader", MAX_PARALLEL_READS))
