"""Several accounts in a pane with too few rows for a frame each.

They share a frame, each with a heading and its most urgent rows, or have one line each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.render import captions, frame
from claude_usage_monitor.render.account_frame import HELP, AccountFrame
from claude_usage_monitor.render.captions import Note
from claude_usage_monitor.render.frame import Caption
from claude_usage_monitor.render.layout import first_fitting, fitting_text, pad, set_width
from claude_usage_monitor.render.limits.lines import MIN_DETAILED_WIDTH, LimitColumns, tiny
from claude_usage_monitor.render.limits.rows import LimitRow
from claude_usage_monitor.render.panels.account import service_line
from claude_usage_monitor.render.panels.limits import most_urgent
from claude_usage_monitor.render.theme import FAINT, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.status import AccountStatus

ACTIVE = "@"  # before the active account's name, where "active" does not fit

_MIN_MARKED_WIDTH = 24  # cells of a line with a mark
_GAP = 2  # cells between the parts of a line
_MIN_HEADING_NAME = 5  # cells left for a name beside a problem in the heading
_MIN_NOTE = 10  # cells of a problem's text in the narrowest pane
_MAX_LABEL = 6
_COUNTDOWN = 7  # cells for a compact countdown and the blank before it
_MIN_NAMES = (8, 6, 3)  # cells for names beside each form of a window's cell
_SHORT_NAME = 6


def most_urgent_accounts(
    statuses: Sequence[AccountStatus], now: datetime, count: int
) -> tuple[AccountStatus, ...]:
    """Return ``count`` accounts in their order: the active one, then problems, then most used."""

    def rank(at: int) -> tuple[bool, bool, float]:
        status = statuses[at]
        usage = status.at(now).usage
        windows = usage.windows if usage else ()
        fullest = max((window.utilization or 0.0 for window in windows), default=0.0)
        return not status.account.active, status.problem is None, -fullest

    selected = sorted(sorted(range(len(statuses)), key=rank)[:count])
    return tuple(statuses[at] for at in selected)


# --- a shared frame ------------------------------------------------------------------------------


def shared_frame(frames: Sequence[AccountFrame], height: int) -> list[Text] | None:
    """Draw a heading and the most urgent rows of each account; ``None`` if not all fit with one.

    The service's trouble has a line if each account still has a row.
    """
    width, options = frames[0].width, frames[0].options
    framed = width >= frame.MIN_WIDTH
    for service in (_service_line(frames), []):
        available = height - len(frames) - framed - len(service)
        counts = _row_counts([len(f.rows) for f in frames], available)
        if counts is not None:
            break
    else:
        return None
    lines: list[Text] = []
    spare = available - sum(counts)
    for account, count in zip(frames, counts, strict=True):
        lines.append(_heading(account, first=not lines))
        rows = account.limits(count, spare)
        spare -= len(rows) - count
        lines += frame.add_sides(rows, width, options) if framed else rows
    if not framed:
        return lines
    return [*lines, *frame.add_sides(service, width, options), _footer(frames, ages=False)]


def _service_line(frames: Sequence[AccountFrame]) -> list[Text]:
    """Draw the service's trouble, if it has any and a frame surrounds the line."""
    first, width = frames[0], frames[0].width
    if width < frame.MIN_WIDTH:
        return []
    lines = service_line(first.status, first.now, width - frame.SIDES, first.options)
    return frame.beside_marks(lines, width)


def _row_counts(wanted: Sequence[int], height: int) -> list[int] | None:
    """Return the number of rows for each account: equal numbers, then spare rows in order.

    ``None`` if there is less than one row for each.
    """
    for each in range(max(wanted), 0, -1):
        spare = height - sum(min(each, count) for count in wanted)
        if spare >= 0:
            break
    else:
        return [0] * len(wanted) if height >= 0 and not any(wanted) else None
    counts = []
    for count in wanted:
        extra = spare > 0 and count > each
        spare -= extra
        counts.append(min(count, each + extra))
    return counts


def _heading(account: AccountFrame, *, first: bool) -> Text:
    """Draw an account's name and, at the right, its problem or its age."""
    status, width, options = account.status, account.width, account.options
    framed = width >= frame.MIN_WIDTH
    note = captions.note(status, account.now, options, figures=bool(account.rows))
    min_name = min(cell_len(captions.name(status, options)), _MIN_HEADING_NAME)
    available = width - (frame.MARGIN_OF_TWO if framed else _GAP)
    text = fitting_text(note.candidates, min(available - min_name, width // 2))
    text = text or options.fit(note.candidates[-1], available - min_name)
    title = account.title(available - cell_len(text))
    style = f"{STRONG} {FAINT}" if account.stale else STRONG
    if framed:
        left, right = Caption(title, style), Caption(text, note.style)
        return frame.heading(left, right, width, options, first=first)
    return styled_text(pad(title, width - cell_len(text)), style).append(text, style=note.style)


def _footer(frames: Sequence[AccountFrame], *, ages: bool) -> Text:
    width, options = frames[0].width, frames[0].options
    text = fitting_text(_freshness(frames, ages=ages), width - frame.MARGIN)
    detailed = width - frame.SIDES >= MIN_DETAILED_WIDTH
    help_key = HELP if options.live and detailed else ""
    return frame.bottom_border(text, help_key, width, options)


def _freshness(frames: Sequence[AccountFrame], *, ages: bool) -> tuple[str, ...]:
    statuses = [account.status for account in frames]
    return captions.common_freshness(statuses, frames[0].now, frames[0].options, ages=ages)


# --- a line each ---------------------------------------------------------------------------------


def account_lines(frames: Sequence[AccountFrame], height: int, hidden: int = 0) -> list[Text]:
    """Draw a line for each account, in a frame if every line still fits.

    ``hidden`` is the number of accounts that have no line.
    """
    width, options, count = frames[0].width, frames[0].options, len(frames)
    notes = [_note(account) for account in frames]
    if width >= frame.MIN_WIDTH and not hidden and count + 2 <= height:
        body = frame.beside_marks(_lines(frames, notes, width - frame.SIDES), width)
        if count + 2 < height:
            body += _service_line(frames)
        top = frame.top_border(f"{count} accounts", "", width, options)
        return frame.add_border(body, top, _footer(frames, ages=True), width, options)
    if count < height:
        footer = _last_line(frames, hidden, width)
        return [*_lines(frames, notes, width), *([footer] if footer else [])]
    footer = _last_line(frames, hidden, width // 3) if hidden else Text()
    if not footer:
        return _lines(frames, notes, width)
    lines = _lines(frames, notes, width - footer.cell_len - _GAP)
    lines[0].append(" " * _GAP).append_text(footer)
    return lines


def _note(account: AccountFrame) -> Note:
    """Return the note beside an account's figures: none if they are fresh."""
    if account.rows and not account.stale and account.status.problem is None:
        return Note(("",), "")
    figures = bool(account.rows)
    return captions.note(account.status, account.now, account.options, figures=figures)


def _last_line(frames: Sequence[AccountFrame], hidden: int, width: int) -> Text:
    """Return the age of all figures, and how many accounts are hidden."""
    options = frames[0].options
    candidates = _freshness(frames, ages=True)
    if hidden:
        dot = options.text(" · ")
        more = f"+{hidden} more" + (f"{dot}Tab" if options.live else "")
        with_age = (f"{more}{dot}{candidate}" for candidate in candidates if candidate)
        candidates = (*with_age, more, f"+{hidden}")
    return styled_text(fitting_text(candidates, width), "")


def _lines(frames: Sequence[AccountFrame], notes: Sequence[Note], width: int) -> list[Text]:
    columns = _LineColumns.of(frames, notes, width)
    return [columns.line(account, note) for account, note in zip(frames, notes, strict=True)]


class _LineColumns(NamedTuple):
    """The columns of accounts with a line each: a name, cells of one window each, and a note.

    ``cells`` are the candidates for a window: with its countdown, without, its percent alone.
    """

    width: int
    name: int
    cells: tuple[LimitColumns, ...]
    max_cells: int
    marks: bool
    options: RenderOptions

    @classmethod
    def of(cls, frames: Sequence[AccountFrame], notes: Sequence[Note], width: int) -> _LineColumns:
        """Return the columns: as many windows as leave enough cells for the names."""
        options = frames[0].options
        rows = [row for account in frames for row in account.rows]
        columns = LimitColumns.of(rows, 100, options, tiny=True)
        label = min(columns.label, _MAX_LABEL)
        plain = label + columns.percent + 2
        cells = tuple(
            columns._replace(label=label, width=cell_width)
            for cell_width in (plain + _COUNTDOWN, plain, columns.percent)
        )
        marks = width >= _MIN_MARKED_WIDTH and any(account.active for account in frames)
        available = width - _GAP - (2 if marks else 0)
        longest = max(cell_len(captions.name(account.status, options)) for account in frames)
        min_names = [min(longest, min_name) for min_name in _MIN_NAMES]
        first = first_fitting((0, 1), available, lambda at: min_names[at] + cells[at].width)
        first = 2 if first is None else first
        cell = cells[first].width + _GAP
        max_cells = 1
        if first < 2:
            most_rows = max(len(account.rows) for account in frames)
            max_cells = min((available - min_names[first] + _GAP) // cell, most_rows)
        note = max(cell_len(note.candidates[-1]) for note in notes)
        if note:  # beside the narrower cell of an account with a problem
            note += cells[min(first + 1, 2)].width + _GAP
        name = max(
            1,
            min(min_names[first], available - columns.percent),
            min(longest, _SHORT_NAME, available - _MIN_NOTE),
            min(longest, available - max(max_cells * cell - _GAP, note)),
        )
        return cls(width, name, cells[first:], max_cells, marks, options)

    def line(self, account: AccountFrame, note: Note) -> Text:
        """Draw the name, the most urgent windows, and the note."""
        options = self.options
        name = options.fit(captions.name(account.status, options), self.name)
        mark = (f"{ACTIVE} " if account.active else "  ") if self.marks else ""
        line = Text(mark).append(name, style=STRONG if account.active else "")
        line.append(" " * (self.name - cell_len(name) + _GAP))
        cell, count, text = self._parts(note, self.width - line.cell_len, len(account.rows))
        for row in most_urgent(account.rows, count):
            line.append_text(_cell(row, cell)).append(" " * _GAP)
        if account.stale:
            line.stylize(FAINT)
        line.append(text, style=note.style)
        return set_width(line, self.width)

    def _parts(self, note: Note, available: int, rows: int) -> tuple[LimitColumns, int, str]:
        """Return the richest cell that fits, how many of them, and the note beside them."""
        for cell in self.cells if rows else ():
            for text in note.candidates:
                spare = available - cell_len(text) + (0 if text else _GAP)
                count = min(spare // (cell.width + _GAP), self.max_cells, rows)
                if count > 0:
                    return cell, count, text
        return self.cells[0], 0, self.options.fit(note.candidates[-1], available)


def _cell(row: LimitRow, cell: LimitColumns) -> Text:
    if cell.width > cell.percent:
        return tiny(row, cell)
    whole = tiny(row, cell._replace(width=cell.label + cell.percent + 2))
    return whole[-cell.percent :]
