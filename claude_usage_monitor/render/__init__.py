"""Terminal output drawn with Rich: statuses and the time in, lines of text out."""
