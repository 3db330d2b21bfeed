"""Messages of the API as transcripts record them: who sent them, and how many tokens they used."""

from __future__ import annotations

from enum import IntEnum

from claude_usage_monitor.light_typing import NamedTuple, TypeAlias


class FileKind(IntEnum):
    """The kind of transcript that a message stands in; the lowest one owns a copied message."""

    MAIN = 0
    SUBAGENT = 1
    REPLAY = 2
    """A copy of the conversation for an aside or a compaction."""


class Meter(IntEnum):
    """What a message counts toward."""

    LIMITS = 0
    """The subscription's windows."""
    FAST = 1
    """Usage credits: fast mode is not part of the windows."""
    OTHER_PROVIDER = 2
    """Another provider's bill (Vertex, Bedrock)."""


class Owner(NamedTuple):
    """The session, project and agent that a message belongs to.

    ``agent`` is the subagent's type, empty if unknown or for the main conversation. ``forked`` is
    whether the line was copied from another session. ``account`` is the identity that the
    transcript names, ``None`` if it names none.
    """

    session: str
    kind: FileKind
    agent: str = ""
    forked: bool = False
    account: str | None = None


class Tokens(NamedTuple):
    """Sums over messages: their number, their tokens and their web searches."""

    messages: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    searches: int = 0


class Sender(NamedTuple):
    """The owner of messages, their model, and the meter that counts them."""

    owner: Owner
    model: str
    meter: Meter


MessageRow: TypeAlias = tuple[int, ...]
"""What one message used: its id, its time, and its counts in the order of `Tokens`.

The id is a hash of the API's id, the time the second (since the epoch) of its first line. An
advisor's answer inside a message has its own row, with ``messages`` 0. A plain tuple of
integers: a first read makes tens of thousands, which the garbage collector then does not track.
"""


class Use(NamedTuple):
    """What messages of one owner and one model used together, from ``at`` on.

    ``agent`` is empty if unknown or for the main conversation. ``account`` is the identity that the
    transcripts name, ``None`` if they name none; ``root`` is the folder of the transcripts.
    """

    at: int
    session: str
    project: str
    kind: int
    agent: str
    account: str | None
    root: str
    model: str
    meter: int
    tokens: Tokens
