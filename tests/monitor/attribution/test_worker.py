from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.attribution.worker import UseWorker
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.settings import Settings
from tests.support.statuses import NORMAL
from tests.support.transcripts import generate
from tests.support.used_windows import IDENTITY

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 20.0  # seconds


def test_nothing_is_read_before_the_notice_was_drawn(home: Path) -> None:
    now = datetime.now(UTC)
    end = (now + timedelta(days=1)).date().isoformat()
    generate(home / ".claude", 1, 1, 20, days=2, end=end)
    services = Services({"HOME": str(home)}, Settings(), lambda: now)
    assert NORMAL.usage is not None
    windows = tuple(
        window._replace(as_of=now, resets_at=window.resets_at and now + timedelta(hours=3))
        for window in NORMAL.usage.windows
    )
    usage = NORMAL.usage._replace(windows=windows, as_of=now)
    services.state.record_usage(IDENTITY, usage)
    status = NORMAL._replace(identity=IDENTITY, usage=usage)
    done = threading.Event()
    worker = UseWorker(services, lambda: (status,), done.set, lambda: None)
    database = home / ".local/state/claude-usage-monitor/transcripts.db"
    worker.start()
    time.sleep(0.3)
    assert not database.exists()
    (shown,) = worker.shown((status,))
    assert shown.notice is not None
    assert "transcripts = false" in shown.notice

    worker.announced()
    assert done.wait(DEADLINE)

    assert database.exists()
    (shown,) = worker.shown((status,))
    assert shown.notice is None
    assert UseWorker(services, tuple, done.set, lambda: None).notice is None


def test_without_transcripts_nothing_is_announced(home: Path) -> None:
    services = Services({"HOME": str(home)}, Settings(), lambda: datetime.now(UTC))
    worker = UseWorker(services, lambda: (NORMAL,), lambda: None, lambda: None)
    assert worker.notice is None
    assert (NORMAL,) == worker.shown((NORMAL,))
