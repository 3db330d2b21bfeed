"""Tests with other programs that our users run: Claude Code, Prometheus, VictoriaMetrics."""
