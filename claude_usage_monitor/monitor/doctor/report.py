"""Collects the findings of ``doctor`` from every area, and decides whether figures are available.

A finding contains no part of a token and no e-mail address: people paste reports into issues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from claude_usage_monitor.errors import CredentialError, InvalidSetting, UsageMonitorError
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.doctor import accounts, requests
from claude_usage_monitor.monitor.doctor.credentials import credential_findings, login_works
from claude_usage_monitor.monitor.doctor.files import alert_command_findings, file_findings
from claude_usage_monitor.monitor.doctor.network import network_findings, request_finding
from claude_usage_monitor.monitor.doctor.pace_maker import pace_maker
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.anthropic.api_url import API_URL_VARIABLE
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus


class Diagnosis(NamedTuple):
    """The findings, and the verdict: ``ok`` means that figures are available."""

    findings: tuple[Finding, ...]
    ok: bool
    login_works: bool


def diagnose(
    environ: Mapping[str, str],
    clock: Callable[[], datetime],
    style: ClockStyle,
    *,
    online: bool,
    hide_names: bool = False,
) -> Diagnosis:
    """Check everything that figures depend on.

    ``online`` also sends a request for usage, if the request budget allows it.
    """
    now = clock()
    settings_warnings: list[str] = []
    settings = load_settings(config_path(environ), settings_warnings.append)
    hide_names = hide_names or settings.hide_names
    notices: list[str] = []
    services, is_url_valid = _services(environ, settings, clock, notices.append)
    services.state.try_write()
    reader = claude_code_reader(services)
    status = reader.cached_status(AccountStatus(CLAUDE_CODE, interval=settings.interval))
    account_findings, saved_login_works = _saved_accounts(
        services, now, style, hide_names=hide_names
    )
    request_count = _requests_in_last_hour(services, now)
    works = login_works(services.finder, now)
    findings = [
        *credential_findings(services.finder, environ, now),
        *account_findings,
        *(Finding(accounts.AREA, "list", "note", notice) for notice in notices),
        *requests.stored_figures(status, now),
        requests.request_budget(request_count, status, now, style),
        requests.forecast_intervals(services.state, now),
        requests.status_line(environ),
        requests.claude_json(environ, now),
        *pace_maker(environ, services.state, now, style),
        *file_findings(environ, services.state.notice, services.state.remedy, settings_warnings),
        *alert_command_findings(_alert_command(settings), environ),
        *network_findings(environ),
    ]
    problem = requests.blocking_problem(status, now) if request_count is not None else None
    if online and is_url_valid:
        started = clock()
        status = reader.read(status)
        sent_at = reader.last_request_at()
        was_sent = sent_at is not None and sent_at >= started - timedelta(milliseconds=1)
        findings.append(request_finding(status, was_sent=was_sent, now=clock(), style=style))
        problem = problem or status.problem
    if problem is not None and requests.refuses_login(problem):
        works = False
    can_request = (works or saved_login_works) and problem is None
    ok = is_url_valid and (status.usage is not None or can_request)
    return Diagnosis(tuple(map(_printable, findings)), ok, works)


def _alert_command(settings: Settings) -> tuple[str, ...]:
    """Return the command that alerts run; empty if they run none."""
    alerts = settings.alerts
    if alerts is None or not alerts.enabled or "command" not in alerts.channels:
        return ()
    return alerts.command


def _services(
    environ: Mapping[str, str],
    settings: Settings,
    clock: Callable[[], datetime],
    announce: Callable[[str], None],
) -> tuple[Services, bool]:
    """Return the services, and whether the API's URL is valid; an invalid one is left out."""
    try:
        return Services(environ, settings, clock, announce=announce), True
    except InvalidSetting:  # `network_findings` reports it
        without_url = {name: environ[name] for name in environ if name != API_URL_VARIABLE}
        return Services(without_url, settings, clock, announce=announce), False


def _saved_accounts(
    services: Services, now: datetime, style: ClockStyle, *, hide_names: bool
) -> tuple[list[Finding], bool]:
    """Return the findings about the saved accounts, and whether any of their logins works."""
    try:
        summaries = manage.summaries(AccountRegistry(services), hide_names=hide_names)
        locked_files = services.credentials.locked_files(services.accounts.all())
    except UsageMonitorError as error:
        return [Finding(accounts.AREA, "list", "problem", error.message, error.hint)], False
    saved = [each for each in summaries if each.account.name != CLAUDE_CODE.name]
    damaged = services.accounts.unreadable_count
    findings = list(accounts.account_findings(saved, damaged, now, style))
    findings.extend(accounts.lock_findings(locked_files))
    location = services.secrets.location_for_new_logins()
    findings.append(Finding(accounts.AREA, "new logins", "ok", f"stored in: {location}"))
    return findings, any(each.problem is None for each in saved)


def _requests_in_last_hour(services: Services, now: datetime) -> int | None:
    """Return how many requests were sent for the login's account, or None without a login."""
    try:
        token = services.finder.find(now).token
    except CredentialError:
        return None
    identity = services.state.identity_of(token_fingerprint(token))
    return services.state.requests_in_last_hour(identity, now)


def _printable(finding: Finding) -> Finding:
    """Escape characters that a terminal would interpret, as in the name of a folder."""
    name, detail, hint = map(_escaped, (finding.name, finding.detail, finding.hint))
    return replace(finding, name=name, detail=detail, hint=hint)


def _escaped(text: str) -> str:
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
