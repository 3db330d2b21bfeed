"""The table of panels: the sections of an account's frame, from top to bottom.

A new panel is one module here with a function ``draw(context, level)``, and one row in the table.
"""

from __future__ import annotations

from claude_usage_monitor.render.panels import (
    account,
    limits,
    spend,
    spend_tables,
    throttling,
    use,
)
from claude_usage_monitor.render.panels.panel import Panel

# If there are too few rows, the lowest priority is dropped first. These are parts of the frame:
EDGE_BLANKS = 1  # below the title and above the footer
BLANK_ROWS = 2  # between panels and limits
FIGURES = 80  # lower priorities cost no figure
BORDER = 90
AGE_WITHOUT_BORDER = 95

PANELS = (
    Panel("person", account.draw_person, (20,)),
    # Remarks, amounts, pace words, times of resets, bars, and last when a limit runs out.
    Panel("limits", limits.draw, (43, 44, 46, 48, 50, 60), grows=True),
    Panel("plan", account.draw_plan, (18,)),
    Panel("spend", spend.draw_totals, (62, 80, 82, 84)),
    Panel("spend chart", spend.draw_chart, (6, 60)),
    Panel("spend tables", spend_tables.draw, (5, 7, 8, 9, 30, 50), grows=True),
    Panel("use", use.draw, (10, 12)),
    Panel("throttling", throttling.draw, (3, 4), grows=True),
    Panel("problem", account.draw_problem, (70, 95)),  # the hint, then the sentence
    Panel("notices", account.draw_notices, (70, 72)),  # all but the service's trouble, then that
)

# The steps at which a frame shrinks: everything with a priority up to the cutoff is dropped.
CUTOFFS = (
    0,
    *sorted(
        {EDGE_BLANKS, BLANK_ROWS, BORDER, AGE_WITHOUT_BORDER}.union(*(p.priorities for p in PANELS))
    ),
)
