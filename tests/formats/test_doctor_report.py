from __future__ import annotations

import json

import pytest

from claude_usage_monitor.formats.doctor_report import document
from claude_usage_monitor.formats.doctor_report import report as report_text
from claude_usage_monitor.usage.findings import Finding

FINDINGS = [
    Finding("Logins", "credentials file", "ok", "found; expires in 2h 0m"),
    Finding("Logins", "CLAUDE_CODE_OAUTH_TOKEN", "note", "set"),
    Finding("Network", "proxy", "problem", "a very long sentence " * 8, "Do something about it."),
]


@pytest.mark.parametrize("width", [28, 40, 60, 80, 100])
def test_the_report_fits_its_width_and_loses_nothing(width: int) -> None:
    text = report_text(FINDINGS, width)
    assert all(len(line) <= width or " " not in line.strip() for line in text.splitlines())
    for finding in FINDINGS:
        for field in (finding.area, finding.name, finding.detail, finding.hint):
            assert "".join(field.split()) in "".join(text.split())


def test_the_document_has_the_documented_fields() -> None:
    report = json.loads(document(FINDINGS, ok=False))
    assert (1, False) == (report["version"], report["ok"])
    assert {
        "area": "Network",
        "name": "proxy",
        "state": "problem",
        "detail": FINDINGS[2].detail,
        "hint": "Do something about it.",
    } == report["findings"][2]
