"""The transcripts of this user: where they are, and the notice before the first one is read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.claude_code.transcript_files import transcript_roots
from claude_usage_monitor.store.database import UnusableDatabase, reason_for
from claude_usage_monitor.store.paths import transcripts_path
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore

_FOLDER_VARIABLE = "CLAUDE_CONFIG_DIR"


class Transcripts:
    """Finds the folders of all accounts, and opens the database.

    Nothing is read before the user has seen `notice`: outputs without a person never begin.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self.path = transcripts_path(services.environ)

    @property
    def was_announced(self) -> bool:
        """Whether the user has seen the notice: the database is created after it."""
        return os.path.exists(self.path)

    def notice(self) -> str:
        """Return what is read and stored, and how to turn it off."""
        return (
            "To show what used your limits, Claude Code's transcripts on this computer are read."
            f" {self.path} stores token counts, times, folders, models and session ids for a year,"
            " and nothing of what you or Claude wrote."
            " Turn it off with `transcripts = false` in config.toml; `claude-usage-monitor usage"
            " --forget` deletes it."
        )

    def roots(self) -> tuple[Path, ...]:
        """Return the folders with transcripts, also those of saved accounts."""
        return transcript_roots(self._services.environ, map(Path, self._other_folders()))

    def root_identities(self) -> dict[str, str]:
        """Return the identity of each folder that belongs to a saved account."""
        own = set(map(str, transcript_roots(self._services.environ)))
        found = {}
        for folder, identity in self._other_folders().items():
            for root in transcript_roots({**self._services.environ, _FOLDER_VARIABLE: folder}):
                if str(root) not in own:
                    found[str(root)] = identity
        return found

    def open(self) -> TranscriptStore:
        """Open the database. Raises UsageMonitorError if it cannot be used."""
        try:
            return TranscriptStore(self.path)
        except (OSError, sqlite3.Error, UnusableDatabase) as error:
            raise UsageMonitorError(
                f"{self.path} cannot be used: {reason_for(error)}.",
                "`claude-usage-monitor doctor` checks the files.",
            ) from error

    def _other_folders(self) -> dict[str, str]:
        """Return the configuration folders of saved accounts, with their identities."""
        try:
            saved = self._services.accounts.all()
        except UsageMonitorError:
            return {}
        return {
            account.claude_code_environ[_FOLDER_VARIABLE]: account.profile.identity
            for account in saved
            if account.claude_code_environ.get(_FOLDER_VARIABLE) and account.profile.identity
        }
