from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.secrets.machine import machine_id, user_id

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems store their id elsewhere")
def test_the_machine_id_is_the_first_one_that_is_set(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert b"" == machine_id((first, second))
    second.write_text("b2\n")
    assert b"b2" == machine_id((first, second))
    for unset in ("", "\n", "uninitialized\n"):
        first.write_text(unset)
        assert b"b2" == machine_id((first, second))
    first.write_text("a1\n")
    assert b"a1" == machine_id((first, second))


def test_the_user_id_is_a_number() -> None:
    assert str(os.getuid()).encode() == user_id()
