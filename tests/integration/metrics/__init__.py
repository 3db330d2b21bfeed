"""Tests with the real Prometheus, node_exporter and VictoriaMetrics, from Debian packages."""
