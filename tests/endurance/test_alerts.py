from __future__ import annotations

from typing import TYPE_CHECKING

from tests.monitor.subscription.test_alerts import replay_life
from tests.store.state.test_alerts import crossings_sent

if TYPE_CHECKING:
    from pathlib import Path


def test_eight_processes_send_two_hundred_crossings_once_each(tmp_path: Path) -> None:
    assert list(range(200)) == crossings_sent(tmp_path / "state.db", 8, 200)


def test_a_fortnight_has_each_reset_and_limit_hit_once(tmp_path: Path) -> None:
    replay_life(tmp_path / "state.db", days=14)
