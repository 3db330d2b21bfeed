"""What the numbers mean: names, lengths and order of windows, pace, money. No I/O, no clock."""
