from __future__ import annotations

import pytest

from tests.support.mutations import read_mutants

MUTANTS = 5000  # for each seed


@pytest.mark.parametrize("seed", range(1000, 1020))
def test_a_mutated_reply_gives_figures_or_one_of_our_errors(seed: int) -> None:
    """A hundred thousand of them in all; the suite itself reads five thousand others."""
    failures, _ = read_mutants(seed, MUTANTS)
    assert [] == failures
