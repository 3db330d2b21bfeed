"""Reads several accounts at the same time, once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from claude_usage_monitor.monitor.reader import DisplayedAccount
from claude_usage_monitor.usage.status import AccountStatus

MAX_PARALLEL_READS = 8
_SIGNAL_CHECK_SECONDS = 0.2  # Windows handles Ctrl+C only between two waits


def read_all(
    accounts: Sequence[DisplayedAccount], interval: timedelta
) -> tuple[AccountStatus, ...]:
    """Return every account's status, with fresh figures as far as the request budget allows.

    An account's failure is the ``problem`` of its status. An error that is not ours is raised.
    """
    if len(accounts) == 1:
        return (_read(accounts[0], interval),)
    # 5 ms (logging) that users with one account do not pay.
    from concurrent.futures import FIRST_EXCEPTION, wait

    from claude_usage_monitor.threads import run_in_thread

    slots = threading.Semaphore(MAX_PARALLEL_READS)

    def read(account: DisplayedAccount) -> AccountStatus:
        with slots:
            return _read(account, interval)

    futures = [run_in_thread(partial(read, account), "reader") for account in accounts]
    pending = set(futures)
    while pending:
        done, pending = wait(pending, _SIGNAL_CHECK_SECONDS, FIRST_EXCEPTION)
        for future in done:
            future.result()
    return tuple(future.result() for future in futures)


def _read(account: DisplayedAccount, interval: timedelta) -> AccountStatus:
    return account.reader.read(AccountStatus(account.account, interval=interval))
