from __future__ import annotations

import json

import pytest

from claude_usage_monitor.formats.doctor_report import document, report
from claude_usage_monitor.usage.findings import Finding

FINDINGS = [
    Finding("Logins", "credentials file", "ok", "found; expires in 2h 0m"),
    Finding("Logins", "CLAUDE_CODE_OAUTH_TOKEN", "note", "set"),
    Finding("Network", "proxy", "problem", "a very long sentence " * 8, "Do something about it."),
]


@pytest.mark.parametrize("width", [28, 40, 60, 80, 100])
def test_the_report_fits_its_width_and_loses_nothing(width: int) -> None:
    text = report(FINDINGS, width)
    assert all(len(line) <= width for line in text.splitlines())
    for finding in FINDINGS:
        for words in (finding.area, finding.name, finding.detail, finding.hint):
            assert "".join(words.split()) in "".join(text.split())


def test_the_document_is_the_one_of_the_contract() -> None:
    found = json.loads(document(FINDINGS, ok=False))
    assert (1, False) == (found["version"], found["ok"])
    assert {
        "area": "Network",
        "name": "proxy",
        "state": "problem",
        "detail": FINDINGS[2].detail,
        "hint": "Do something about it.",
    } == found["findings"][2]
