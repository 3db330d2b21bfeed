from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import chaos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

MINUTES = float(os.environ.get("CHAOS_MINUTES", "60"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))


@pytest.mark.timeout(MINUTES * 60 + 900)
def test_an_hour_of_chaos_breaks_no_law(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``CHAOS_MINUTES=10 pytest -n 0 -s tests/endurance/test_chaos.py`` takes ten minutes."""
    assert [] == chaos.run(SEED, MINUTES * 60, tmp_path, command, monkeypatch)
