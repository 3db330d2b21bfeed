"""The table of panels: the sections of an account's frame, from top to bottom.

A new panel is one module here with a function ``draw(context, level)``, and one row in the table.
"""

from __future__ import annotations

from claude_usage_monitor.render.panels import account, limits, spend, spend_tables, throttling
from claude_usage_monitor.render.panels.panel import Panel

# If there are too few rows, the lowest priority is dropped first. These are parts of the frame:
BLANK_ROWS = 30
FIGURES = 80  # lower priorities cost no figure
BORDER = 90
AGE_WITHOUT_BORDER = 95

PANELS = (
    Panel("person", account.draw_person, (40,)),
    Panel("limits", limits.draw, (50, 60)),  # run-out lines, then bars
    Panel("spend", spend.draw_totals, (80, 82, 84)),
    Panel("spend chart", spend.draw_chart, (4, 60)),
    Panel("spend tables", spend_tables.draw, (2, 4, 6, 8, 30, 50), grows=True),
    Panel("throttling", throttling.draw, (10, 20)),
    Panel("problem", account.draw_problem, (70, 95)),  # the hint, then the sentence
    Panel("notices", account.draw_notices, (70,)),
)

# The steps at which a frame shrinks: everything with a priority up to the cutoff is dropped.
CUTOFFS = (
    0,
    *sorted({BLANK_ROWS, BORDER, AGE_WITHOUT_BORDER}.union(*(p.priorities for p in PANELS))),
)
