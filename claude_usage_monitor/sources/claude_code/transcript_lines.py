"""Read what a transcript's messages used: ids, counts, times, folders and models, never text.

One message of the API stands on one to nine lines and in one to six files. Of a file's lines about
one message, the one with the most output tokens has its counts; `store.transcripts` merges
the files. Only lines with a marker are decoded, by types that skip everything that a human or a
model wrote. No error quotes a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from io import BufferedReader
from pathlib import Path
from zlib import crc32

import msgspec

from claude_usage_monitor.files import open_regular_file
from claude_usage_monitor.light_typing import NamedTuple, cast
from claude_usage_monitor.sources.claude_code.project_folders import project_of
from claude_usage_monitor.sources.claude_code.transcript_files import TranscriptFile
from claude_usage_monitor.sources.claude_code.transcript_types import (
    ACCOUNT_DECODER,
    AGENT_DECODER,
    FOLDER_DECODER,
    LINE_DECODER,
    ApiMessage,
    Counts,
    Line,
    Usage,
    repaired_line,
)
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.attribution.messages import (
    FileKind,
    MessageRow,
    Meter,
    Owner,
    Sender,
)

CHUNK = 1 << 20  # bytes of one read; smaller reads move partial lines more often
_MAX_AGENT_FILE = 1 << 16  # bytes; a description of one line
_SLICE = 16 << 20  # bytes after which the messages so far are returned, to be stored
_MAX_LINE = 256 << 20  # bytes; a longer line is skipped, because it would fill the memory
_CHECKED = 256  # bytes before the offset that show whether a file was replaced
# Inside a string, a backslash stands before the last quotation mark of each of these.
_USAGE_MARKER = b'"output_tokens":'
_OUTPUT_LENGTH = len(_USAGE_MARKER) + 14  # bytes: the marker, the largest `Count`, a delimiter
_NO_OUTPUT = bytearray(b"-")  # matches at no marker
_FOLDER_MARKER = b'"cwd":'
_ACCOUNT_MARKER = b'"type":"session-owner"'
# Claude Code names the account when a session begins or is resumed: searching only the beginning of
# what was appended saves a sixth of a first read.
_ACCOUNT_SEARCH = 1 << 16
_SYNTHETIC = "<synthetic>"  # the model of a message that Claude Code wrote itself
_OTHER_PROVIDERS = ("msg_vrtx_", "msg_bdrk_")
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


class Position(NamedTuple):
    """How far a transcript was read: to the end of a complete line, never into a partial one.

    ``checksum`` is that of the bytes before ``offset``. ``account`` is the identity that the file
    named last; ``has_folder`` is whether the session's first folder was found.
    """

    offset: int = 0
    checksum: int = 0
    account: str | None = None
    has_folder: bool = False


class Slice(NamedTuple):
    """A part of a transcript: its messages, and the position after it.

    ``folders`` has the project of each session. The one of ``main_session``, if there is one, is
    the first folder in that session's main file, which decides. ``skipped_lines`` are lines with
    usage that could not be read.
    """

    messages: dict[Sender, list[MessageRow]]
    folders: dict[str, str]
    main_session: str | None
    skipped_lines: int
    position: Position


def read_transcript(file: TranscriptFile, position: Position, buffer: bytearray) -> Iterator[Slice]:
    """Yield what was appended since a position; everything if the file was replaced.

    All reads of a scan share the ``buffer``, which grows to the longest line. Raises OSError.
    """
    with open_regular_file(file.path) as opened:
        stream = cast("BufferedReader", opened)
        if position.offset and _checksum(stream, position.offset) != position.checksum:
            position = Position()
        stream.seek(position.offset)
        reader = _Reader(file, position)
        filled, begun = 0, position.offset
        while True:
            with memoryview(buffer) as view:
                count = stream.readinto(view[filled : filled + CHUNK])
                filled += count
                used = buffer.rfind(b"\n", filled - count, filled) + 1
                reader.read(buffer, view, used)
                if used:
                    filled -= used
                    view[:filled] = view[used : used + filled]
            if filled == len(buffer):
                if filled < _MAX_LINE:
                    buffer.extend(bytes(max(CHUNK, len(buffer))))
                else:
                    reader.skip(filled)
                    filled = 0
            if count == 0 or reader.offset - begun >= _SLICE:
                yield reader.result(_checksum(stream, reader.offset))
                if count == 0:
                    return
                stream.seek(reader.offset + filled)
                begun = reader.offset


class _Reader:
    """Collects the messages of one file."""

    def __init__(self, file: TranscriptFile, position: Position) -> None:
        self._path = file.path
        inside = file.path[len(file.root) :].replace("\\", "/").split("/")[1:]
        self._kind = _kind_of(inside)
        self._session = inside[-1].removesuffix(".jsonl")
        if "subagents" in inside[2:]:
            self._session = inside[1]  # the folder has the name of the parent's session
        self._agent: str | None = None  # the agent's type in the file beside this one
        self._account = position.account
        self._has_folder = position.has_folder
        self.offset = position.offset
        self._begin()

    def _begin(self) -> None:
        self._found: dict[str, Line] = {}  # the best line of each message, by the message's id
        self._messages: dict[Sender, list[MessageRow]] = {}
        self._folders: dict[str, str] = {}
        self._first_folder: str | None = None
        self._skipped = 0
        self._begun = self.offset

    def result(self, checksum: int) -> Slice:
        """Return the messages since the last result."""
        self._finish_messages()
        main_session = None
        if self._first_folder is not None:
            self._folders[self._session] = self._first_folder
            main_session = self._session
        position = Position(self.offset, checksum, self._account, self._has_folder)
        found = Slice(self._messages, self._folders, main_session, self._skipped, position)
        self._begin()
        return found

    def skip(self, size: int) -> None:
        """Skip a part of a line that is too long."""
        self.offset += size
        self._skipped += 1

    def read(self, buffer: bytearray, view: memoryview, end: int) -> None:  # noqa: C901 - calls cost time
        """Read the complete lines at the beginning of a buffer."""
        if self._kind is FileKind.MAIN and not self._has_folder:
            self._find_folder(buffer, view, end)
        accounts = []
        if self.offset == self._begun:
            accounts = _accounts(buffer, view, min(end, _ACCOUNT_SEARCH))
        found, decode = self._found, LINE_DECODER.decode
        last_id, last_id_at, last_output = b"", 0, _NO_OUTPUT
        at = 0
        while (hit := buffer.find(_USAGE_MARKER, at, end)) >= 0:
            start = buffer.rfind(b"\n", at, hit) + 1 or at
            at = buffer.find(b"\n", hit, end) + 1
            # At least a third of the lines repeat the message of the line before with the same
            # output: they change nothing, and ignoring them here saves a tenth of a first read.
            is_same_output = buffer.startswith(last_output, hit)
            if is_same_output and buffer.startswith(last_id, start + last_id_at):
                continue
            try:
                line = decode(view[start:at])
            except msgspec.DecodeError:
                line = self._repaired(view[start:at])
            message = line.message
            if line.type != "assistant" or message is None or message.usage is None:
                continue
            if message.model == _SYNTHETIC:
                continue
            if accounts and accounts[0][0] < start:
                self._finish_messages()
                found, self._account = self._found, accounts.pop(0)[1]
            name = message.id or line.uuid
            last_id = b'"id":"%b"' % name.encode("utf-8", "surrogatepass")
            last_id_at = buffer.find(last_id, start, hit) - start
            last_output = buffer[hit : hit + _OUTPUT_LENGTH] if last_id_at > 0 else _NO_OUTPUT
            old = found.get(name)
            if old is None:
                found[name] = line
            elif _is_better(line, old):
                line.timestamp = min(line.timestamp, old.timestamp)
                found[name] = line
            elif line.timestamp < old.timestamp:
                old.timestamp = line.timestamp
        if accounts:
            self._finish_messages()
            self._account = accounts[-1][1]
        self.offset += end

    def _repaired(self, raw: memoryview) -> Line:
        """Return a line with a field of an unexpected type; an empty line if it is broken."""
        repaired = repaired_line(raw)
        self._skipped += repaired is None
        return repaired or Line()

    def _find_folder(self, buffer: bytearray, view: memoryview, end: int) -> None:
        at = 0
        while (hit := buffer.find(_FOLDER_MARKER, at, end)) >= 0:
            start = buffer.rfind(b"\n", at, hit) + 1 or at
            at = buffer.find(b"\n", hit, end) + 1
            try:
                raw = FOLDER_DECODER.decode(view[start:at]).cwd
            except msgspec.DecodeError:
                continue
            if raw:
                self._first_folder, self._has_folder = project_of(raw), True
                return

    def _finish_messages(self) -> None:
        """Turn the best line of each message into a row of its sender."""
        # Finding the sender costs more than finding these fields again, the same for most lines.
        rows_by_fields: dict[tuple[object, ...], list[MessageRow]] = {}
        for name, line in self._found.items():
            at = _seconds(line.timestamp)
            if not name or at is None:
                self._skipped += 1
                continue
            message = cast("ApiMessage", line.message)
            usage = cast("Usage", message.usage)
            fields = (
                line.sessionId,
                line.cwd,
                line.isSidechain,
                line.attributionAgent,
                line.forkedFrom is None,
                message.model,
                usage.speed,
                name.startswith(_OTHER_PROVIDERS),
            )
            rows = rows_by_fields.get(fields)
            if rows is None:
                rows = self._messages.setdefault(self._sender_of(line), [])
                rows_by_fields[fields] = rows
            rows.append(_row(name, at, 1, usage))
            for number, iteration in enumerate(usage.iterations or ()):
                if iteration.type == "advisor_message":
                    advisor = self._sender_of(line)._replace(model=clean(iteration.model or ""))
                    row = _row(f"{name} advisor {number}", at, 0, iteration)
                    self._messages.setdefault(advisor, []).append(row)
        self._found = {}

    def _sender_of(self, line: Line) -> Sender:
        message = cast("ApiMessage", line.message)
        kind, agent = self._kind, ""
        if kind is not FileKind.MAIN or line.isSidechain:
            kind = kind or FileKind.SUBAGENT
            agent = line.attributionAgent or self._agent_type()
        session, is_copy = clean(line.sessionId or self._session), line.forkedFrom is not None
        if line.cwd:
            self._folders.setdefault(session, project_of(line.cwd))
        owner = Owner(session, kind, clean(agent), is_copy, self._account)
        meter = Meter.FAST if cast("Usage", message.usage).speed == "fast" else Meter.LIMITS
        if (message.id or "").startswith(_OTHER_PROVIDERS):
            meter = Meter.OTHER_PROVIDER
        return Sender(owner, clean(message.model or ""), meter)

    def _agent_type(self) -> str:
        if self._agent is None:
            self._agent = "" if self._kind is FileKind.MAIN else _agent_type(self._path)
        return self._agent


def _is_better(line: Line, old: Line) -> bool:
    """Return whether a line replaces another one about the same message in the same file."""
    if bool(line.isSidechain) is not bool(old.isSidechain):
        return not line.isSidechain
    new_usage, old_usage = line.message.usage, old.message.usage  # type: ignore[union-attr] # both have usage
    return (new_usage.output_tokens or 0) > (old_usage.output_tokens or 0)  # type: ignore[union-attr]  # both have usage


def _accounts(buffer: bytearray, view: memoryview, end: int) -> list[tuple[int, str]]:
    """Return the lines that name an account: their offset in the buffer, and the identity."""
    accounts = []
    at = 0
    while (hit := buffer.find(_ACCOUNT_MARKER, at, end)) >= 0:
        start = buffer.rfind(b"\n", at, hit) + 1 or at
        at = buffer.find(b"\n", hit) + 1
        try:
            line = ACCOUNT_DECODER.decode(view[start:at])
        except msgspec.DecodeError:
            continue
        if line.type == "session-owner" and line.accountUuid:
            accounts.append((start, _identity(line.accountUuid, line.organizationUuid)))
    return accounts


def _identity(account: str, organization: str | None) -> str:
    """Return the identity as `usage.status.Profile.identity` writes it."""
    return clean(f"{account}/{organization}" if organization else account)


def _seconds(timestamp: str) -> int | None:
    """Return an instant in seconds since the epoch; ``None`` if it is none, or impossible."""
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(seconds) if _EARLIEST <= seconds < _LATEST else None


def _row(name: str, at: int, messages: int, usage: Counts) -> MessageRow:
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    nested, searches = usage.cache_creation, usage.server_tool_use
    hour = minutes = 0
    if nested is not None:
        hour = nested.ephemeral_1h_input_tokens or 0
        minutes = nested.ephemeral_5m_input_tokens or 0
    # Versions before 2.1.152 wrote 0 in the flat field, although the nested ones were not 0.
    rest = (usage.cache_creation_input_tokens or 0) - hour
    return (
        int.from_bytes(digest, "big", signed=True),
        at,
        messages,
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        usage.cache_read_input_tokens or 0,
        max(rest, minutes),
        hour,
        (searches.web_search_requests or 0) if searches is not None else 0,
    )


def _kind_of(inside: list[str]) -> FileKind:
    """Return the kind of a transcript by its path inside the ``projects`` folder."""
    if inside[-1].startswith(("agent-aside_question-", "agent-acompact-")):
        return FileKind.REPLAY
    if inside[-1].startswith("agent-") or "subagents" in inside:
        return FileKind.SUBAGENT
    return FileKind.MAIN


def _agent_type(path: str) -> str:
    """Return the subagent's type in the file beside its transcript, empty if there is none."""
    try:
        with open_regular_file(Path(path).with_suffix(".meta.json")) as file:
            return AGENT_DECODER.decode(file.read(_MAX_AGENT_FILE)).agentType or ""
    except (OSError, msgspec.DecodeError):
        return ""


def _checksum(stream: BufferedReader, offset: int) -> int:
    """Return a checksum of the bytes before an offset."""
    begin = max(0, offset - _CHECKED)
    stream.seek(begin)
    return crc32(stream.read(offset - begin))
