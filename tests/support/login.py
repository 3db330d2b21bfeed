"""Claude Code's credentials file, as a test needs it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "sk-ant-oat01-canary-5f2a91"
HOUR = 3600.0


@dataclass(frozen=True)
class Store:
    """A credentials file."""

    path: Path

    def login(self, token: str = TOKEN, *, expires_in: float = HOUR, **more: object) -> None:
        """Store a login; its token expires in so many seconds from now."""
        login = {
            "accessToken": token,
            "refreshToken": "sk-ant-ort01-canary-refresh",
            "expiresAt": int((time.time() + expires_in) * 1000),
            "scopes": ["user:profile", "user:inference"],
            "subscriptionType": "max",
            "rateLimitTier": "default_claude_max_5x",
        }
        self.write(json.dumps({"claudeAiOauth": {**login, **more}}).encode())

    def write(self, content: bytes) -> None:
        """Store exactly these bytes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content)
