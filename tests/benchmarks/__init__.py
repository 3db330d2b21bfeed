"""Figures, as ratios within one run: ``python -m tests.benchmarks``. Not part of the suite."""
