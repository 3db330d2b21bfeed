"""Tests with the real shells."""
