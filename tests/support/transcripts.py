"""Generated transcripts with every known trap, the truth about them, and trees that grow."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from claude_usage_monitor.sources.claude_code.transcript_files import transcript_roots
from claude_usage_monitor.usage.attribution.messages import Meter, Tokens, Use
from claude_usage_monitor.usage.durations import iso_instant
from tests.support import make_transcripts

if TYPE_CHECKING:
    import random

Sums = dict[str, dict[str, int]]

_KEYS: dict[str, Callable[[Use], str | None]] = {
    "by_project": lambda use: use.project,
    "by_session": lambda use: use.session,
    "by_model": lambda use: use.model,
    "by_kind": lambda use: "subagent" if use.kind else "main",
    "by_agent": lambda use: use.agent if use.kind else None,
    "by_speed": lambda use: "fast" if use.meter == Meter.FAST else "standard",
}


def generate(
    folder: Path, seed: int, megabytes: float = 2, files: int = 40, **more: object
) -> dict[str, Any]:
    """Create a configuration folder with transcripts; return the truth about them."""
    arguments = ["--mb", str(megabytes), "--files", str(files), "--seed", str(seed)]
    for name, value in more.items():
        arguments += [f"--{name}", str(value)]
    truth, content = _generated(tuple(arguments))
    for path, data, modified in content:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        os.utime(folder / path, ns=(modified, modified))
    return dict(json.loads(truth))


@lru_cache(maxsize=8)
def _generated(arguments: tuple[str, ...]) -> tuple[str, list[tuple[Path, bytes, int]]]:
    """Return the truth, and the path, content and time of every file.

    Generating them takes half a second, and many tests use the same ones.
    """
    written = io.StringIO()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tree"
        with (
            mock.patch("sys.argv", ["make", str(folder), *arguments]),
            contextlib.redirect_stdout(written),
            contextlib.suppress(SystemExit),
        ):
            make_transcripts.main()
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        content = [
            (path.relative_to(folder), path.read_bytes(), path.stat().st_mtime_ns) for path in files
        ]
    return written.getvalue() or "{}", content


def roots(folder: Path) -> tuple[Path, ...]:
    """Return the folders with transcripts of a generated configuration folder."""
    return transcript_roots({"HOME": str(folder / "nobody"), "CLAUDE_CONFIG_DIR": str(folder)})


def sums(uses: Iterable[Use]) -> dict[str, Sums]:
    """Return sums as the generator's truth has them."""
    found: dict[str, dict[str, Counter[str]]] = {by: {} for by in ("total", *_KEYS)}
    for use in uses:
        counts = use.tokens._asdict()
        for by, key in (("total", ""), *((by, key(use)) for by, key in _KEYS.items())):
            if key is not None:
                found[by].setdefault(key, Counter()).update(counts)
    return {by: {k: dict(c) for k, c in rows.items()} for by, rows in found.items()}


def truth_sums(truth: dict[str, Any], by: str) -> Sums:
    """Return one table of the truth, with all counts."""
    rows = {"": truth["total"]} if by == "total" else truth[by]
    return {key: {name: row.get(name, 0) for name in Tokens._fields} for key, row in rows.items()}


def by_hour(uses: Iterable[Use], hour: Callable[[int], str]) -> Sums:
    """Return the sums of every UTC hour."""
    found: dict[str, Counter[str]] = {}
    for use in uses:
        found.setdefault(hour(use.at), Counter()).update(use.tokens._asdict())
    return {key: dict(counts) for key, counts in found.items()}


class GrowingTree:
    """A copy of a tree; its files grow by random pieces, cut at any byte."""

    def __init__(self, source: Path, target: Path, rng: random.Random) -> None:
        self._rng = rng
        self._files = {
            path: target / path.relative_to(source)
            for path in sorted(source.rglob("*"))
            if path.is_file()
        }

    def grow(self, *, complete: bool = False) -> None:
        """Append a random piece, or all that is missing, to some or all files."""
        items = list(self._files.items())
        self._rng.shuffle(items)
        for source, target in items:
            if not complete and self._rng.random() < 0.4:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.suffix != ".jsonl":
                shutil.copyfile(source, target)
                continue
            size = source.stat().st_size
            begun = target.stat().st_size if target.exists() else 0
            end = size if complete else self._rng.randint(begun, size)
            with source.open("rb") as original, target.open("ab") as copy:
                original.seek(begun)
                copy.write(original.read(end - begun))
            stamp = source.stat().st_mtime
            os.utime(target, (stamp, stamp + self._rng.random()))


def iso_hour(seconds: int) -> str:
    """Return an instant's UTC hour as the generator writes it."""
    from datetime import UTC, datetime

    return iso_instant(datetime.fromtimestamp(seconds, UTC))[:13]
