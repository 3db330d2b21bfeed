"""An account's frame: title, panels and footer, as much of them as a height allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from claude_usage_monitor.render import captions, frame
from claude_usage_monitor.render.layout import first_low_enough, fitting_text
from claude_usage_monitor.render.limits.lines import MIN_DETAILED_WIDTH, ScreenColumns
from claude_usage_monitor.render.limits.rows import LimitRow, limit_rows, month_row, with_alerts
from claude_usage_monitor.render.panels import (
    AGE_WITHOUT_BORDER,
    BLANK_ROWS,
    BORDER,
    CUTOFFS,
    EDGE_BLANKS,
    FIGURES,
    PANELS,
    limits,
)
from claude_usage_monitor.render.panels.limits import most_urgent, rows_with_parts
from claude_usage_monitor.render.panels.panel import Panel, PanelContext
from claude_usage_monitor.render.panels.throttling import with_target
from claude_usage_monitor.render.theme import FAINT, STRONG, RenderOptions, styled_text
from claude_usage_monitor.usage.status import AccountStatus, with_service_once

HELP = "? help"


@dataclass(eq=False, repr=False)
class AccountFrame:
    """One account's part of the screen.

    ``columns`` are shared by all accounts on the screen. ``several`` is whether there are others,
    ``active`` whether this is the active one of them, ``last`` whether it is the lowest, which
    mentions the help.
    """

    status: AccountStatus
    now: datetime
    width: int
    options: RenderOptions
    rows: tuple[LimitRow, ...]
    columns: ScreenColumns
    several: bool = False
    active: bool = False
    last: bool = True
    _drawn: dict[tuple[object, ...], list[Text]] = field(default_factory=dict, init=False)

    @property
    def stale(self) -> bool:
        """Whether the figures are old."""
        return self.status.stale(self.now)

    @property
    def min_height(self) -> int:
        """A lower bound of the height at every cutoff: no limit is left out."""
        heading = 2 if self.width >= frame.MIN_WIDTH else 1
        return heading + max(1, len(self.rows))

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """The steps at which this frame may shrink.

        Several accounts share a frame before any of them loses figures.
        """
        if self.several and self.width >= frame.MIN_WIDTH:
            return tuple(cutoff for cutoff in CUTOFFS if cutoff < FIGURES)
        return CUTOFFS

    @property
    def grows(self) -> bool:
        """Whether there is a panel that can use spare rows."""
        context = self._context(0, 0)
        return any(panel.grows and self._block(panel, panel.level(0), context) for panel in PANELS)

    def fit(self, height: int | None) -> list[Text]:
        """Draw as much as fits; at least the problem and the most urgent rows."""
        if height is None:
            return self.draw(0)
        cutoff = first_low_enough(self.cutoffs, height, self.height)
        if cutoff is not None:
            return self.draw(cutoff, height - self.height(cutoff))
        count = max(1, height - (1 if self.status.problem else 0))
        return replace(self, rows=most_urgent(self.rows, count)).draw(CUTOFFS[-1])[:height]

    def height(self, cutoff: int) -> int:
        """Return the number of lines at a cutoff."""
        blocks = self._blocks(cutoff)
        lines = sum(map(len, blocks))
        if self._framed(cutoff):
            between = len(blocks) - 1 if cutoff < BLANK_ROWS else 0
            return lines + 2 + between + (2 if cutoff < EDGE_BLANKS else 0)
        return lines + self.several + (cutoff < AGE_WITHOUT_BORDER)

    def draw(self, cutoff: int, spare_rows: int = 0) -> list[Text]:
        """Draw the parts that remain at a cutoff; panels that grow use the spare rows."""
        blocks = self._blocks(cutoff, spare_rows)
        if not self._framed(cutoff):
            return self._without_border(blocks, age=cutoff < AGE_WITHOUT_BORDER)
        body: list[Text] = []
        for block in blocks:
            body += [Text(), *block] if body and cutoff < BLANK_ROWS else block
        if cutoff < EDGE_BLANKS:
            body = [Text(), *body, Text()]
        return frame.add_border(body, self._top(), self._bottom(), self.width, self.options)

    def limits(self, count: int, spare_rows: int) -> list[Text]:
        """Draw the most urgent rows, with more lines of them in the spare rows."""
        rows = most_urgent(self.rows, count)
        context = self._context(CUTOFFS[-1], spare_rows)._replace(rows=rows)
        context = context._replace(framed=self.width >= frame.MIN_WIDTH)
        return context.dimmed_if_stale(rows_with_parts(context, 0))

    def title(self, width: int) -> str:
        """Return the title in ``width`` cells."""
        return captions.title(
            self.status, width, self.options, several=self.several, active=self.active
        )

    def _framed(self, cutoff: int) -> bool:
        return cutoff < BORDER and self.width >= frame.MIN_WIDTH

    def _blocks(self, cutoff: int, spare_rows: int = 0) -> list[list[Text]]:
        """Return the lines of each panel that has any."""
        context, blocks = self._context(cutoff, 0), []
        for panel in PANELS:
            level = panel.level(cutoff)
            block = self._block(panel, level, context)
            if spare_rows and panel.grows:
                grown = self._block(panel, level, context._replace(spare_rows=spare_rows))
                spare_rows -= len(grown) - len(block)
                block = grown
            blocks.append(block)
        return [block for block in blocks if block]

    def _block(self, panel: Panel, level: int, context: PanelContext) -> list[Text]:
        """Draw a panel, once for all cutoffs at which it looks the same."""
        spare_rows = context.spare_rows if panel.grows else 0
        key = (panel.name, level, context.framed, context.blanks, spare_rows)
        if key not in self._drawn:
            block = panel.draw(context, level)
            if context.framed and panel.draw is not limits.draw:
                block = frame.beside_marks(block, self.width)
            self._drawn[key] = block
        return self._drawn[key]

    def _context(self, cutoff: int, spare_rows: int) -> PanelContext:
        framed = self._framed(cutoff)
        return PanelContext(
            self.status,
            self.now,
            self.width - frame.SIDES if framed else self.width,
            self.options,
            self.rows,
            self.columns,
            framed,
            blanks=framed and cutoff < BLANK_ROWS,
            spare_rows=spare_rows,
        )

    def _top(self) -> Text:
        title = self.title(self.width - frame.MARGIN)
        right = (
            captions.subtitle(self.status, self.options)
            if self._detailed
            else self._narrow_subtitle
        )
        return self._dimmed(frame.top_border(title, right, self.width, self.options))

    def _bottom(self) -> Text:
        candidates = captions.freshness(self.status, self.now, self.options)
        text = fitting_text(candidates, self.width - frame.MARGIN) or candidates[-1]
        help_key = ""
        if self.options.live and self._detailed and self.last:
            help_key = " · ".join(filter(None, (self._position, HELP)))
            help_key = self.options.text(help_key)
        return self._dimmed(frame.bottom_border(text, help_key, self.width, self.options))

    @property
    def _detailed(self) -> bool:
        return self.width - frame.SIDES >= MIN_DETAILED_WIDTH

    @property
    def _narrow_subtitle(self) -> str:
        """The position among the accounts, else the word that percentages lack."""
        position = self._position
        free = self.width - frame.MARGIN_OF_TWO - cell_len(self.title(self.width - frame.MARGIN))
        return self.options.text(position) if position and len(position) <= free else self._word

    @property
    def _position(self) -> str:
        """Which of all accounts this is, if it is the only one on the screen."""
        if self.options.position is None or not self.options.live:
            return ""
        number, count = self.options.position
        return f"{number} of {count} · Tab"

    @property
    def _word(self) -> str:
        """The word for the title, if a sign is in its place after every percentage."""
        columns = self.columns.of(framed=True, brief=True)
        said = not columns.tight and any(
            row.utilization is not None and not self.options.sign(row.utilization)
            for row in self.rows
        )
        return "" if said or not self.rows else self.options.word

    def _dimmed(self, line: Text) -> Text:
        if self.stale:
            line.stylize(FAINT)
        return line

    def _without_border(self, blocks: Sequence[list[Text]], *, age: bool) -> list[Text]:
        lines = [line for block in blocks for line in block]
        if self.several:
            lines.insert(0, self._dimmed(styled_text(self.title(self.width), STRONG)))
        if age or self.options.answers:
            lines = lines if age else lines[:-1]
            text = captions.freshness(self.status, self.now, self.options)[-1]
            lines.append(Text(self.options.fit(text, self.width)))
        return lines


def account_frames(
    statuses: Sequence[AccountStatus],
    now: datetime,
    width: int,
    options: RenderOptions,
    *,
    mark_active: bool,
) -> list[AccountFrame]:
    """Return the frames of accounts that share the screen, with common columns."""
    rows = [account_rows(status, now, options) for status in statuses]
    columns = ScreenColumns([row for account in rows for row in account], width, options)
    return [
        AccountFrame(
            status,
            now,
            width,
            options,
            account,
            columns,
            several=len(statuses) > 1,
            active=mark_active and status.account.active and status.account.kind == "code",
            last=number == len(statuses),
        )
        for number, (status, account) in enumerate(
            zip(with_service_once(statuses), rows, strict=True), 1
        )
    ]


def account_rows(
    status: AccountStatus, now: datetime, options: RenderOptions
) -> tuple[LimitRow, ...]:
    """Return an account's limits as rows; for an organization, its month."""
    rows: tuple[LimitRow, ...] = ()
    if status.spend is not None:
        rows = (month_row(status.spend, status.api_time(now), options),)
    elif status.usage is not None:
        rows = limit_rows(status.usage, status.api_time(now), options)
        rows = with_target(rows, status.throttling, now)
    return with_alerts(rows, status.alerts) if status.alerts else rows
