"""Makes the report of the command `usage`: a window that runs, one that has ended, or a period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.attribution.use import AccountUse, window_keys
from claude_usage_monitor.monitor.reader import require_window
from claude_usage_monitor.usage.attribution.attribution import Window
from claude_usage_monitor.usage.attribution.report import (
    LastRise,
    ReportedWindow,
    UseReport,
    hidden_names,
)
from claude_usage_monitor.usage.attribution.weights import model_family
from claude_usage_monitor.usage.attribution.window_use import (
    FIVE_HOUR,
    Attributed,
    By,
    rows_by,
    total_tokens,
)
from claude_usage_monitor.usage.limits.windows import Usage, label_for

_WITHOUT_FIGURES = timedelta(hours=5)  # reported while no window is known
_LAG = 60  # seconds; the meter counts a message about this late
_MAX_RISE_SECONDS = 3600  # a rise over a longer time does not show what used the window just now
_NO_END = 1 << 62  # seconds; the API's time may be behind that of the newest message


class ReportRequest(NamedTuple):
    """What to report. ``last`` counts back from the running window; ``since`` asks for a period."""

    by: By = "project"
    window: str | None = None
    last: int = 0
    since: datetime | None = None
    until: datetime | None = None
    zone: tzinfo | None = None
    hide_names: bool = False


def make_report(
    account: str, use: AccountUse, usage: Usage | None, request: ReportRequest, now: datetime
) -> UseReport:
    """Return the report; without figures, that of the last five hours without points.

    Raises InvalidSetting for a window that is not known.
    """
    key = _key(use, usage, request, now)
    if request.since is not None or request.until is not None:
        report = _period(account, use, request)
    else:
        window = _window(use, usage, key, request.last, now)
        attributed = None if window is None else use.attribute(window, now)
        if window is None or attributed is None:
            recently = request._replace(since=now - _WITHOUT_FIGURES)
            report = _period(account, use, recently)
        else:
            report = _of_window(account, use, attributed, request, now)
    files, size, skipped = use.store.totals()
    report = report._replace(files=files, bytes=size, skipped_lines=skipped)
    if request.hide_names:
        report = hidden_names(report, *use.store.numbers())
    return report


def check_window(key: str, known: Sequence[str]) -> None:
    """Raise InvalidSetting unless transcripts can show what used the window."""
    require_window(key, known)
    if model_family(key) is None:
        raise InvalidSetting(
            f"Transcripts do not tell what used `{key}`.",
            "Windows of all models and of single models can be reported.",
        )


def _key(use: AccountUse, usage: Usage | None, request: ReportRequest, now: datetime) -> str:
    """Return the window to report: the one that was named, else the one that binds."""
    if request.window is not None:
        check_window(request.window, window_keys(use.state, use.identity, usage, now))
        return request.window
    windows = usage.at(now).windows if usage else ()
    binding = next((window.key for window in windows if window.binding), None)
    return binding or (windows[0].key if windows else FIVE_HOUR)


def _window(
    use: AccountUse, usage: Usage | None, key: str, last: int, now: datetime
) -> Window | None:
    running = use.running(key, now)
    if last == 0:
        current = usage.at(now).window(key) if usage else None
        if running is None or current is None or current.utilization is None:
            return None
        return running._replace(utilization=current.utilization)
    ended = [window for window in use.windows(now) if window.key == key]
    if running is not None:
        ended = [window for window in ended if window.started_at != running.started_at]
    if not ended:
        raise InvalidSetting(
            f"No past window of `{key}` is known.", "Leave out `--last` for the running one."
        )
    if last > len(ended):
        raise InvalidSetting(
            f"Fewer than {last} past windows of `{key}` are known.",
            f"`--last {len(ended)}` is the oldest one.",
        )
    return ended[-last]


def _of_window(
    account: str, use: AccountUse, attributed: Attributed, request: ReportRequest, now: datetime
) -> UseReport:
    window = attributed.window
    rebuilds, rebuilt = use.rebuilt(attributed)
    is_running = window.resets_at > now.timestamp() and request.last == 0
    return UseReport(
        account,
        request.by,
        ReportedWindow(
            window.key,
            label_for(window.key),
            _instant(window.started_at),
            _instant(window.resets_at),
            window.utilization,
            is_running,
        ),
        rows_by(request.by, attributed.uses, attributed.points, request.zone),
        total_tokens(attributed.uses),
        attributed.elsewhere,
        attributed.plus_minus,
        attributed.basis,
        attributed.subagents,
        rebuilds,
        rebuilt,
        last_rise(attributed) if is_running else None,
    )


def _period(account: str, use: AccountUse, request: ReportRequest) -> UseReport:
    begin = int(request.since.timestamp()) if request.since else 0
    end = int(request.until.timestamp()) if request.until else _NO_END
    family = model_family(request.window) if request.window else ""
    by_time = request.by in ("hour", "day", "week")
    uses = [
        use for use in use.uses(begin, end, 60 if by_time else 0) if (family or "") in use.model
    ]
    rows = rows_by(request.by, uses, None, request.zone)
    return UseReport(account, request.by, None, rows, total_tokens(uses))


def last_rise(attributed: Attributed) -> LastRise | None:
    """Return the last increase, and who used most in it.

    ``None`` if it took more than an hour: then it does not show what used the window just now.
    After a first read, for example, the only known rise of a week is the whole week.
    """
    rises = attributed.window.rises
    if not rises:
        return None
    before = rises[-2] if len(rises) > 1 else None
    began = before.at if before else attributed.window.started_at
    inside = [
        (use, used)
        for use, used in zip(attributed.uses, attributed.points, strict=True)
        if began - _LAG <= use.at < rises[-1].at
    ]
    if inside:
        began = max(began, min(use.at for use, _ in inside))  # before that, nothing was used here
    if rises[-1].at - began > _MAX_RISE_SECONDS:
        return None
    points = rises[-1].utilization - (before.utilization if before else 0.0)
    sums: dict[tuple[str, str], float] = {}
    for use, used in inside:
        key = (use.project, use.session)
        sums[key] = sums.get(key, 0.0) + used
    project, session = max(sums, key=lambda key: sums[key], default=(None, None))
    return LastRise(_instant(began), _instant(rises[-1].at), points, project, session)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
