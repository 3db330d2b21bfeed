"""The replies of ``/v1/messages``, with the headers that carry the limits."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATH = "/v1/messages"
ANSWER = "hello from loopback"
INPUT_TOKENS, OUTPUT_TOKENS = 300, 50  # of each reply
_FIVE_HOURS_LEFT = 131 * 60  # seconds, as in the usage of the token server
_WEEK_LEFT = (74 * 60 + 21) * 60  # seconds, as there


@dataclass
class Messages:
    """Replies to every prompt. The utilizations are ratios from 0 to 1, as in the headers."""

    five_hour: float = 0.41
    seven_day: float = 0.2
    limit_reached: bool = False
    _ids: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def reply(self, document: dict[str, object]) -> tuple[int, bytes, Mapping[str, str]]:
        """Return status, body and headers of the reply to a prompt."""
        headers = self._limit_headers()
        if self.limit_reached:
            error = {"type": "rate_limit_error", "message": "This request would exceed the limit."}
            return 429, json.dumps({"type": "error", "error": error}).encode(), headers
        message = {
            "id": f"msg_{next(self._ids)}",
            "type": "message",
            "role": "assistant",
            "model": document["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1},
        }
        text = {"type": "text", "text": ANSWER}
        if not document.get("stream"):
            whole = {**message, "content": [text], "stop_reason": "end_turn"}
            return 200, json.dumps(whole).encode(), headers
        end = {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": OUTPUT_TOKENS}}
        delta = {"type": "text_delta", "text": ANSWER}
        events: list[dict[str, object]] = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {**text, "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", **end},
            {"type": "message_stop"},
        ]
        lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
        return 200, "".join(lines).encode(), {**headers, "Content-Type": "text/event-stream"}

    def _limit_headers(self) -> dict[str, str]:
        now = int(time.time())
        status = "rejected" if self.limit_reached else "allowed"
        limits = {
            "status": status,
            "reset": now + _FIVE_HOURS_LEFT,
            "representative-claim": "five_hour",
            "5h-status": status,
            "5h-utilization": 1 if self.limit_reached else self.five_hour,
            "5h-reset": now + _FIVE_HOURS_LEFT,
            "7d-status": "allowed",
            "7d-utilization": self.seven_day,
            "7d-reset": now + _WEEK_LEFT,
        }
        return {f"anthropic-ratelimit-unified-{name}": str(value) for name, value in limits.items()}
