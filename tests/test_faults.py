from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FAULTS = (ROOT / "tests" / "FAULTS.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", FAULTS)
ROWS = {
    "C": (1, 8, 9, 10, 11, 16, 20),
    "D": range(1, 11),
    "N": range(1, 19),
    "P": (1, 2, 3, 4, 6),
    "S": range(1, 10),
    "T": range(1, 9),
    "U": range(1, 17),
}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_is_named_exists(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert set() == {name for named, name in NAMED if named == path} - functions


def test_every_row_has_a_test_or_a_reason() -> None:
    rows = re.findall(r"^\| ([CDNPSTU]\d\d) ", FAULTS, re.MULTILINE)
    assert [f"{letter}{n:02d}" for letter, found in ROWS.items() for n in found] == sorted(rows)
    for line in FAULTS.splitlines():
        if re.match(r"\| [CDNPSTU]\d\d ", line):
            assert "::test_" in line or "cannot" in line
