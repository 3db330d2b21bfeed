"""The table of output formats."""

from __future__ import annotations

import subprocess
import sys

import pytest

from claude_usage_monitor.errors import InvalidSetting, NoCredentials
from claude_usage_monitor.formats import FORMATS, Format, format_named, load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.targets import TARGETS
from tests.support.payloads import NOW
from tests.support.statuses import NORMAL, RATE_LIMITED


@pytest.mark.parametrize("row", FORMATS)
def test_every_format_writes_statuses_and_an_error(row: Format) -> None:
    render = load_format(row.name)
    one, two = (render(s, NOW, FormatOptions()) for s in ((NORMAL,), (NORMAL, RATE_LIMITED)))
    assert "78" in one
    several = TARGETS[row.target].accounts_on_lines and "bars" not in row.module
    assert len(one) < len(two) if several else one == two
    assert not two.endswith("\n")
    error = render((), NOW, FormatOptions(), NoCredentials())
    assert "logged in" in error or "no_credentials" in error


def test_a_name_or_a_template_is_a_format() -> None:
    options = FormatOptions(color=False)
    assert "▸5h 78%% 2h11m" in format_named("zsh")((NORMAL,), NOW, options)
    assert "78" == format_named("{five_hour.utilization}")((NORMAL,), NOW, options)
    with pytest.raises(InvalidSetting, match="no format 'tmuxx'; did you mean `tmux`") as caught:
        format_named("tmuxx")
    assert "i3status-rust" in caught.value.hint


def test_the_table_imports_no_format() -> None:
    modules = [row.module for row in FORMATS]
    probe = f"import sys, claude_usage_monitor.formats; print({modules} & sys.modules.keys())"
    probe = probe.replace("[", "{").replace("]", "}")
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout
