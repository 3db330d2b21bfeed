from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.monitor.attribution.test_scan import check_seed, kill_scans

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(1, 21))
def test_sums_equal_the_truth(tmp_path: Path, seed: int) -> None:
    check_seed(tmp_path, seed)


def test_a_hundred_kills_leave_exact_sums(tmp_path: Path) -> None:
    killed = kill_scans(tmp_path, seed=10, runs=100)
    print(f"{killed} of 100 scans were killed")
