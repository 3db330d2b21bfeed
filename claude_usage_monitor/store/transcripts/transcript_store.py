"""transcripts.db: what the messages in Claude Code's transcripts used, for a year.

It is a file of its own, beside state.db: it grows by megabytes, is written for seconds at a time,
and deleting it whole leaves nothing behind, while state.db must stay quick for status lines. It has
hashes of message ids and paths, counts, times, folders, models and subagents' types; nothing that
a human or a model wrote.

The transcripts of a message may be read in any order and in any slices: every column is merged by a
minimum, a maximum, or the rank of the transcript.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from hashlib import blake2b
from operator import itemgetter

from claude_usage_monitor.files import StrPath, create_private_file
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.database import (
    connect,
    is_corrupt,
    transaction,
)
from claude_usage_monitor.store.transcripts.tables import (
    OWNERS,
    REBUILDS,
    UPSERT,
    USES,
    create_tables,
)
from claude_usage_monitor.usage.attribution.attribution import Rise, Window
from claude_usage_monitor.usage.attribution.messages import (
    MessageRow,
    Owner,
    Sender,
    Tokens,
    Use,
)

RETENTION_SECONDS = 366 * 86_400
_BUSY_TIMEOUT = 10.0  # seconds; another process commits a part of its read every second or so
_CACHE_KILOBYTES = 8_000  # the messages of 2 GB of transcripts; with less, a first read is slower
_FORK_RANK = 1 << 40  # more than a file's time in seconds
_KIND_RANK = 1 << 41
_MIN_REBUILD = 20_000  # tokens: less is written in any turn


class StoredFile(NamedTuple):
    """How far a transcript was read. See `sources.claude_code.transcript_lines.Position`."""

    inode: int
    size: int
    mtime_ns: int
    offset: int
    checksum: int
    account: str | None
    has_folder: bool
    skipped_lines: int = 0


class Part(NamedTuple):
    """What was read from one file, to be stored together with how far it was read."""

    path: str
    root: str
    file: StoredFile
    messages: Mapping[Sender, Sequence[MessageRow]]
    folders: Mapping[str, str]
    main_session: str | None


class EndedWindow(NamedTuple):
    """A window that has ended, and the units that were used in it by each weighting."""

    window: Window
    credits: float
    list_price: float


class ScanTotals(NamedTuple):
    """What was read so far."""

    files: int
    bytes: int
    skipped_lines: int


class TranscriptStore:
    """An open transcripts.db. One thread at a time may use it. Methods raise sqlite3.Error."""

    def __init__(self, path: StrPath) -> None:
        """Open or create the file. Raises OSError, sqlite3.Error, UnusableDatabase.

        A damaged file is deleted: the transcripts of the last 30 days are still there.
        """
        try:
            self._connection = _open(path)
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            delete_transcripts(path)
            self._connection = _open(path)
        self._names: dict[str, int] = {}
        self._owners: dict[Owner, int] = {}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- what was read ----------------------------------------------------------------------------

    def files(self) -> dict[int, StoredFile]:
        """Return how far each transcript was read, by the hash of its path (`path_hash`)."""
        rows = self._connection.execute(
            "SELECT path, inode, size, mtime, offset, checksum, text, has_folder, skipped"
            " FROM file LEFT JOIN name ON name.id = account"
        )
        return {row[0]: StoredFile(*row[1:]) for row in rows}

    def write(self, parts: Iterable[Part]) -> None:
        """Store what was read, all or nothing."""
        with ExitStack() as on_error:
            # Their rows are rolled back.
            on_error.callback(self._names.clear)
            on_error.callback(self._owners.clear)
            with transaction(self._connection):
                rows: list[MessageRow] = []
                for part in parts:
                    self._write_part(part)
                    for sender, messages in part.messages.items():
                        sender_ids = (
                            self._owner_id(sender.owner, part),
                            self._name_id(sender.model),
                            int(sender.meter),
                        )
                        rows += [row + sender_ids for row in messages]
                # In the order of the table, neighbors are on the same page.
                rows.sort(key=itemgetter(0))
                self._connection.executemany(UPSERT, rows)
            on_error.pop_all()

    def _write_part(self, part: Part) -> None:
        """Store a part without its messages."""
        file = part.file
        for session, project in part.folders.items():
            self._write_session(session, project, part)
        self._connection.execute(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                path_hash(part.path),
                *file[:5],
                self._name_id(file.account),
                file.has_folder,
                file.skipped_lines,
            ),
        )

    def _write_session(self, session: str, project: str, part: Part) -> None:
        self._connection.execute(
            "INSERT INTO session (session, project, from_main, account, root)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " project = iif(excluded.from_main > from_main, excluded.project, project),"
            " from_main = max(from_main, excluded.from_main),"
            " account = iif(excluded.account, excluded.account, account)",
            (
                session,
                self._name_id(project),
                session == part.main_session,
                self._name_id(part.file.account),
                self._name_id(part.root),
            ),
        )

    def _owner_id(self, owner: Owner, part: Part) -> int:
        found = self._owners.get(owner)
        if found is not None:
            return found
        if owner.session not in part.folders:
            self._write_session(owner.session, "", part)
        (session,) = self._connection.execute(
            "SELECT id FROM session WHERE session = ?", (owner.session,)
        ).fetchone()
        columns = (
            session,
            owner.kind,
            self._name_id(owner.agent),
            owner.forked,
            self._name_id(owner.account),
        )
        seconds = part.file.mtime_ns // 1_000_000_000
        rank = owner.kind * _KIND_RANK + owner.forked * _FORK_RANK + seconds
        self._connection.execute(
            "INSERT INTO owner (session, kind, agent, forked, account, rank)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*columns, rank),
        )
        (found,) = self._connection.execute(
            "SELECT id FROM owner WHERE session = ? AND kind = ? AND agent = ? AND forked = ?"
            " AND account = ?",
            columns,
        ).fetchone()
        self._owners[owner] = int(found)
        return self._owners[owner]

    def _name_id(self, text: str | None) -> int:
        """Return the id of a name, 0 for none."""
        if not text:
            return 0
        found = self._names.get(text)
        if found is None:
            self._connection.execute("INSERT OR IGNORE INTO name (text) VALUES (?)", (text,))
            (found,) = self._connection.execute(
                "SELECT id FROM name WHERE text = ?", (text,)
            ).fetchone()
            self._names[text] = found
        return int(found)

    def forget_files(self, paths: Iterable[int]) -> None:
        """Delete the rows of transcripts that no longer exist; their messages stay."""
        with transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM file WHERE path = ?", [(path,) for path in paths]
            )

    def delete_before(self, at: int) -> None:
        """Delete messages and windows from before an instant, in seconds since the epoch."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM message WHERE at < ?", (at,))
            self._connection.execute("DELETE FROM ended_window WHERE resets_at < ?", (at,))

    # --- what was used ----------------------------------------------------------------------------

    def uses(self, begin: int, end: int, step: int = 0) -> list[Use]:
        """Return what was used from ``begin`` until before ``end``, in seconds since the epoch.

        Messages of the same owner, model and meter are added up, within every ``step`` seconds if
        that is not 0.
        """
        owners = {row[0]: row[1:] for row in self._connection.execute(OWNERS)}
        models = dict(self._connection.execute("SELECT id, text FROM name").fetchall())
        begun, grouping = (f"at / {step} * {step}", "key, begun") if step else ("at", "key")
        rows = self._connection.execute(USES.format(begun=begun, grouping=grouping), (begin, end))
        return [  # `key` has three columns: see `USES`
            Use(
                at,
                *owners[key >> 32],  # type: ignore[call-arg] # a row has as many columns as the rest
                models.get(key >> 2 & 0x3FFFFFFF, ""),
                key & 3,
                Tokens(*sums),
            )
            for at, key, *sums in rows
        ]

    def totals(self) -> ScanTotals:
        """Return how many transcripts were read, their bytes, and the lines that were skipped."""
        row = self._connection.execute(
            "SELECT count(*), ifnull(sum(offset), 0), ifnull(sum(skipped), 0) FROM file"
        ).fetchone()
        return ScanTotals(*row)

    def rebuilds(self, begin: int, end: int) -> list[Use]:
        """Return the cache writes of main conversations that had lost their cache.

        That is: a large write, and less than half of the previous prompt read.
        """
        owners = {row[0]: row[1:] for row in self._connection.execute(OWNERS)}
        models = dict(self._connection.execute("SELECT id, text FROM name").fetchall())
        rows = self._connection.execute(REBUILDS, (begin, end, _MIN_REBUILD))
        return [
            Use(
                at,
                *owners[owner],  # type: ignore[call-arg] # as above
                models.get(model, ""),
                meter,
                Tokens(1, cache_write_5m=minutes, cache_write_1h=hour),
            )
            for at, owner, model, meter, minutes, hour in rows
        ]

    def numbers(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return a number for each project and for each session, in the order they were found."""
        rows = self._connection.execute(
            "SELECT session, ifnull(text, '') FROM session LEFT JOIN name ON name.id = project"
            " ORDER BY session.id"
        ).fetchall()
        projects = {project: None for _, project in rows}
        return (
            {project: number for number, project in enumerate(projects, 1)},
            {session: number for number, (session, _) in enumerate(rows, 1)},
        )

    # --- windows ----------------------------------------------------------------------------------

    def store_ended(self, account: str, windows: Iterable[EndedWindow]) -> None:
        """Store windows of an account that have ended."""
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO ended_window VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (account, *each.window[:4], each.credits, each.list_price, _rises(each.window))
                    for each in windows
                ],
            )

    def ended(self, account: str) -> list[EndedWindow]:
        """Return the windows of an account that have ended, the oldest first."""
        rows = self._connection.execute(
            "SELECT key, started_at, resets_at, utilization, rises, credits, list_price"
            " FROM ended_window WHERE account = ? ORDER BY started_at",
            (account,),
        )
        return [
            EndedWindow(
                Window(
                    key,
                    started_at,
                    resets_at,
                    utilization,
                    tuple(Rise(*r) for r in json.loads(rises)),
                ),
                credits_used,
                list_price,
            )
            for key, started_at, resets_at, utilization, rises, credits_used, list_price in rows
        ]

    def store_shown(self, account: str, contents: Mapping[str, str]) -> None:
        """Replace what outputs show of an account's running windows, by key."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM shown_use WHERE account = ?", (account,))
            self._connection.executemany(
                "INSERT INTO shown_use VALUES (?, ?, ?)",
                [(account, key, content) for key, content in contents.items()],
            )


def path_hash(path: str) -> int:
    """Return the name of a transcript in the database."""
    digest = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _rises(window: Window) -> str:
    return json.dumps(window.rises, separators=(",", ":"))


def delete_transcripts(path: StrPath) -> bool:
    """Delete transcripts.db and the files beside it; return whether there was one."""
    existed = os.path.exists(path)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{os.fspath(path)}{suffix}")
    return existed


def _open(path: StrPath) -> sqlite3.Connection:
    create_private_file(path)
    connection = connect(path, _BUSY_TIMEOUT)
    with ExitStack() as on_error:
        on_error.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = {-_CACHE_KILOBYTES}")
        with transaction(connection):
            create_tables(connection)
        on_error.pop_all()
    return connection
