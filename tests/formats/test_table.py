"""The table of output formats."""

from __future__ import annotations

import subprocess
import sys

import pytest

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.formats import FORMATS, load_format
from claude_usage_monitor.formats.options import FormatOptions
from tests.support.payloads import NOW
from tests.support.statuses import NORMAL, RATE_LIMITED


@pytest.mark.parametrize("name", [row.name for row in FORMATS])
def test_every_format_writes_statuses_and_an_error(name: str) -> None:
    render = load_format(name)
    one, two = (render(s, NOW, FormatOptions()) for s in ((NORMAL,), (NORMAL, RATE_LIMITED)))
    assert "78" in one
    assert len(one) < len(two)
    assert not two.endswith("\n")
    assert "logged in" in render((), NOW, FormatOptions(), NoCredentials())


def test_the_table_imports_no_format() -> None:
    modules = [row.module for row in FORMATS]
    probe = f"import sys, claude_usage_monitor.formats; print({modules} & sys.modules.keys())"
    probe = probe.replace("[", "{").replace("]", "}")
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout
