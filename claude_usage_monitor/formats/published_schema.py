"""The schema that ``--json-schema`` prints: `json_schema`, with a description of each field.

The descriptions are here because only ``--json-schema`` needs them: ``--json``, ``--format`` and
the status line load `json_schema` at each start.
"""

from __future__ import annotations

import json

from claude_usage_monitor.formats.json_schema import DIGITS, DOCUMENT, Schema
from claude_usage_monitor.light_typing import cast


def _fields(path: str, **descriptions: str) -> dict[str, str]:
    """Return the descriptions of an object's fields by their paths."""
    return {f"{path}{name}": description for name, description in descriptions.items()}


PROBLEM_CODES = (
    "no_credentials", "permission_denied", "credentials_expired", "login_failed", "unauthorized",
    "missing_scope", "forbidden", "secret_store_unavailable", "rate_limited", "unreachable",
    "server_error", "unexpected_response", "unknown_account", "invalid_setting",
    "accounts_unavailable", "error",
)  # fmt: skip
"""The codes of the classes in `errors`. They are no enum: a later version may have new ones."""
_PROBLEM = {
    "code": f"Stable code of what is wrong: {', '.join(PROBLEM_CODES)}; later versions add more.",
    "message": "What happened, in one sentence.",
    "hint": "What to do; empty if there is nothing to do.",
    "retry_at": "When the next request may be sent; null if that is unknown.",
}
_TOKEN_COUNTS = {
    "input_tokens": "Uncached input tokens; null if unknown.",
    "output_tokens": "Output tokens; null if unknown.",
    "cache_read_tokens": "Input tokens read from the cache; null if unknown.",
    "cache_creation_tokens": "Input tokens written to the cache; null if unknown.",
}
_ACCOUNT = "accounts[]."
_WINDOW = f"{_ACCOUNT}windows[]."
_SPEND = f"{_ACCOUNT}spend."
_CLAUDE_CODE = f"{_SPEND}claude_code."
_THROTTLING = f"{_ACCOUNT}throttling."

