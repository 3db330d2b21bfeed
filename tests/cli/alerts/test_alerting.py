from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.alerts.alerting import Alerting
from claude_usage_monitor.usage.alerts import AlertSettings
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.money.spend import Spend
from claude_usage_monitor.usage.privacy import hidden
from claude_usage_monitor.usage.service import Incident, ServiceStatus
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem
from tests.support.payloads import NOW

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def spent(amount: int, at: datetime = NOW) -> AccountStatus:
    """Return the status of an organization with a budget of 100."""
    today = NOW.date()
    spend = Spend(
        at, "api", "USD", today, today, month_to_date=Decimal(amount), budget=Decimal(100)
    )
    return AccountStatus(Account("Secret", "console"), spend=spend)


def test_names_are_hidden_in_alerts_and_the_alert_is_sent_once_all_the_same(home: Path) -> None:
    """A process that hides names and one that shows them know an account by the same name."""
    environ = {"HOME": str(home)}
    settings = AlertSettings(enabled=True, channels=())
    hiding = Alerting(settings, environ, ClockStyle(), hidden)
    showing = Alerting(settings, environ, ClockStyle(), lambda statuses: statuses)
    readers = [cast("Any", object())]
    assert [] == hiding.check([spent(1)], readers, NOW)
    (mark,) = hiding.marked([spent(1)])
    assert frozenset() == mark.alerts
    first = hiding.check([spent(85)], readers, NOW)
    second = showing.check([spent(85)], readers, NOW)
    assert [] == [alert for alert in (*first, *second) if alert.account == "Secret"]
    assert {"budget"} == hiding.marked([spent(85)])[0].alerts
    (sent,) = hiding.check([spent(96)], readers, NOW)
    assert ("account 1", "level 95") == (sent.account, sent.rule)
    assert [] == showing.check([spent(96)], readers, NOW)


def test_an_alert_of_quiet_hours_is_sent_at_their_end_by_the_next_process(home: Path) -> None:
    settings = AlertSettings(enabled=True, channels=(), quiet=(NOW.time(), time(20, 0)))
    processes = [
        Alerting(settings, {"HOME": str(home)}, ClockStyle(UTC), lambda statuses: statuses)
        for _ in range(3)
    ]
    readers = [cast("Any", object())]
    before, morning = NOW - timedelta(hours=1), NOW.replace(hour=20)
    assert [] == processes[0].check([spent(1)], readers, before)
    assert [] == processes[0].check([spent(85)], readers, NOW)
    sent = [processes[number].check([spent(86)], readers, morning) for number in (1, 2)]
    assert [["86 % of the monthly budget is spent"], []] == [
        [alert.text for alert in alerts] for alerts in sent
    ]


def test_an_organization_that_needs_a_login_is_one_alert_for_each_episode(home: Path) -> None:
    settings = AlertSettings(enabled=True, channels=(), events=("login",))
    processes = [
        Alerting(settings, {"HOME": str(home)}, ClockStyle(UTC), lambda statuses: statuses)
        for _ in range(2)
    ]
    readers = [cast("Any", object())]
    refused = Problem("unauthorized", "The key was refused.", "Create another one.")

    def sent(status: AccountStatus) -> list[tuple[str, str]]:
        alerts = [alert for each in processes for alert in each.check([status], readers, NOW)]
        return [(alert.event, alert.text) for alert in alerts]

    well, login = spent(85), ("login", "The key was refused. Create another one.")
    without_figures = well._replace(spend=None, problem=refused)
    assert [] == sent(without_figures), "nothing is known of the account"
    assert [] == sent(well)
    assert [login] == sent(well._replace(problem=refused))
    assert [] == sent(without_figures), "the same episode, after a restart or in another month"
    later = spent(85, NOW + timedelta(hours=1))
    assert [] == sent(later._replace(problem=Problem("server_error", "", "")))
    assert [login] == sent(later._replace(problem=refused))
    other = AlertSettings(enabled=True, channels=(), events=("budget",))
    processes[:] = [Alerting(other, {"HOME": str(home)}, ClockStyle(UTC), lambda each: each)]
    newest = spent(1, NOW + timedelta(hours=2))
    assert [] == sent(newest._replace(problem=refused)), "the user wants other events"


