from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FAULTS = (ROOT / "tests" / "FAULTS.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::((?:\w+::)?test_\w+)`", FAULTS)
ROWS = {
    "C": range(1, 22),
    "D": range(1, 11),
    "L": range(1, 8),
    "N": range(1, 19),
    "P": range(1, 7),
    "S": range(1, 10),
    "T": range(1, 9),
    "U": range(1, 17),
}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_is_named_exists(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert set() == {name for named, name in NAMED if named == path} - set(names_in(tree))


def names_in(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[str]:
    """Yield the functions of a module, and ``Class::method`` of its classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield within + node.name
        elif isinstance(node, ast.ClassDef):
            yield from names_in(node, f"{node.name}::")


def test_every_name_is_looked_at() -> None:
    assert FAULTS.count("::test_") == len(NAMED)


def test_every_row_has_a_test_or_a_reason() -> None:
    rows = re.findall(r"^\| ([CDLNPSTU]\d\d) ", FAULTS, re.MULTILINE)
    assert [f"{letter}{n:02d}" for letter, found in ROWS.items() for n in found] == sorted(rows)
    for line in FAULTS.splitlines():
        if re.match(r"\| [CDLNPSTU]\d\d ", line):
            assert "::test_" in line or "cannot" in line
