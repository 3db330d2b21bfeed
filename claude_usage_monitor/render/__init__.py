"""The Rich faces: statuses and the time in, lines of text out."""
