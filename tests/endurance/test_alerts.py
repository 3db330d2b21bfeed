from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.monitor.subscription.test_alerts import replay_life
from tests.store.state.test_alerts import crossings_sent
from tests.test_replayed_life import replay_days

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_eight_processes_send_two_hundred_crossings_once_each(tmp_path: Path) -> None:
    assert list(range(200)) == crossings_sent(tmp_path / "state.db", 8, 200)


def test_a_fortnight_has_each_reset_and_limit_hit_once(tmp_path: Path) -> None:
    replay_life(tmp_path / "state.db", days=14)


@pytest.mark.timeout(3600)
def test_a_fortnight_is_seen_once_by_dashboard_history_and_alerts(
    command: Command, api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login(expires_in=30 * 86400)
    replay_days(14, command, api, tmp_path, monkeypatch)
