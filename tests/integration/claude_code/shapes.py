"""The shapes of what Claude Code writes and sends: names and types, no texts and no figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

# Recorded from the newest version tried.
RECORDED = Path(__file__).with_name("recorded_shapes.json")
RECORDING_VARIABLE = "CLAUDE_CODE_SHAPES"  # the file to which the test writes what it saw
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def shape_of(value: Any) -> Any:
    """Return a JSON value with the type's name in the place of every text and number."""
    if isinstance(value, dict):
        return {name: shape_of(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return "text" if isinstance(value, str) else "number"


def without_ids(text: str) -> str:
    """Return a path or a User-Agent without ids and versions."""
    return _VERSION.sub("VERSION", _UUID.sub("ID", text))


def differences(recorded: Any, seen: Any, where: str = "") -> list[str]:
    """Return one line for each difference between two shapes."""
    if isinstance(recorded, dict) and isinstance(seen, dict):
        lines = []
        for name in sorted({*recorded, *seen}):
            place = f"{where}.{name}" if where else name
            if name not in seen:
                lines.append(f"gone: {place}")
            elif name not in recorded:
                lines.append(f"new: {place}: {json.dumps(seen[name])}")
            else:
                lines += differences(recorded[name], seen[name], place)
        return lines
    if recorded == seen:
        return []
    return [f"changed: {where}: {json.dumps(recorded)} -> {json.dumps(seen)}"]
