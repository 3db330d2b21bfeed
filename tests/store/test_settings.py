from __future__ import annotations

import json
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.store.config_toml import LISTEN_REQUIREMENT, ServeSettings
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage.alerts import AlertSettings
from claude_usage_monitor.usage.limits.pace import WorkWeek

ROOT = Path(__file__).parents[2]
EVERY_KEY = b"""
interval = 60
api_floor_seconds = 240.5
user_agent = "claude-code/2.1.240"
email = "ada@example.com"
monthly_budget = 100.10
mode = "code"
ascii = true
color = "never"
service_status = true
theme = "colorblind"
plain = true
show = "left"
clock = "12h"
timezone = "Asia/Tokyo"
forecast = false
work_days = ["fri", "mon"]
work_hours = "09:00-18:30"
[serve]
listen = "[::1]:9000"
certfile = "/etc/ssl/metrics.pem"
keyfile = "/etc/ssl/metrics.key"
client_cafile = "/etc/ssl/prometheus.pem"
hosts = ["Metrics.example"]
"""
ALL_SET = Settings(
    interval=timedelta(seconds=60),
    api_floor=timedelta(seconds=240.5),
    user_agent="claude-code/2.1.240",
    email="ada@example.com",
    monthly_budget=Decimal("100.1"),
    mode="code",
    ascii=True,
    color="never",
    service_status=True,
    theme="colorblind",
    plain=True,
    show="left",
    clock="12h",
    timezone="Asia/Tokyo",
    forecast=False,
    work_days=(0, 4),
    work_hours=(540, 1110),
    serve=ServeSettings(
        listen=("::1", 9000),
        certfile="/etc/ssl/metrics.pem",
        keyfile="/etc/ssl/metrics.key",
        client_cafile="/etc/ssl/prometheus.pem",
        hosts=("metrics.example",),
    ),
)


def load(path: Path) -> tuple[Settings, tuple[str, ...]]:
    warnings: list[str] = []
    settings = load_settings(path, warnings.append)
    return settings, tuple(warnings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_a_missing_file_gives_the_defaults(path: Path) -> None:
    assert (Settings(), ()) == load(path)
    path.touch()
    assert (Settings(), ()) == load(path)
    assert (Settings(), ()) == load(path / "below" / "a" / "file")


@pytest.mark.parametrize(
    "text", [EVERY_KEY, b"\xef\xbb\xbf" + EVERY_KEY, EVERY_KEY.replace(b"\n", b"\r\n")]
)
def test_every_key_is_read(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert (ALL_SET, ()) == load(path)


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        *(
            (f"interval = {value}", "a number of seconds from 5 to 604800")
            for value in ("4", "4.999", "0", "-1", "1e99", "604801", "nan", "inf", '"60"', "true")
        ),
        *(
            (f"api_floor_seconds = {value}", "a number of seconds from 60 to 604800")
            for value in ("59", "nan", "1979-05-27")
        ),
        *(
            (
                f"user_agent = {value}",
                "1 to 200 printable ASCII characters, the first one not a space",
            )
            for value in (
                '"two\\r\\nlines"',
                '"ends with a line feed\\n"',
                '"\\u001b[2J"',
                '"\\u007f"',
                '"ä"',
                '" x"',
                '""',
                f'"{"x" * 201}"',
                "7",
            )
        ),
        *((f"email = {value}", "an e-mail address") for value in ("7", '"a@"', f'"{"a" * 255}"')),
        *(
            (f"monthly_budget = {value}", "an amount of at least 0.01")
            for value in ("-1", "0", "1e-400", "nan", "inf", "1000000000001", "true", '"7"')
        ),
        ('mode = "all"', '"auto", "code" or "console"'),
        ("mode = []", '"auto", "code" or "console"'),
        ("ascii = 1", "true or false"),
        ('color = "blue"', '"auto", "always" or "never"'),
        ("work_days = []", 'a list of days such as ["mon", "tue"]'),
        ('work_days = ["monday"]', 'a list of days such as ["mon", "tue"]'),
        ('work_hours = "9-18"', 'a time span such as "09:00-18:00"'),
        ('work_hours = "09:00-25:00"', 'a time span such as "09:00-18:00"'),
        ('work_hours = "09:60-18:00"', 'a time span such as "09:00-18:00"'),
        ('work_hours = "09:00-09:00"', 'a time span such as "09:00-18:00"'),
        ('theme = "blue"', '"auto", "dark", "light", "colorblind" or "high-contrast"'),
        ("plain = 1", "true or false"),
        ('show = "both"', '"used" or "left"'),
        ("clock = 24", '"auto", "12h" or "24h"'),
        *(
            (f"timezone = {value}", '"local" or a name such as "Europe/Berlin"')
            for value in ('"Nowhere/Land"', '"../etc/passwd"', '""', "1", '"JST-9"')
        ),
    ],
)
def test_an_unusable_value_is_a_warning_and_its_default(
    path: Path, line: str, requirement: str
) -> None:
    key = line.split(" = ", maxsplit=1)[0]
    others = [other for other in EVERY_KEY.decode().splitlines() if not other.startswith(key)]
    path.write_text("\n".join([line, *others]))
    setting = {"api_floor_seconds": "api_floor"}.get(key, key)
    expected = ALL_SET._replace(**{setting: getattr(Settings(), setting)})
    loaded, (warning,) = load(path)
    assert expected == loaded
    assert warning.startswith(f"{path}: `{key}` is ")
    assert warning.endswith(f", but must be {requirement}; the default is used")


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("listen = 9464", f"`serve.listen` is 9464, but must be {LISTEN_REQUIREMENT}"),
        ("certfile = false", "`serve.certfile` is false, but must be the path of a file"),
        ("hosts = 'a'", '`serve.hosts` is "a", but must be a list of host names'),
        ("hosts = [1]", "`serve.hosts` is [1], but must be a list of host names"),
        ("port = 9464", "unknown key `serve.port`"),
    ],
)
def test_an_unusable_value_in_a_section_is_a_warning_and_its_default(
    path: Path, line: str, warning: str
) -> None:
    path.write_text(f"[serve]\n{line}")
    loaded, (shown,) = load(path)
    assert Settings(serve=ServeSettings()) == loaded
    assert shown.startswith(f"{path}: {warning}")


