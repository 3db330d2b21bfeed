"""Bounded reads of regular files, atomic writes, private folders."""
