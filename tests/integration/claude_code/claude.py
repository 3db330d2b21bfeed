"""The real Claude Code in a home of its own, beside our command in the same home."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.integration.claude_code import messages
from tests.support.command import Command, Terminal
from tests.support.token_server import TOKEN, RecordedRequest, TokenServer, email_of, uuid_of

if TYPE_CHECKING:
    from pathlib import Path

TURN_TIMEOUT = 60.0  # seconds; a turn takes one to two
# The usage endpoint's clients, by the start of their User-Agent.
CLAUDE_CODE = "claude-cli/"
OURS = "claude-code/"


class ClaudeCode:
    """Starts Claude Code, and writes the files that answer its first questions.

    Its environment is that of the test, as for our command.
    """

    def __init__(self, program: Path, home: Path, server: TokenServer, command: Command) -> None:
        self.program = program
        self.server = server
        self.messages = messages.Messages()
        self.project = home / "project"
        self.folder = home / ".claude"
        self.config = home / ".claude.json"
        self.credentials = self.folder / ".credentials.json"
        self._command = command
        self.project.mkdir()
        self.folder.mkdir()
        server.any_scopes = True
        server.other_replies |= {
            messages.PATH: self.messages.reply,
            f"{TOKEN}/revoke": self._revoke,
        }

    def log_in(self, account: str = "work", *, expires_in: float | None = None) -> str:
        """Write the files of a login; returns the name of its family at the server."""
        credentials = self.server.issue(account, expires_in=expires_in)
        self.credentials.write_text(json.dumps(credentials))
        self.credentials.chmod(0o600)
        organization = f"{account}'s"
        document = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "oauthAccount": {
                "accountUuid": uuid_of(account),
                "emailAddress": email_of(account),
                "organizationUuid": uuid_of(organization),
                "organizationName": organization,
            },
            "projects": {str(self.project): {"hasTrustDialogAccepted": True}},
        }
        self.config.write_text(json.dumps(document))
        return self.server.family_of(credentials)

    def configure(self, **settings: object) -> None:
        """Write Claude Code's settings."""
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def show_status_line(self, command: str) -> None:
        """Make a shell command the status line."""
        self.configure(statusLine={"type": "command", "command": command})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Claude Code without a terminal, to its end."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TURN_TIMEOUT,
            check=False,
        )

    def prompt(self) -> None:
        """Send one prompt without a terminal."""
        done = self.run("-p", "say hi")
        assert (0, f"{messages.ANSWER}\n") == (done.returncode, done.stdout), done

    def open(self) -> Terminal:
        """Start Claude Code in a terminal, and wait until it takes prompts."""
        start = f'cd "{self.project}" && exec "{self.program}"'
        terminal = self._command.track(Terminal(["/bin/sh", "-c", start], (100, 40), {}))
        terminal.wait_for("❯", TURN_TIMEOUT)
        return terminal

    def _revoke(self, document: dict[str, object]) -> tuple[int, bytes, dict[str, str]]:
        self.server.revoke(self.server.family_of(document["token"]))
        return 200, b"{}", {}

    def usage_requests(self, user_agent: str) -> list[RecordedRequest]:
        """Return the requests for usage of one program."""
        return [
            request
            for request in self.server.requests
            if request.path.endswith("/usage") and request.user_agent.startswith(user_agent)
        ]


def send(terminal: Terminal, line: str) -> None:
    """Type a line into Claude Code. Enter comes later: both at once would be a paste."""
    terminal.type(line)
    terminal.wait_for(line)
    terminal.wait_until_quiet(0.3)
    terminal.type("\r")
