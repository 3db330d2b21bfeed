"""The files in docs/metrics. tests/integration/metrics tries them with the real programs."""

from __future__ import annotations

import json
import re

from claude_usage_monitor.formats.prometheus import HELP
from tests.support.board import BOARD, board, expressions

FOLDER = BOARD.parent


def test_the_board_is_up_to_date() -> None:
    """``python -m tests.support.board`` draws it anew."""
    assert json.loads(BOARD.read_text()) == board()


def test_rules_and_board_use_metrics_that_exist() -> None:
    rules = (FOLDER / "rules.yml").read_text()
    used = set(re.findall(r"claude_usage_(\w+)", " ".join([rules, *expressions()])))
    assert used
    assert used <= HELP.keys()
    recorded = set(re.findall(r"record: (\S+)", rules))
    assert set(re.findall(r"claude_usage:[\w:]+", " ".join([rules, *expressions()]))) == recorded


def test_every_metric_is_documented() -> None:
    text = (FOLDER / "README.md").read_text()
    for name in HELP:
        last_part = re.sub(r"^.*_(?=limit_amount|projected_amount|budget_amount)", "…_", name)
        assert f"`claude_usage_{name}`" in text or f"`{last_part}`" in text, name
