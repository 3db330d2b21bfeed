from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.sources.anthropic.usage_body import MAX_ROWS, usage_from
from claude_usage_monitor.usage.limits.windows import ExtraUsage
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW, PAYLOADS, as_bytes, payload

if TYPE_CHECKING:
    from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow

RESET = "2026-11-24T14:40:00.254877+00:00"


def read(body: object) -> Usage:
    return usage_from(as_bytes(body), NOW)


def rows(usage: Usage) -> list[tuple[str, float | None, bool]]:
    return [(window.key, window.utilization, window.binding) for window in usage.windows]


def only(usage: Usage) -> UsageWindow:
    assert len(usage.windows) == 1
    return usage.windows[0]


RECORDED: dict[str, list[tuple[str, float | None, bool]]] = {
    "usage_2025-11-13_enterprise_legacy": [("five_hour", 78.0, True)],
    "usage_2025-12-07_legacy_iguana_null": [("five_hour", 3.0, False), ("seven_day", 31.0, True)],
    "usage_2026-05-18_max_extra_usage_on_47.52_of_140": [
        ("five_hour", 11.0, False),
        ("seven_day", 15.0, True),
        ("seven_day_sonnet", 11.0, False),
        ("seven_day_omelette", 0.0, False),
    ],
    "usage_2026-05-19_max_extra_usage_off": [
        ("five_hour", 12.0, False),
        ("seven_day", 33.0, True),
        ("seven_day_sonnet", 26.0, False),
        ("seven_day_omelette", 0.0, False),
    ],
    "usage_2026-07-03_first_limits_array_partial": [
        ("five_hour", 11.0, True),
        ("seven_day", 9.0, False),
        ("seven_day:fable", 5.0, False),
    ],
    "usage_2026-07-26_max_full": [
        ("five_hour", 20.0, False),
        ("seven_day", 30.0, True),
        ("seven_day:fable", 0.0, False),
    ],
    "usage_2026-07_team_week100_credits93_EUR": [
        ("five_hour", 0.0, False),
        ("seven_day", 100.0, True),
        ("seven_day:fable", 3.0, False),
    ],
    "usage_2026-09-04_max5x_full_verbatim": [
        ("five_hour", 16.0, True),
        ("seven_day", 2.0, False),
        ("seven_day:fable", 3.0, False),
    ],
    "usage_2026-09_enterprise_null_windows_seat_pool": [],
    "usage_2026-09_seven_day_breakdown_fragment": [],
    "usage_2026-10_cedar_ember_saved_resets": [],
    "usage_empty_free_or_api_account": [],
    "usage_enterprise_spend_only_EUR": [],
}


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_body_gives_each_window_once(name: str) -> None:
    assert RECORDED[name] == rows(usage_from(payload(name), NOW))


def test_every_recorded_body_is_tested() -> None:
    assert {path.stem for path in PAYLOADS.glob("usage_*.json")} == set(RECORDED)


def test_a_window_has_its_source_its_time_and_its_model() -> None:
    usage = usage_from(payload("usage_2026-09-04_max5x_full_verbatim"), NOW)
    fable = usage.window("seven_day:fable")
    assert fable is not None
    assert (fable.label, fable.model, fable.source, fable.as_of) == ("Fable", "Fable", "api", NOW)
    assert datetime(2026, 9, 6, 21, 59, 59, 764930, tzinfo=UTC) == fable.resets_at


# --- percentages and resets ---------------------------------------------------------------------


@pytest.mark.parametrize("utilization", [1.0, 0.42, 0, 101, 250])
def test_a_percentage_is_never_scaled(utilization: float) -> None:
    """1.0 is one percent, although other sources report fractions."""
    found = read({"five_hour": {"utilization": utilization, "resets_at": RESET}})
    assert utilization == only(found).utilization


@pytest.mark.parametrize(
    "raw",
    ["-1", "NaN", "Infinity", "-Infinity", "1e999", '"8%"', "true", "[]", "{}", "9" * 5000, "null"]
    + ["1738425600"],
)
def test_an_invalid_percentage_is_unknown_and_spoils_no_other(raw: str) -> None:
    body = (
        f'{{"five_hour": {{"utilization": {raw}, "resets_at": "{RESET}"}},'
        f' "seven_day": {{"utilization": 35.0, "resets_at": "{RESET}"}}}}'
    )
    expected = [("five_hour", None, False), ("seven_day", 35.0, True)]
    assert expected == rows(usage_from(body.encode(), NOW))


