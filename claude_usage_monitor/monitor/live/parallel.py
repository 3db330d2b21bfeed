"""Several accounts read at the same time, each at its own pace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.reader import DisplayedAccount

MOST_AT_ONCE = 8
_GLANCE_SECONDS = 0.2  # how often the waiting thread looks up, so that Ctrl+C is heard


def read_all(current: Sequence[DisplayedAccount], interval: timedelta) -> tuple[AccountStatus, ...]:
    """Return every account's status, read now as far as the request budget allows."""
    first = [AccountStatus(displayed.account, interval=interval) for displayed in current]
    if len(current) == 1:
        return (current[0].reader.read(first[0], lambda _: None),)
    statuses = list(first)
    left = deque(range(len(current)))
    bugs: list[BaseException] = []

    def read_what_is_left() -> None:
        while left and not bugs:
            try:
                index = left.popleft()
            except IndexError:
                return
            try:
                statuses[index] = current[index].reader.read(first[index], lambda _: None)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                bugs.append(error)

    threads = [
        threading.Thread(target=read_what_is_left, name="reader", daemon=True)
        for _ in range(min(MOST_AT_ONCE, len(current)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_GLANCE_SECONDS)
    if bugs:
        raise bugs[0]
    return tuple(statuses)
