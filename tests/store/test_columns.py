from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.store.columns import (
    instant,
    milliseconds,
    optional_instant,
    optional_milliseconds,
)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001 - made aware below
def test_an_instant_is_stored_to_the_millisecond(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert abs(moment.timestamp() * 1000 - milliseconds(moment)) <= 0.51
    assert milliseconds(moment) == milliseconds(instant(milliseconds(moment)))


def test_null_is_no_value() -> None:
    assert optional_milliseconds(None) is None
    assert optional_instant(None) is None
    assert datetime(1970, 1, 1, tzinfo=UTC) == optional_instant(0)
