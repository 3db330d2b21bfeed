"""Panes of every size: 20 to 200 columns, 1 to 60 rows."""

from __future__ import annotations

import pytest

from tests.support.panes import HEIGHTS, LOOKS, STATUSES, WIDTHS, check_pane


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", STATUSES)
def test_every_pane(name: str, look: str) -> None:
    for width in WIDTHS:
        for height in HEIGHTS:
            check_pane(name, width, height, LOOKS[look])
