"""Claude Pace Maker's folder as it creates it: its schema, its settings, and changes to it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

CANARY = "canary-of-a-secret-7d1"

SCHEMA = """
CREATE TABLE usage_snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, five_hour_util REAL NOT NULL,
    five_hour_resets_at TEXT, seven_day_util REAL NOT NULL, seven_day_resets_at TEXT,
    session_id TEXT NOT NULL, created_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE pacing_decisions (
    id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, should_throttle INTEGER NOT NULL,
    delay_seconds INTEGER NOT NULL, session_id TEXT NOT NULL,
    created_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE api_cache (
    id INTEGER PRIMARY KEY CHECK (id = 1), timestamp REAL NOT NULL, five_hour_util REAL NOT NULL,
    five_hour_resets_at TEXT, seven_day_util REAL NOT NULL, seven_day_resets_at TEXT,
    raw_response TEXT);
CREATE TABLE fallback_state_v2 (
    id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL DEFAULT 'normal', baseline_5h REAL,
    baseline_7d REAL, resets_at_5h TEXT, resets_at_7d TEXT, tier TEXT DEFAULT '5x',
    entered_at REAL, rollover_cost_5h REAL, rollover_cost_7d REAL, last_rollover_resets_5h TEXT,
    last_rollover_resets_7d TEXT);
CREATE TABLE accumulated_costs (
    id INTEGER PRIMARY KEY, timestamp REAL NOT NULL, session_id TEXT NOT NULL,
    cost_dollars REAL NOT NULL, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_tokens INTEGER, cache_creation_tokens INTEGER, model_family TEXT);
CREATE TABLE backoff_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), consecutive_429s INTEGER NOT NULL DEFAULT 0,
    backoff_until REAL, last_success_time REAL);
CREATE TABLE profile_cache (
    id INTEGER PRIMARY KEY CHECK (id = 1), timestamp REAL NOT NULL, profile_json TEXT NOT NULL);
CREATE TABLE calibrated_coefficients (
    tier TEXT PRIMARY KEY, coefficient_5h REAL NOT NULL, coefficient_7d REAL NOT NULL,
    sample_count INTEGER NOT NULL, last_calibrated REAL);
CREATE TABLE global_poll_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), last_poll_time REAL NOT NULL DEFAULT 0,
    last_poll_session TEXT);
CREATE TABLE blockage_events (
    id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, category TEXT NOT NULL,
    reason TEXT NOT NULL, hook_type TEXT NOT NULL, session_id TEXT NOT NULL, details TEXT,
    created_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE secrets (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, value TEXT NOT NULL,
    created_at INTEGER NOT NULL DEFAULT 0);
"""

# Writes continuously, like a busy session. Arguments: path, writes a second.
_WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
has_committed = False
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO pacing_decisions (timestamp, should_throttle, delay_seconds,"
                       " session_id) VALUES (?, 1, 35, 's')", (int(time.time()),))
    connection.execute("UPDATE api_cache SET timestamp = ?, five_hour_util = five_hour_util",
                       (time.time(),))
    connection.execute("COMMIT")
    if not has_committed:
        print("has committed", flush=True)
        has_committed = True
    time.sleep(1 / float(sys.argv[2]))
"""


@dataclass(frozen=True)
class PaceMakerFolder:
    """Claude Pace Maker's folder, and what Pace Maker does in it."""

    path: Path

    @property
    def database(self) -> Path:
        """The database."""
        return self.path / "usage.db"

    def install(self, *, journal: str = "WAL", schema: str = SCHEMA) -> PaceMakerFolder:
        """Create the folder as a new installation has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.configure()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(f"PRAGMA journal_mode = {journal}")
            connection.executescript(schema)
            connection.execute("INSERT INTO secrets (type, value) VALUES ('token', ?)", (CANARY,))
            connection.commit()
        return self

    def configure(self, **settings: object) -> None:
        """Write config.json as the plug-in's installer does, with these changes."""
        config = {
            "enabled": True,
            "weekly_limit_enabled": True,
            "five_hour_limit_enabled": True,
            "tempo_mode": "auto",
            "poll_interval": 300,
            "langfuse_secret_key": CANARY,
        }
        (self.path / "config.json").write_text(json.dumps({**config, **settings}))

    def write_state(self, **state: object) -> None:
        """Write state.json."""
        (self.path / "state.json").write_text(json.dumps(state))

    def execute(self, statement: str, *parameters: object) -> None:
        """Write to the database in Pace Maker's way: open, write, close."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(statement, parameters)
            connection.commit()

    def poll(self, at: datetime, body: Mapping[str, object] | None = None) -> None:
        """Store a response of the API, received at that time."""
        found = usage_body(at) if body is None else body
        five, seven = found["five_hour"], found["seven_day"]
        assert isinstance(five, dict)
        assert isinstance(seven, dict)
        self.execute(
            "INSERT OR REPLACE INTO api_cache VALUES (1, ?, ?, ?, ?, ?, ?)",
            at.timestamp(),
            five["utilization"],
            five["resets_at"],
            seven["utilization"],
            seven["resets_at"],
            json.dumps(found),
        )

    def decide(self, at: datetime, delay: int) -> None:
        """Store a decision: a delay in seconds, or 0 for none."""
        self.execute(
            "INSERT INTO pacing_decisions (timestamp, should_throttle, delay_seconds, session_id)"
            " VALUES (?, ?, ?, 's')",
            int(at.timestamp()),
            int(delay > 0),
            delay,
        )

    def block(self, at: datetime, category: str, times: int = 1) -> None:
        """Store that something was stopped."""
        for _ in range(times):
            self.execute(
                "INSERT INTO blockage_events (timestamp, category, reason, hook_type, session_id)"
                " VALUES (?, ?, '', 'pre', 's')",
                int(at.timestamp()),
                category,
            )

    def refuse(self, until: datetime, repeats: int = 1) -> None:
        """Store a back-off after a 429."""
        self.execute(
            "INSERT OR REPLACE INTO backoff_state VALUES (1, ?, ?, NULL)",
            repeats,
            until.timestamp(),
        )

    def fall_back(self, at: datetime, now: datetime) -> None:
        """Store that usage has been estimated since a time, from the figures of the sketches."""
        self.execute(
            "INSERT OR REPLACE INTO fallback_state_v2 (id, state, baseline_5h, baseline_7d,"
            " resets_at_5h, resets_at_7d, entered_at) VALUES (1, 'fallback', 78, 35, ?, ?, ?)",
            (now + timedelta(hours=2, minutes=11)).replace(tzinfo=None).isoformat(),
            (now + timedelta(days=3, hours=2)).replace(tzinfo=None).isoformat(),
            at.timestamp(),
        )

    def contents(self) -> dict[str, tuple[int, str]]:
        """Return each file in the folder with its mtime and a digest of its bytes."""
        return {
            path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(self.path.iterdir())
        }

    @contextmanager
    def being_written(self, per_second: float = 20) -> Iterator[subprocess.Popen[str]]:
        """Let another process write to the database, until the end of the context.

        It has committed once when the context begins.
        """
        argv = [sys.executable, "-c", _WRITER, str(self.database), str(per_second)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            try:
                yield writer
            finally:
                writer.kill()