@pytest.mark.parametrize("value", ["22:00", "22:00Z-08:00", "22:00-08:00Z", "late-early", 5])
def test_unusable_quiet_hours_are_a_warning_and_none(path: Path, value: object) -> None:
    path.write_text(f"[alerts]\nquiet = {json.dumps(value)}")
    loaded, (shown,) = load(path)
    assert AlertSettings() == loaded.alerts
    assert 'but must be two local times, such as "22:00-08:00"' in shown


@pytest.mark.parametrize(
    "document", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name
)
def test_the_settings_in_the_docs_are_usable(path: Path, document: Path) -> None:
    for block in document.read_text().split("```toml\n")[1:]:
        path.write_text(block.partition("```")[0])
        assert () == load(path)[1]


def test_a_section_must_be_a_table(path: Path) -> None:
    path.write_text("serve = 1")
    warning = f"{path}: `serve` must be a section, [serve]; the default is used"
    assert (Settings(), (warning,)) == load(path)


@pytest.mark.parametrize(
    "line",
    [
        'timezone = "local"',
        "interval = 5",
        "interval = 5.0",
        "interval = 604800",
        "api_floor_seconds = 60",
    ],
)
def test_the_limits_themselves_are_usable(path: Path, line: str) -> None:
    path.write_text(line)
    assert () == load(path)[1]


def test_an_unknown_key_is_a_warning_that_shows_it_harmlessly(path: Path) -> None:
    path.write_text('"unheard\\u001bof" = 1\nascii = true\n[table]\n')
    loaded, warnings = load(path)
    assert Settings(ascii=True) == loaded
    assert (
        f"{path}: unknown key `unheard?of`; it is ignored",
        f"{path}: unknown key `table`; it is ignored",
    ) == warnings


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("intervall = 300", "unknown key `intervall`; did you mean `interval`?"),
        ("monthly_bugdet = 5", "unknown key `monthly_bugdet`; did you mean `monthly_budget`?"),
        ("interval = 3", "`interval` is 3, but must be a number of seconds from 5 to 604800"),
        ('mode = "subscription"', '`mode` is "subscription", but must be "auto", "code" or'),
        ("ascii = 1.50", "`ascii` is 1.50, but must be true or false"),
        ("mode = true", "`mode` is true, but must be"),
        ("email = []", "`email` is [], but must be an e-mail address"),
        ('work_days = ["mon", "Monday"]', '`work_days` is ["mon", "Monday"], but must be'),
        (
            f"work_days = {['monday'] * 20}",
            '`work_days` is ["monday", "monday", "monday", "monday"…, but',
        ),
        ("[email]", "`email` is a table, but must be an e-mail address"),
        ('mode = "\\u001b[31m"', '`mode` is "?[31m", but must be'),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_was_meant(
    path: Path, line: str, words: str
) -> None:
    path.write_text(line)
    (warning,) = load(path)[1]
    assert warning.startswith(f"{path}: {words}")


@pytest.mark.parametrize(
    "written", ["6000", "6000.10", "999999999999.99", "0.01", "123456789.123456789"]
)
def test_a_budget_is_exactly_what_is_written(path: Path, written: str) -> None:
    """It is never a float, which would not hold ``999999999999.99`` to the cent."""
    path.write_text(f"monthly_budget = {written}")
    assert (Settings(monthly_budget=Decimal(written)), ()) == load(path)


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
def test_a_file_that_is_not_toml_is_one_warning_and_the_defaults(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    loaded, (warning,) = load(path)
    assert Settings() == loaded
    assert warning.startswith(f"{path} is not ")
    assert warning.endswith("; using the defaults")
    assert "\n" not in warning


@pytest.mark.parametrize("kind", ["folder", "FIFO"])
def test_anything_but_a_regular_file_is_a_warning(path: Path, kind: str) -> None:
    """A FIFO would make every command wait forever."""
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    expected = f"{path} is not used (not a regular file); using the defaults"
    assert (Settings(), (expected,)) == load(path)


def test_a_file_that_others_can_change_is_not_used(path: Path) -> None:
    path.write_bytes(EVERY_KEY)
    path.chmod(0o602)
    loaded, (warning,) = load(path)
    assert Settings() == loaded
    assert f"other users can write to it: `chmod go-w '{path}'`" in warning


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_content_gives_settings(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.sampled_from([line.split(b" ")[0].decode() for line in EVERY_KEY.split(b"\n") if line]),
    st.integers() | st.floats() | st.booleans() | st.sampled_from(["''", "[]", "{}", "1e-9999"]),
)
def test_any_value_of_any_key_gives_settings(path: Path, key: str, value: object) -> None:
    path.write_text(f"{key} = {str(value).lower()}")
    load(path)


def test_days_or_hours_alone_are_a_work_week() -> None:
    hours = timedelta(hours=1)
    assert Settings().work is None
    assert Settings(work_days=(0, 1)).work == WorkWeek(frozenset({0, 1}), 0 * hours, 24 * hours)
    every_day = frozenset(range(7))
    assert Settings(work_hours=(540, 1080)).work == WorkWeek(every_day, 9 * hours, 18 * hours)
    assert Settings(work_hours=(1320, 360)).work == WorkWeek(every_day, 22 * hours, 6 * hours)
