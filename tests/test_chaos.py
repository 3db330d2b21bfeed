from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import chaos

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.command import Command


def test_seconds_of_chaos_break_no_law(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short version of the one in ``tests/endurance``; takes five seconds."""
    assert [] == chaos.run(0, 3, tmp_path, command, monkeypatch)