DESCRIPTIONS: dict[str, str] = {
    **_fields(
        "",
        version="Version of this format; later programs add fields without changing it.",
        generated_at="When the document was written.",
        accounts="The selected accounts; empty if `problem` prevented reading any.",
        service="Status of Anthropic's service; null if unknown, or without `service_status`.",
        problem="Why no account has figures; null if one has.",
    ),
    **_fields("problem.", **_PROBLEM),
    **_fields(
        _ACCOUNT,
        name="Name of the account, as `--account` takes it.",
        kind="`code` is a subscription, `console` an organization.",
        active="Whether this account is shown by default.",
        credential_origin="Where the login or key in use comes from; null without one.",
        profile="The person and the plan; null if unknown.",
        windows="The limits; empty for an organization, and without figures.",
        extra_usage="Paid usage beyond the limits; null if it was not reported.",
        credit_pools="Prepaid credit.",
        saved_resets="Resets that were granted and not yet used; null if unknown or not offered.",
        spend="Spend of the current month; null for a subscription, and without figures.",
        throttling="State of Claude Pace Maker; null without its folder.",
        source="Where the last complete reading came from, such as `api`; null without figures.",
        as_of="When the last complete reading was read; null without figures.",
        age_seconds="Age of the last complete reading in seconds; null without figures.",
        stale="Whether the figures are old: a problem, or older than three intervals.",
        next_read_at="When the figures are read next; null if no read is planned.",
        problem="Why there are no figures, or no newer ones; null if all is well.",
        notice="A remark that is no problem; null if there is none.",
    ),
    **_fields(
        f"{_ACCOUNT}profile.",
        display_name="Name of the person; null if unknown.",
        email="E-mail address; null if unknown.",
        organization="Name of the organization; null if unknown.",
        plan="Label of the plan, such as `Max 5x`; null if unknown.",
        rate_limit_tier="The API's name of the tier of limits; null if unknown.",
    ),
    **_fields(
        _WINDOW,
        key="The API's name of the limit, such as `five_hour` or `seven_day:fable`.",
        label="Name of the limit for people, such as `5-hour`.",
        model="The model that the limit is for; null if it is not for one model.",
        utilization="Used share in percent; null if unknown, as after the reset.",
        severity="`normal` up to 50 %, `elevated` up to 80 %, `high` up to 99 %, `exhausted`; "
        "null without a utilization.",
        binding="Whether this limit will stop you first; true for at most one.",
        state="`idle` has not started, `reset` is past its reset and has no new figure yet.",
        resets_at="When the window resets; null while it has not started.",
        resets_in_seconds="Seconds until the reset, negative once past; null without a reset time.",
        window_seconds="Length of the window in seconds; null if its key names none.",
        elapsed_percent="Share of the window's time that has passed, in percent; null if unknown.",
        pace="Utilization compared with the elapsed time: `on` is within one point; "
        "null if unknown.",
        pace_delta="Utilization minus elapsed percent, in points; null if unknown.",
        full_at="When the window is full at its average rate; null if not before the reset.",
        forecast="Forecast from your past use; null while too little is known.",
        source="Where this figure came from: `api`, `statusline`, `claude-json`, `pace-maker` or "
        "`demo`.",
        as_of="When this figure was read.",
        amounts="Amounts of a limit of money; null for other limits.",
        use="What used this window; null if its transcripts were not read.",
    ),
    **_fields(
        f"{_WINDOW}forecast.",
        run_out_at="When the window is full (median); null if not before the reset.",
        run_out_earliest="Start of the 80 % interval of that time; null if not before the reset.",
        run_out_latest="End of the 80 % interval of that time; null if not before the reset.",
        probability="Probability of running out before the reset, from 0 to 1.",
        expected_at_reset="Expected utilization at the reset in percent; may exceed 100.",
        basis="The method and the amount of history, in words.",
    ),
    **_fields(
        f"{_WINDOW}amounts.",
        used="Used amount in the currency; null if unknown.",
        limit="The limit in the currency; null if unknown.",
        currency="Code of the currency, such as `USD`; null if unknown.",
    ),
    **_fields(
        f"{_WINDOW}use.",
        rows="The projects; their points and `elsewhere` add up to the utilization.",
        elsewhere="Points that no transcript on this computer explains; null if unknown.",
        plus_minus="Error of a row in points.",
        basis="How the points were computed, in words.",
        subagents="Points of subagents, which the rows include.",
        rebuilds="Number of caches that were built again.",
        as_of="When the transcripts were read.",
    ),
    **_fields(
        f"{_WINDOW}use.rows[].",
        project="Path of the project; the last row may be of several, as in `3 more projects`.",
        points="Points of the window's percentage.",
        share="Share of what was used on this computer, in percent.",
    ),
    **_fields(
        f"{_ACCOUNT}extra_usage.",
        enabled="Whether extra usage is on; null if unknown.",
        used="Amount used this month in the currency; null if unknown.",
        limit="Monthly limit in the currency; null if there is none or it is unknown.",
        currency="Code of the currency, such as `USD`; null if unknown.",
        utilization="Used share of the limit in percent; null if unknown.",
        disabled_reason="The API's word for why it is off; null if it gave none.",
    ),
    **_fields(
        f"{_ACCOUNT}credit_pools[].",
        key="The API's name of the credit.",
        label="Name of the credit for people.",
        used="Used amount in the currency; null if unknown.",
        limit="The whole amount in the currency; null if unknown.",
        utilization="Used share in percent; null if unknown.",
        currency="Code of the currency, such as `USD`; null if unknown.",
        expires_at="When unused credit is lost; null if unknown.",
    ),
    **_fields(
        f"{_ACCOUNT}saved_resets.",
        count="Number of resets that are left.",
        use_by="When the first of them expires; null if unknown, or if none is left.",
        clears="The limits that they clear, by the API's names.",
        as_of="When this was read.",
    ),
    **_fields(
        _SPEND,
        currency="Code of the currency of all amounts, such as `USD`; null if unknown.",
        period_start="First day of the month (UTC).",
        period_end="Last day of the month (UTC).",
        month_to_date="Spend since the first day; null if unknown.",
        projected="Expected spend of the whole month; null without a projection.",
        projected_low="Lower end of its 80 % interval; null without a projection.",
        projected_high="Upper end of its 80 % interval; null without a projection.",
        remaining_projected="The part of the projection that is still to come; null without one.",
        rate_per_hour="Average spend of an hour since the month began; null in its first hour, "
        "or if unknown.",
        projection_note="Why there is no projection; null if there is one.",
        budget="`monthly_budget` of config.toml; null if it is not set.",
        budget_reached_on="When the spend reaches the budget; null if not this month.",
        daily="Spend of each day from the first to today.",
        by_workspace="Spend of each workspace; null until its report was read.",
        by_model="Spend of each model and other type of cost; null until its report was read.",
        by_api_key="Tokens of each API key; null until its report was read.",
        claude_code="API-billed usage of Claude Code; null until its report was read.",
    ),
    **_fields(
        f"{_SPEND}daily[].",
        date="The day (UTC).",
        amount="Spend of the day, so far if it is today's; null if unknown.",
    ),
    **_fields(
        f"{_SPEND}by_workspace[].",
        name="Name of the workspace; null if unknown.",
        amount="Its spend this month; null if unknown.",
    ),
    **_fields(
        f"{_SPEND}by_model[].",
        name="Name of the model or type of cost; null if unknown.",
        amount="Its spend this month; null if unknown.",
    ),
    **_fields(
        f"{_SPEND}by_api_key[].",
        name="Name of the API key; null if unknown.",
        **_TOKEN_COUNTS,
    ),
    **_fields(
        _CLAUDE_CODE,
        estimated="Always true: the amounts are estimates.",
        as_of="When the newest day of the report was read.",
        month_to_date="Sum of all known amounts; null while days of the month are missing.",
        projected="Expected amount of the whole month; null without a projection.",
        you="Your own row; null for the reason in `you_unknown_because`.",
        you_unknown_because="`no_email`: your address is unknown; `no_row`: the report has no row "
        "for it; null if `you` is set.",
        by_user="Usage of each user and API key.",
        by_model="Amount of each model; null if unknown.",
        tokens="Tokens of all rows; null if unknown.",
        missing_days="Number of days of the month that were not read yet.",
    ),
    **_fields(
        f"{_CLAUDE_CODE}you.",
        email="Your e-mail address.",
        amount="Your amount this month; null if unknown.",
        projected="Your expected amount of the whole month; null without a projection.",
    ),
    **_fields(
        f"{_CLAUDE_CODE}by_user[].",
        name="Name of the user, else the address, else the name of the key; null if unknown.",
        email="E-mail address; null for an API key.",
        amount="Estimated amount this month; null if unknown.",
        **_TOKEN_COUNTS,
        sessions="Number of sessions; null if unknown.",
        lines_added="Lines of code added; null if unknown.",
        lines_removed="Lines of code removed; null if unknown.",
        commits="Number of commits; null if unknown.",
        pull_requests="Number of pull requests; null if unknown.",
        actor_type="Whether the row is of a person or of an API key.",
    ),
    **_fields(
        f"{_CLAUDE_CODE}by_model[].",
        name="Name of the model; null if unknown.",
        amount="Estimated amount this month; null if unknown.",
    ),
    **_fields(f"{_CLAUDE_CODE}tokens.", **_TOKEN_COUNTS),
    **_fields(
        _THROTTLING,
        enabled="Whether Pace Maker is on; null if unknown.",
        throttling="Whether it delays tool uses now; null without a decision in force.",
        delay_seconds="Delay of its last decision in seconds; null if unknown.",
        decided_at="When it made that decision; null if unknown.",
        window="Key of the window that it paces by; null if there is none.",
        target="How much of that window may be used by now, in percent; null without a window.",
        deviation="Utilization of that window minus the target, in points; null without a window.",
        tempo="Its setting of tempo; null if unknown.",
        tempo_engaged="Whether tempo is active now; null if unknown.",
        mode="`fallback`: it works with its own estimates; null if unknown.",
        limiters="The limits that it paces by.",
        backoff_until="Until when it sends no request; null if it does not wait.",
        blockages="What it stopped in the last hour.",
        windows="The windows in its figures.",
        computed="Names of the fields that are computed here by its rules.",
        gaps="The parts of its files that could not be read, in words.",
        as_of="When it read the figures that it decides by; null if unknown.",
        stale="Whether all of this may be outdated.",
    ),
    **_fields(
        f"{_THROTTLING}limiters.",
        five_hour="Whether it paces by the 5-hour limit; null if unknown.",
        seven_day="Whether it paces by the 7-day limit; null if unknown.",
    ),
    **_fields(
        f"{_THROTTLING}blockages[].",
        category="Pace Maker's name of what it stopped.",
        count="How often in the last hour.",
    ),
    **_fields(
        f"{_THROTTLING}windows[].",
        key="Key of the window, as in the account's `windows`.",
        utilization="Used share in percent; null if unknown or estimated.",
        synthetic="Whether Pace Maker estimates the utilization, without storing it.",
        resets_at="When the window resets; null if unknown.",
        target="How much may be used by now, in percent; null if no reset is ahead.",
        deviation="Utilization minus target, in points; null if either is unknown.",
        stale="Whether Pace Maker ignores the window because its reset is over.",
    ),
    **_fields(f"{_ACCOUNT}problem.", **_PROBLEM),
    **_fields(
        "service.",
        indicator="The status page's word for the whole, such as `none` when all is well.",
        description="The status page's sentence.",
        components="Claude Code and its API.",
        incidents="Unresolved incidents that concern them.",
        as_of="When the status page was read.",
        stale="Whether that is more than 15 minutes ago.",
    ),
    **_fields(
        "service.components[].",
        name="Name of the component.",
        status="The status page's word, such as `operational` or `partial_outage`.",
    ),
    **_fields(
        "service.incidents[].",
        name="Title of the incident.",
        impact="The status page's word, such as `minor`.",
        status="The status page's word, such as `investigating`.",
        started_at="When it began; null if unknown.",
        url="Address of its page; null if unknown.",
    ),
}
"""One sentence for each field, by its path; ``[]`` stands for each item of an array."""


def schema_text() -> str:
    """Return the schema as a JSON document."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "claude-usage-monitor --json",
        "description": "Unknown is null, instants are UTC, percentages are 0-100 and may exceed "
        "100. Fields are added, never changed or removed.",
        **_described(DOCUMENT, ""),
    }
    return json.dumps(schema, indent=2)


def _described(schema: Schema, path: str) -> Schema:
    """Return a schema with the descriptions of its fields; ``path`` is that of the value."""
    described = {key: value for key, value in schema.items() if key != DIGITS}
    if "items" in schema:
        described["items"] = _described(cast("Schema", schema["items"]), f"{path}[]")
    if "properties" in schema:
        prefix = f"{path}." if path else ""
        properties = cast("dict[str, Schema]", schema["properties"])
        described["properties"] = {
            name: {"description": DESCRIPTIONS[prefix + name], **_described(inner, prefix + name)}
            for name, inner in properties.items()
        }
    return described
