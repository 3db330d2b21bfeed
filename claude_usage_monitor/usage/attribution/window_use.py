"""The use of a window or a period, in rows: by project, session, model, agent or time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from math import hypot

from claude_usage_monitor.light_typing import Literal, NamedTuple, get_args
from claude_usage_monitor.usage.attribution.attribution import (
    Sample,
    Split,
    Weighted,
    Window,
    first_minute,
    scatter,
    split,
    split_scoped,
    split_week,
    units_per_point,
)
from claude_usage_monitor.usage.attribution.messages import FileKind, Tokens, Use
from claude_usage_monitor.usage.attribution.weights import (
    Weighting,
    credit_units,
    model_family,
    price_units,
    usd,
)

By = Literal["project", "session", "model", "agent", "hour", "day", "week"]
BY: tuple[By, ...] = get_args(By)
FIVE_HOUR, WEEK = "five_hour", "seven_day"
MAIN_CONVERSATION = "main"  # the name of the agent of everything that no subagent used
UNKNOWN_AGENT = "subagent"
UNKNOWN_PROJECT = "unknown"
_MIN_ERROR = 1.0  # points: percentages are whole numbers


class UseRow(NamedTuple):
    """A row: its points of the window (``None`` for a period), and its share of the weight.

    ``share`` is in percent of what was used here. ``usd`` is the price in the API's list, ``None``
    if a model is not in it.
    """

    name: str
    points: float | None
    share: float
    tokens: Tokens
    usd: float | None


class Attributed(NamedTuple):
    """A window's uses with the points of each, by credits and by list price.

    ``elsewhere`` is ``None`` as long as it is not known. ``samples`` is the number of past windows
    that tell what a point is worth, ``scatter`` how much they differ, as a share of it.
    """

    window: Window
    uses: Sequence[Use]
    points: Sequence[float]
    second: Sequence[float]
    elsewhere: float | None
    samples: int
    scatter: float

    @property
    def basis(self) -> str:
        """How the points were computed, for people."""
        if self.elsewhere is None:
            return "assuming all use was on this machine"
        return f"from {self.samples} past windows" if self.samples else "from its own increases"

    @property
    def subagents(self) -> float:
        """The points that subagents used."""
        pairs = zip(self.uses, self.points, strict=True)
        return sum(points for use, points in pairs if use.kind != FileKind.MAIN)

    @property
    def plus_minus(self) -> float:
        """The error of a row, in points, at least one.

        Two errors are independent: how much the two weightings differ, and how much past windows
        differ in what a point is worth.
        """
        pairs = zip(self.points, self.second, strict=True)
        rows: dict[str, tuple[float, float]] = {}
        for use, (one, other) in zip(self.uses, pairs, strict=True):
            points, difference = rows.get(use.project, (0.0, 0.0))
            rows[use.project] = (points + one, difference + one - other)
        errors = [hypot(difference, self.scatter * points) for points, difference in rows.values()]
        return max([_MIN_ERROR, *errors])


class Samples(NamedTuple):
    """Past 5-hour windows of an account, measured by each weighting."""

    credits: Sequence[Sample] = ()
    list_price: Sequence[Sample] = ()


def attribute(
    window: Window, uses: Iterable[Use], five_hours: Sequence[Window], samples: Samples
) -> Attributed | None:
    """Divide a window among its uses; ``None`` if transcripts do not tell who uses it.

    ``five_hours`` are the 5-hour windows inside a week, none if the account has none.
    """
    family = model_family(window.key)
    if family is None:
        return None
    begin = first_minute(window)
    inside = sorted(
        (use for use in uses if begin <= use.at < window.resets_at and family in use.model),
        key=lambda use: use.at,
    )
    first = _split(window, inside, five_hours, credit_units, samples.credits)
    second = _split(window, inside, five_hours, price_units, samples.list_price)
    learned = (window.key == FIVE_HOUR or bool(five_hours)) and not family
    return Attributed(
        window,
        inside,
        first.points,
        second.points,
        first.elsewhere,
        len(samples.credits) if learned else 0,
        scatter(samples.credits, window.started_at) if learned else 0.0,
    )


def units_in(window: Window, uses: Iterable[Use], weighting: Weighting) -> float:
    """Return the units that were used in a window of all models."""
    begin = first_minute(window)
    return sum(weighting(use) for use in uses if begin <= use.at < window.resets_at)


def rows_by(
    by: By,
    uses: Sequence[Use],
    points: Sequence[float] | None = None,
    zone: tzinfo | None = None,
) -> list[UseRow]:
    """Return the rows, the largest first, those of times in their order.

    ``zone`` is that of hours, days and weeks; ``None`` is the system's.
    """
    name_of = _NAMES.get(by) or _time_namer(by, zone)
    members: dict[str, list[int]] = {}
    for number, use in enumerate(uses):
        members.setdefault(name_of(use), []).append(number)
    credits_used = list(map(credit_units, uses))
    total = sum(credits_used) or 1.0
    rows = []
    for name, numbers in members.items():
        same = [uses[number] for number in numbers]
        prices = [price for use in same if (price := usd(use)) is not None]
        rows.append(
            UseRow(
                name,
                None if points is None else sum(points[number] for number in numbers),
                100 * sum(credits_used[number] for number in numbers) / total,
                total_tokens(same),
                sum(prices) if len(prices) == len(same) else None,
            )
        )
    if by in _NAMES:
        return sorted(rows, key=lambda row: (-(row.points or 0.0), -row.share, row.name))
    return sorted(rows, key=lambda row: row.name)


def total_tokens(uses: Iterable[Use]) -> Tokens:
    """Return the sums of all uses."""
    columns = zip(*(use.tokens for use in uses), strict=True)
    return Tokens(*map(sum, columns))


def _split(
    window: Window,
    uses: Sequence[Use],
    five_hours: Sequence[Window],
    weighting: Weighting,
    samples: Sequence[Sample],
) -> Split:
    used = [Weighted(use.at, weighting(use)) for use in uses]
    per_point = units_per_point(samples, window.started_at)
    if window.key == FIVE_HOUR:
        return split(window, used, per_point)
    if window.key == WEEK and five_hours:
        return split_week(window, used, five_hours, per_point)
    return split_scoped(window, used)


_NAMES: dict[By, Callable[[Use], str]] = {
    "project": lambda use: use.project or UNKNOWN_PROJECT,
    "session": lambda use: use.session,
    "model": lambda use: use.model,
    "agent": lambda use: (
        MAIN_CONVERSATION if use.kind == FileKind.MAIN else use.agent or UNKNOWN_AGENT
    ),
}


def _time_namer(by: By, zone: tzinfo | None) -> Callable[[Use], str]:
    """Return a function that names the hour, day or week of a use, in a way that sorts by time."""
    names: dict[int, str] = {}

    def name(use: Use) -> str:
        if use.at not in names:
            local = datetime.fromtimestamp(use.at, UTC).astimezone(zone)
            if by == "hour":
                names[use.at] = f"{local:%Y-%m-%d %H}:00"
            elif by == "day":
                names[use.at] = f"{local:%Y-%m-%d}"
            else:
                names[use.at] = "{}-W{:02}".format(*local.isocalendar())
        return names[use.at]

    return name
