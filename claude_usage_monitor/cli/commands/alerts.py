"""Send alerts about limits, without a dashboard, until Ctrl+C.

The section [alerts] of config.toml says which alerts to send, and how;
docs/alerts.md explains it. Each alert is printed, too, one a line. `--test EVENT`
sends an invented one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import threading
from datetime import datetime, timedelta

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.alerts import channels
from claude_usage_monitor.cli.alerts.alerting import Alerting
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.signals import end_signals
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.alerts import EVENTS, Alert, AlertSettings, Event
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import iso_instant
from claude_usage_monitor.usage.limits.windows import UsageWindow

_WAIT = 1.0  # seconds between checks of the poller
_OFF, _TURN_ON = "Alerts are off.", "Set `enabled = true` in the section [alerts] of config.toml."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``alerts``."""
    parser.add_argument(
        "--test",
        choices=EVENTS,
        metavar="EVENT",
        help=f"send an invented alert: {', '.join(EVENTS)}",
    )
    parser.add_argument(
        "--hide-names", action="store_true", help="show placeholders for the names of accounts"
    )


def run(options: argparse.Namespace) -> int:
    """Send alerts until a signal; return 0 after Ctrl+C."""
    settings = load_settings(config_path(os.environ), output.warning)
    alerts = settings.alerts or AlertSettings()
    if options.test is not None:
        alert = _invented(options.test, utc_now())
        if not alerts.enabled:
            output.note(f"{_OFF} {_TURN_ON}")
        was_sent = channels.send(alert, alerts, os.environ)
        output.json(json.dumps(channels.document(alert), indent=2, ensure_ascii=False))
        channels.wait()
        return ExitCode.OK if was_sent else ExitCode.FAILED
    if not alerts.enabled:
        raise InvalidSetting(_OFF, _TURN_ON)
    if options.hide_names:
        settings = settings._replace(hide_names=True)
    request = DashboardRequest(settings, os.environ, (), all_accounts=True, demo=False)
    gc.enable()  # `cli.command` disabled it
    wake = threading.Event()
    accounts = request.open_accounts(output.note, live=True)
    poller = Poller(accounts, settings.interval, utc_now, wake.set)
    alerting = Alerting(
        alerts, os.environ, clock_style(os.environ, utc_now(), settings), request.shown
    )
    try:
        with end_signals.reaction(wake.set):
            output.note("Watching the limits. Ctrl+C ends it.")
            poller.start()
            while end_signals.exit_code is None and poller.failure is None:
                wake.wait(_WAIT)
                wake.clear()
                now = utc_now()
                for alert in alerting.check(poller.statuses, poller.readers, now):
                    output.data(f"{iso_instant(now)} {alert.account}: {alert.text}\n")
    finally:
        alerting.restore_title()
    if poller.failure is not None:
        raise poller.failure
    interrupted = end_signals.exit_code == ExitCode.INTERRUPTED
    return ExitCode.OK if interrupted else end_signals.exit_code or ExitCode.OK


def _invented(event: Event, now: datetime) -> Alert:
    """Return an alert that shows what one of this event looks like."""
    resets_at = now + timedelta(hours=2, minutes=39)
    utilization = {"exhausted": 100.0, "reset": 0.0}.get(event, 82.0)
    window = UsageWindow("five_hour", "5-hour", utilization, resets_at, "demo", now)
    texts: dict[Event, str] = {
        "threshold": "5-hour at 82 %, resets in 2h 39m",
        "exhausted": "5-hour is used up, resets in 2h 39m",
        "runs_out": "5-hour may run out, resets in 2h 39m",
        "reset": "5-hour has reset",
        "recovered": "5-hour is available again, at 82 %",
        "extra_usage": "Extra usage at 82 %",
        "budget": "82 % of the monthly budget is spent",
        "login": "The login expired.",
        "service": "Incident: elevated errors",
    }
    about = window if event not in ("extra_usage", "budget", "login", "service") else None
    level = 80.0 if event in ("threshold", "extra_usage", "budget") else None
    return Alert(event, "test", "test", "test", f"Test: {texts[event]}", now, about, level)
