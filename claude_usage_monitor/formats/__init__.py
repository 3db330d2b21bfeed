"""The machine faces: statuses and the time in, text out."""