@pytest.mark.parametrize("raw", [None, "", "soon", [], True, -5, "9999-12-31T00:00:00Z"])
def test_an_invalid_reset_spoils_neither_the_percentage_nor_another_window(raw: object) -> None:
    found = read(
        {
            "five_hour": {"utilization": 12.0, "resets_at": raw},
            "seven_day": {"utilization": 35.0, "resets_at": RESET},
        }
    )
    assert rows(found) == [("five_hour", 12.0, False), ("seven_day", 35.0, True)]
    assert found.windows[0].resets_at is None


@pytest.mark.parametrize("value", [None, True, "x", 7, [], [1]])
def test_only_an_object_is_a_window(value: object) -> None:
    assert rows(read({"five_hour": value, "limits": value})) == []


@pytest.mark.parametrize("odd", ["\u200b{}", "{}\u200b", "{}\0", " {} ", "\x1b{}\ufeff"])
@pytest.mark.parametrize("odd_first", [True, False])
def test_keys_that_differ_in_invisible_characters_are_one_window(odd: str, odd_first: bool) -> None:
    plain = {"five_hour": {"utilization": 7.0, "resets_at": RESET}}
    shadow = {odd.format("five_hour"): {"utilization": 9.0, "resets_at": RESET}}
    found = read(shadow | plain if odd_first else plain | shadow)
    assert [("five_hour", 7.0, True)] == rows(found)
    assert [("five_hour", 9.0, True)] == rows(read(shadow))


@pytest.mark.parametrize("key", ["nimbus_quill\u200b", "\u200bspend", "limits\0"])
def test_an_invisible_character_does_not_make_a_key_a_window(key: str) -> None:
    assert () == read({key: {"utilization": 50.0, "resets_at": RESET}}).windows


def test_a_token_in_any_name_is_removed() -> None:
    secret = "sk-ant-oat01-canary"
    window = {"utilization": 1.0, "resets_at": RESET}
    pool = {"limit_dollars": 5, "label": secret}
    found = read(
        {
            f"seven_day_{secret}": window,
            secret: window,
            f"pool {secret}": pool,
            "limits": [scoped(model=named(secret)), scoped(kind=secret, scope=None)],
            "extra_usage": {"disabled_reason": secret, "currency": secret},
        }
    )
    assert 3 == len(found.windows)
    assert "canary" not in repr(found)


def test_the_last_of_duplicate_keys_counts() -> None:
    body = b'{"five_hour": {"utilization": 1}, "five_hour": {"utilization": 2, "resets_at": null}}'
    assert only(usage_from(body, NOW)).utilization == 2.0


# --- the two shapes -----------------------------------------------------------------------------


def scoped(
    percent: object = 52, *, model: object = None, surface: object = None, **more: object
) -> dict[str, object]:
    scope = {"model": model, "surface": surface}
    row = {"kind": "weekly_scoped", "group": "weekly", "percent": percent, "resets_at": RESET}
    return {**row, "scope": scope, "is_active": False, **more}


def named(name: str) -> dict[str, object]:
    return {"id": None, "display_name": name}


def test_a_window_in_both_shapes_has_the_flat_figure_and_the_flag_of_the_row() -> None:
    found = read(
        {
            "five_hour": {"utilization": 9.0, "resets_at": RESET},
            "limits": [
                {"kind": "session", "percent": 99, "resets_at": None, "is_active": True},
                {"kind": "weekly_all", "percent": 10, "resets_at": RESET},
            ],
        }
    )
    assert rows(found) == [("five_hour", 9.0, True), ("seven_day", 10.0, False)]
    assert found.windows[0].resets_at is not None


def test_a_row_replaces_an_unknown_flat_figure() -> None:
    found = read(
        {
            "five_hour": {"utilization": None, "resets_at": None},
            "seven_day": None,
            "limits": [
                {"kind": "session", "percent": 5, "resets_at": RESET},
                {"kind": "weekly_all", "percent": 9, "resets_at": RESET, "is_active": True},
            ],
        }
    )
    assert rows(found) == [("five_hour", 5.0, False), ("seven_day", 9.0, True)]


