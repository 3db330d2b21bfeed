"""Reads what was appended to the transcripts since the last scan, and stores it.

A scan can end at any byte: every part is stored together with how far its file was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.claude_code.transcript_files import (
    TranscriptFile,
    find_transcripts,
)
from claude_usage_monitor.sources.claude_code.transcript_lines import (
    CHUNK,
    Position,
    read_transcript,
)
from claude_usage_monitor.store.transcripts.transcript_store import (
    Part,
    StoredFile,
    TranscriptStore,
    path_hash,
)

# The limits of a transaction. Each one writes most pages of the table again, so few large ones
# write less than many small ones. At these limits, the messages need about 5 MB of memory.
_MAX_PARTS = 500
_MAX_BYTES = 128 << 20


class Progress(NamedTuple):
    """How much of a scan is done."""

    files: int
    all_files: int
    bytes: int
    all_bytes: int


class ScanResult(NamedTuple):
    """What a scan read. ``complete`` is whether it was not interrupted."""

    files: int
    bytes: int
    messages: int
    unreadable: int
    complete: bool


def scan(
    store: TranscriptStore,
    roots: Iterable[Path],
    report: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ScanResult:
    """Read the new parts of all transcripts, the newest files first.

    ``report`` is called after every part. Raises sqlite3.Error.
    """
    tree = find_transcripts(roots)
    stored = store.files()
    hashes = {path_hash(file.path): file for file in tree.files}
    changed = [
        (file, _continued(stored.get(key), file))
        for key, file in hashes.items()
        if _is_changed(stored.get(key), file)
    ]
    changed.sort(key=lambda item: -item[0].mtime_ns)
    all_bytes = sum(max(0, file.size - begun.offset) for file, begun in changed)
    done_bytes = messages = unreadable = 0
    parts: list[Part] = []
    pending = 0
    buffer = bytearray(CHUNK)
    complete = True
    for number, (file, begun) in enumerate(changed):
        offset, skipped = begun.offset, begun.skipped_lines
        position = Position(offset, begun.checksum, begun.account, begun.has_folder)
        try:
            for piece in read_transcript(file, position, buffer):
                end = piece.position
                skipped = piece.skipped_lines + (skipped if end.offset >= offset else 0)
                row = StoredFile(file.inode, file.size, file.mtime_ns, *end, skipped)
                folders, main = piece.folders, piece.main_session
                parts.append(Part(file.path, file.root, row, piece.messages, folders, main))
                size = max(0, end.offset - offset)
                offset, pending, done_bytes = end.offset, pending + size, done_bytes + size
                messages += sum(map(len, piece.messages.values()))
                if len(parts) >= _MAX_PARTS or pending >= _MAX_BYTES:
                    store.write(parts)
                    parts, pending = [], 0
                report(Progress(number + 1, len(changed), done_bytes, all_bytes))
                if should_stop():
                    complete = False
                    break
        except OSError:  # it was deleted meanwhile, or may not be read
            unreadable += 1
        if not complete:
            break
    if parts:
        store.write(parts)
    vanished = stored.keys() - hashes.keys()
    if vanished and not tree.unreadable:
        store.forget_files(vanished)
    return ScanResult(len(changed), done_bytes, messages, tree.unreadable + unreadable, complete)


def _is_changed(stored: StoredFile | None, file: TranscriptFile) -> bool:
    return stored is None or stored[:3] != file[2:]


def _continued(stored: StoredFile | None, file: TranscriptFile) -> StoredFile:
    """Return how far a file was read; from the beginning if it is new, replaced or truncated."""
    if stored is None or stored.inode != file.inode or file.size < stored.offset:
        return StoredFile(file.inode, 0, 0, 0, 0, None, has_folder=False)
    return stored