def test_a_login_alert_of_quiet_hours_is_sent_at_their_end_without_figures(home: Path) -> None:
    settings = AlertSettings(enabled=True, channels=(), quiet=(NOW.time(), time(20, 0)))
    alerting = Alerting(settings, {"HOME": str(home)}, ClockStyle(UTC), lambda each: each)
    readers = [cast("Any", object())]
    refused = Problem("unauthorized", "The key was refused.", "")
    assert [] == alerting.check([spent(1)], readers, NOW - timedelta(hours=1))
    without_figures = spent(1)._replace(spend=None, problem=refused)
    assert [] == alerting.check([without_figures], readers, NOW)
    (alert,) = alerting.check([without_figures], readers, NOW.replace(hour=20))
    assert ("login", "The key was refused.") == (alert.event, alert.text)
    assert [] == alerting.check([without_figures], readers, NOW.replace(hour=21))


def test_the_terminal_gets_its_title_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(output, "terminal", written.append)
    settings = AlertSettings(enabled=True, channels=("title",))
    alerting = Alerting(settings, {"HOME": str(home)}, ClockStyle(), lambda statuses: statuses)
    readers = [cast("Any", object())]
    alerting.check([spent(1)], readers, NOW)
    alerting.restore_title()
    assert [] == written, "no alert has changed it"
    for amount in (85, 96):
        alerting.check([spent(amount)], readers, NOW)
    alerting.restore_title()
    save, first, second, restore = written
    assert ("\x1b[22;2t", "\x1b]2;\a\x1b[23;2t") == (save, restore)
    assert all(title.startswith("\x1b]2;Secret: ") for title in (first, second))


def with_incidents(*names: str, at: datetime = NOW) -> AccountStatus:
    """Return the status of an account while the service has these incidents."""
    incidents = tuple(Incident(name, name, "major", "investigating", at, None) for name in names)
    service = ServiceStatus("major", "", (), incidents, at)
    return AccountStatus(Account("Secret", "console"), service=service)


def test_each_incident_is_sent_once_when_it_opens_and_when_it_is_resolved(home: Path) -> None:
    processes = [
        Alerting(
            AlertSettings(enabled=True, channels=()),
            {"HOME": str(home)},
            ClockStyle(UTC),
            lambda statuses: statuses,
        )
        for _ in range(2)
    ]
    readers = [cast("Any", object())]

    def sent(status: AccountStatus, at: datetime = NOW) -> list[tuple[str, str]]:
        alerts = [alert for each in processes for alert in each.check([status], readers, at)]
        return [(alert.event, alert.text) for alert in alerts]

    assert [] == sent(with_incidents("old")), "the first answer of the page is the baseline"
    assert [("service", "Incident: new")] == sent(with_incidents("old", "new"))
    assert [] == sent(with_incidents("old", "new"), NOW + timedelta(minutes=2))
    assert [] == sent(with_incidents(at=NOW - timedelta(hours=1))), "an old answer says nothing"
    assert [("service", "An incident is resolved")] == sent(with_incidents("new"))
    assert [] == sent(with_incidents("new"), NOW + timedelta(minutes=2))


def test_incidents_are_not_sent_if_the_user_wants_other_events(home: Path) -> None:
    settings = AlertSettings(enabled=True, channels=(), events=("budget",))
    alerting = Alerting(settings, {"HOME": str(home)}, ClockStyle(UTC), lambda statuses: statuses)
    readers = [cast("Any", object())]
    for names in ((), ("new",), ()):
        assert [] == alerting.check([with_incidents(*names)], readers, NOW)
