"""The findings of ``doctor``, as text and as a JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from claude_usage_monitor.formats.text_layout import wrapped
from claude_usage_monitor.usage.findings import Finding

VERSION = 1
_SIGNS = {"ok": "ok  ", "note": "note", "problem": "!!  "}
_NAME_WIDTH = 24
_INDENT = 8


def report(findings: Sequence[Finding], width: int, verdict: str = "") -> str:
    """Return the verdict and the findings as text, by area.

    No line is wider than ``width``, unless it is a text to copy or a word that is wider.
    """
    beside = width >= 2 * (_INDENT + _NAME_WIDTH)  # whether details are beside the names
    lines = [*wrapped(verdict, width), ""] if verdict else []
    area = ""
    for finding in findings:
        if finding.area != area:
            lines += [*([""] if area else []), finding.area]
            area = finding.area
        name = f"  {_SIGNS[finding.state]}  {finding.name}"
        column = _INDENT + _NAME_WIDTH if beside else _INDENT
        if beside and len(name) < column:
            lines += wrapped(finding.detail, width, name.ljust(column))
        else:
            lines += wrapped(name.strip(), width, "  ", _INDENT)
            lines += wrapped(finding.detail, width, " " * column)
        if finding.hint:
            lines += wrapped(finding.hint, width, " " * column + "-> ")
        if finding.paste:
            lines.append(finding.paste)
    return "\n".join(lines) + "\n"


def document(findings: Sequence[Finding], *, ok: bool) -> str:
    """Return the findings as a JSON document."""
    report = {"version": VERSION, "ok": ok, "findings": [_finding(each) for each in findings]}
    return json.dumps(report, indent=2, ensure_ascii=False)


def _finding(finding: Finding) -> dict[str, str]:
    fields = asdict(finding)
    fields["hint"] = f"{finding.hint} {fields.pop('paste')}".strip()
    return fields
