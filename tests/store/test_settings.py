from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.store.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

EVERY_KEY = b"""
interval = 60
api_floor_seconds = 240.5
user_agent = "claude-code/2.1.240"
email = "ada@example.com"
monthly_budget = 100.10
mode = "code"
ascii = true
color = "never"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_without_a_file_there_are_the_defaults(path: Path) -> None:
    assert (Settings(), ()) == load_settings(path)
    assert (Settings(), ()) == load_settings(path / "below" / "a" / "file")


@pytest.mark.parametrize(
    "text", [EVERY_KEY, b"\xef\xbb\xbf" + EVERY_KEY, EVERY_KEY.replace(b"\n", b"\r\n")]
)
def test_every_key_is_read(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    expected = Settings(
        interval=timedelta(seconds=60),
        api_floor=timedelta(seconds=240.5),
        user_agent="claude-code/2.1.240",
        email="ada@example.com",
        monthly_budget=Decimal("100.1"),
        mode="code",
        ascii=True,
        color="never",
    )
    assert (expected, ()) == load_settings(path)


@pytest.mark.parametrize(
    "line",
    [
        "interval = 4",
        "interval = 0",
        "interval = -1",
        "interval = 1e99",
        "interval = nan",
        "interval = inf",
        'interval = "60"',
        "interval = true",
        "api_floor_seconds = 59",
        "api_floor_seconds = nan",
        'user_agent = "two\\r\\nlines"',
        'user_agent = ""',
        "email = 7",
        "monthly_budget = -1",
        "monthly_budget = nan",
        'mode = "all"',
        "ascii = 1",
        'color = "blue"',
        "unheard_of = 1",
    ],
)
def test_a_bad_value_is_one_warning_that_names_it_and_its_default(path: Path, line: str) -> None:
    path.write_text(f'email = "ada@example.com"\n{line}\n' if "email" not in line else line)
    found, warnings = load_settings(path)
    (warning,) = warnings
    assert line.split(" = ", maxsplit=1)[0] in warning
    assert Settings(email=found.email) == found
    assert ("email" in line) == (found.email is None)


@pytest.mark.parametrize(
    "written", ["6000", "6000.10", "999999999999.99", "0.01", "123456789.123456789"]
)
def test_a_budget_is_exactly_what_is_written(path: Path, written: str) -> None:
    """Money is no float, not even on its way: ``999999999999.99`` is to the cent."""
    path.write_text(f"monthly_budget = {written}")
    assert (Settings(monthly_budget=Decimal(written)), ()) == load_settings(path)


@pytest.mark.parametrize(
    "content",
    [
        b"interval = ",
        b"x = 1e99999999999999999999",
        b"\xff\xfe",
        b"[" * 5000,
        b"# " + b"x" * 2_000_000,
        b"x = " + b"[" * 3000,
    ],
    ids=["cut", "exponent", "bytes", "brackets", "huge", "deep"],
)
def test_a_file_that_is_no_toml_is_one_warning_and_the_defaults(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found, warnings = load_settings(path)
    assert Settings() == found
    assert len(warnings) == 1
    assert "\n" not in warnings[0]


def test_a_folder_in_its_place_is_one_warning(path: Path) -> None:
    path.mkdir()
    assert len(load_settings(path)[1]) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_gives_settings(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    load_settings(path)
