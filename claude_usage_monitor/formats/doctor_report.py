"""``doctor``'s findings, as lines for a person and as the document for a program."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claude_usage_monitor.usage.findings import Finding

VERSION = 1
_SIGNS = {"ok": "ok  ", "note": "note", "problem": "!!  "}
_NAME_COLUMN = 24
_INDENT = 8


def report(findings: Sequence[Finding], width: int) -> str:
    """Return the findings as text, an area after the other, no line wider than ``width``."""
    lines: list[str] = []
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            lines += [*([""] if lines else []), area]
        name = f"  {_SIGNS[finding.state]}  {finding.name}".ljust(_NAME_COLUMN + _INDENT)
        lines += _wrapped(name + " ", finding.detail, width)
        if finding.hint:
            lines += _wrapped(" " * (_NAME_COLUMN + _INDENT + 1) + "-> ", finding.hint, width)
    return "\n".join(lines) + "\n"


def _wrapped(start: str, words: str, width: int) -> list[str]:
    inner = " " * (_INDENT if width < 2 * _NAME_COLUMN else len(start))
    return textwrap.wrap(start + words, width, subsequent_indent=inner) or [start.rstrip()]


def document(findings: Sequence[Finding], *, ok: bool) -> str:
    """Return the findings as JSON."""
    found = {"version": VERSION, "ok": ok, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(found, indent=2, ensure_ascii=False)