@pytest.mark.parametrize(
    ("row", "key", "label", "model"),
    [
        (scoped(model=named("Fable")), "seven_day:fable", "Fable", "Fable"),
        (scoped(model=named("Opus")), "seven_day_opus", "Opus", "Opus"),
        (scoped(model=named("sonnet")), "seven_day_sonnet", "Sonnet", "sonnet"),
        (scoped(model="Fable 5.1"), "seven_day:fable 5.1", "Fable 5.1", "Fable 5.1"),
        (scoped(model={"id": "m-1", "display_name": None}), "seven_day:m-1", "m-1", "m-1"),
        (scoped(surface="Cowork"), "seven_day:cowork", "Cowork", None),
        (scoped(surface=named("Cowork")), "seven_day:cowork", "Cowork", None),
        (scoped(kind="weekly_cowork", scope=None), "weekly_cowork", "Weekly cowork", None),
        (scoped(kind="monthly", scope=None), "monthly", "Monthly", None),
        (scoped(scope=None), "weekly_scoped", "Weekly scoped", None),
        (scoped(scope="odd"), "weekly_scoped", "Weekly scoped", None),
    ],
)
def test_a_row_is_named_after_what_it_limits(
    row: dict[str, object], key: str, label: str, model: str | None
) -> None:
    found = only(read({"limits": [row]}))
    assert (key, label, model, 52.0) == (found.key, found.label, found.model, found.utilization)


def test_a_model_in_both_shapes_is_one_window() -> None:
    found = read(
        {
            "seven_day_opus": {"utilization": 40.0, "resets_at": RESET},
            "limits": [scoped(41, model=named("Opus"), is_active=True)],
        }
    )
    assert rows(found) == [("seven_day_opus", 40.0, True)]
    assert found.windows[0].model == "Opus"


def test_invalid_rows_spoil_no_valid_one() -> None:
    bad: list[object] = [None, 7, [], {}, {"kind": 5}, {"kind": ""}, {"percent": 4}]
    good = scoped(model=named("Fable"))
    assert rows(read({"limits": [*bad, good, *bad]})) == [("seven_day:fable", 52.0, True)]


def test_the_number_of_rows_is_limited() -> None:
    many = [scoped(model=named(f"Model {n}")) for n in range(10_000)]
    assert len(read({"limits": many}).windows) == MAX_ROWS


# --- unknown keys -------------------------------------------------------------------------------


def test_a_window_with_an_unknown_key_is_a_window() -> None:
    found = only(read({"juniper_tide": {"utilization": 45.0, "resets_at": RESET}}))
    assert (found.key, found.label, found.utilization) == ("juniper_tide", "Juniper tide", 45.0)
    assert found.window_seconds is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nimbus_quill", {"utilization": 0.0, "resets_at": None}),
        ("nimbus_quill", {"utilization": 50.0, "resets_at": RESET}),
        ("copper_kite", {"utilization": 0.0, "resets_at": None}),
        ("seven_day_breakdown", {"as_of": RESET, "rows": []}),
        ("seven_day_breakdown", {}),
        ("member_dashboard_available", True),
        ("spend", {"percent": 54, "used": {"amount_minor": 25217}}),
        ("tangelo", None),
    ],
)
def test_these_keys_are_never_windows(key: str, value: object) -> None:
    found = read({key: value})
    assert (found.windows, found.credit_pools) == ((), ())


def test_a_week_that_has_not_started_is_idle() -> None:
    found = only(read({"seven_day_omelette": {"utilization": 0.0, "resets_at": None}}))
    assert (found.state(NOW), found.utilization) == ("idle", 0.0)


# --- money --------------------------------------------------------------------------------------


def test_extra_usage_is_converted_from_minor_units() -> None:
    found = usage_from(payload("usage_2026-05-18_max_extra_usage_on_47.52_of_140"), NOW).extra_usage
    expected = ExtraUsage(
        True,
        47.52,
        140.0,
        "USD",
        33.94285714285714,
        None,
    )
    assert expected == found


@pytest.mark.parametrize(
    ("extra", "used", "limit", "currency", "utilization"),
    [
        ({"used_credits": 27795, "monthly_limit": 30000}, 277.95, 300.0, None, 92.65),
        ({"used_credits": 500, "decimal_places": 0, "currency": "jpy"}, 500.0, None, "JPY", None),
        ({"used_credits": 5, "decimal_places": 99}, 0.05, None, None, None),
        ({"used_credits": -5, "monthly_limit": "x"}, None, None, None, None),
        ({"used_credits": 30004, "monthly_limit": 30000, "utilization": 100}, 300.04, 300.0)
        + (None, 100.0),
        ({"currency": "\x1b[31m"}, None, None, None, None),
        ({"used_credits": 1, "monthly_limit": 0}, 0.01, 0.0, None, None),
    ],
)
def test_missing_fields_of_extra_usage_are_computed_or_unknown(
    extra: object, used: float | None, limit: float | None, currency: str | None, utilization: float
) -> None:
    found = read({"extra_usage": extra}).extra_usage
    assert found is not None
    assert (used, limit) == (found.used, found.limit)
    assert (currency, None) == (found.currency, found.enabled)
    assert found.utilization == (utilization and pytest.approx(utilization))


