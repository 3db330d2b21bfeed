"""The fields of a transcript's lines that are read.

msgspec skips all other fields without creating objects, so that text is never decoded. Claude Code
documents none of this: every field may be missing, and one of an unexpected type costs only itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, TypeVar, get_type_hints

import msgspec

_T = TypeVar("_T")
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]  # a larger number is no count of tokens


class CacheWrites(msgspec.Struct, gc=False):
    """Tokens written to the cache, by its lifetime."""

    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class Searches(msgspec.Struct, gc=False):
    """Requests of the server's tools."""

    web_search_requests: Count | None = None


class Counts(msgspec.Struct, gc=False):
    """The counts of a message, or of an iteration inside it."""

    input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: CacheWrites | None = None
    output_tokens: Count | None = None
    server_tool_use: Searches | None = None


class Iteration(Counts, gc=False):
    """An iteration inside a message."""

    type: str | None = None
    model: str | None = None


class Usage(Counts, gc=False):
    """The usage of a message."""

    speed: str | None = None
    iterations: list[Iteration] | None = None


class ApiMessage(msgspec.Struct, gc=False):
    """A message of the API."""

    model: str | None = None
    id: str | None = None
    usage: Usage | None = None


class ForkedFrom(msgspec.Struct, gc=False):
    """The original of a line that was copied from another session."""


class Line(msgspec.Struct, gc=False):
    """An assistant line. msgspec is faster with fields in the order of the file."""

    isSidechain: bool | None = None
    attributionAgent: str | None = None
    cwd: str | None = None
    sessionId: str | None = None
    message: ApiMessage | None = None
    type: str | None = None
    uuid: str = ""
    timestamp: str = ""
    forkedFrom: ForkedFrom | None = None


class FolderLine(msgspec.Struct, gc=False):
    """A line with a working folder."""

    cwd: str | None = None


class AccountLine(msgspec.Struct, gc=False):
    """A line that names an account."""

    type: str | None = None
    accountUuid: str | None = None
    organizationUuid: str | None = None


class AgentFile(msgspec.Struct, gc=False):
    """The file beside a subagent's transcript."""

    agentType: str | None = None


LINE_DECODER = msgspec.json.Decoder(Line)
FOLDER_DECODER = msgspec.json.Decoder(FolderLine)
ACCOUNT_DECODER = msgspec.json.Decoder(AccountLine)
AGENT_DECODER = msgspec.json.Decoder(AgentFile)


def repaired_line(raw: memoryview) -> Line | None:
    """Return a line with a field of an unexpected type, without that field; ``None`` if broken."""
    try:
        document = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    line = _converted(document, Line)
    message = _converted(_field(document, "message"), ApiMessage)
    usage = _field(_field(document, "message"), "usage")
    if line is None or message is None or not isinstance(usage, dict):
        return None
    message.usage = _converted(usage, Usage)
    if message.usage is not None:
        message.usage.cache_creation = _converted(usage.get("cache_creation"), CacheWrites)
        message.usage.server_tool_use = _converted(usage.get("server_tool_use"), Searches)
        iterations = usage.get("iterations")
        each = iterations if isinstance(iterations, list) else []
        message.usage.iterations = [i for i in (_converted(i, Iteration) for i in each) if i]
    line.message = message
    return line


def _converted(document: object, kind: type[_T]) -> _T | None:
    """Return an object with the fields that have the right type, leaving out nested objects."""
    if not isinstance(document, dict):
        return None
    result = kind()
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        if name in document:
            with suppress(msgspec.ValidationError):
                setattr(result, name, msgspec.convert(document[name], annotation, strict=False))
    return result


def _field(document: object, name: str) -> object:
    return document.get(name) if isinstance(document, dict) else None