def test_a_pool_is_in_dollars_and_expires() -> None:
    usage = usage_from(payload("usage_2026-09_enterprise_null_windows_seat_pool"), NOW)
    (pool,) = usage.credit_pools
    assert (
        pool.key,
        pool.label,
        pool.currency,
        pool.utilization,
    ) == ("cinder_cove", "Cinder cove", "USD", 100.0)
    assert (1000.0, 1000.0) == (pool.used, pool.limit)
    assert datetime(2026, 9, 10, 1, 35, 21, 514375, tzinfo=UTC) == pool.expires_at


@pytest.mark.parametrize(
    ("key", "value", "used", "limit", "utilization"),
    [
        ("iguana_necktie", {"limit_dollars": 250, "used_dollars": 12}, 12, 250, 4.8),
        ("amber_ladder", {"limit_dollars": 10, "used_dollars": 12.5}, 12.5, 10, 125.0),
        ("wattle_ember", {"utilization": 33, "limit_dollars": None}, None, None, 33.0),
        ("new_name", {"limit_dollars": 40, "remaining_dollars": 30}, 10, 40, 25.0),
        ("new_name", {"limit_dollars": 0.3, "remaining_dollars": 0.1, "utilization": 66}, 0.2, 0.3)
        + (66.0,),
        ("seven_day", {"utilization": 5, "limit_dollars": 40, "used_dollars": 2}, 2, 40, 5.0),
    ],
)
def test_an_object_with_dollars_is_a_pool(
    key: str, value: object, used: float | None, limit: float | None, utilization: float
) -> None:
    found = read({key: value})
    (pool,) = found.credit_pools
    assert found.windows == ()
    assert (used, limit, utilization) == (pool.used, pool.limit, pool.utilization)


def test_a_pool_may_have_its_own_label() -> None:
    (pool,) = read({"wattle_ember": {"utilization": 1, "label": "Launch\x1b gift"}}).credit_pools
    assert pool.label == "Launch gift"


# --- other bodies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>log in</html>", b"null", b"[]", b"true", b'"x"', b'{"five_hour": {', b"\xff"]
    + [b'{"status": "ok"}', b"[" * 100_000],
    ids=["empty", "html", "null", "list", "true", "string", "cut", "bytes", "other", "deep"],
)
def test_anything_but_a_usage_body_is_an_unexpected_response(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse):
        usage_from(body, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
PERCENT = st.floats(0, 120) | st.floats(-1e-7, 1e-7)  # also so small that a division overflows
WINDOW = st.fixed_dictionaries(
    {"utilization": PERCENT, "resets_at": st.just(RESET)}
) | st.fixed_dictionaries(
    {}, optional={"utilization": JSON, "resets_at": JSON | st.just(RESET), "limit_dollars": JSON}
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "kind": JSON | st.sampled_from(["session", "weekly_all", "weekly_scoped"]),
        "percent": JSON | PERCENT,
        "resets_at": JSON | st.just(RESET),
        "scope": JSON | st.fixed_dictionaries({"model": JSON, "surface": JSON}),
        "is_active": JSON,
    },
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "five_hour": WINDOW | JSON,
        "seven_day": WINDOW | JSON,
        "tangelo": WINDOW | JSON,
        "iguana_necktie": WINDOW | JSON,
        "limits": st.lists(ROW | JSON, max_size=5) | JSON,
        "extra_usage": st.dictionaries(
            st.sampled_from(["used_credits", "monthly_limit", "utilization", "currency"]), JSON
        )
        | JSON,
    },
)


@settings(max_examples=100)
@given(BODY, st.sampled_from([20, 28, 40, 60]))
def test_any_body_becomes_a_frame_or_our_own_error(body: dict[str, object], width: int) -> None:
    """Values of wrong types cause no other exception and no control character on the screen."""
    try:
        usage = usage_from(json.dumps(body).encode(), NOW)
    except UnexpectedResponse:
        return
    assert sum(window.binding for window in usage.windows) <= 1
    status = AccountStatus(Account("claude-code"), usage)
    for line in dashboard((status,), NOW + timedelta(minutes=1), width, None, RenderOptions()):
        assert line.cell_len <= width
        assert line.plain.isprintable()
