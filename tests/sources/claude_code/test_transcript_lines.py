from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from claude_usage_monitor.sources.claude_code import transcript_lines
from claude_usage_monitor.sources.claude_code.transcript_files import TranscriptFile
from claude_usage_monitor.sources.claude_code.transcript_lines import (
    CHUNK,
    Position,
    Slice,
    read_transcript,
)
from claude_usage_monitor.usage.attribution.messages import FileKind, Meter, Owner, Tokens
from tests.support.payloads import PAYLOADS

START = Position()
AT = "2026-11-03T14:22:09.417Z"
SESSION = "0a6b0000-0000-4000-8000-000000000001"


def line(**changes: Any) -> dict[str, Any]:
    """Return an assistant line; ``usage`` and ``message`` are merged into its own."""
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 1204,
        "cache_read_input_tokens": 81250,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1204},
        "output_tokens": 427,
        "speed": "standard",
        **changes.pop("usage", {}),
    }
    message = {"model": "claude-opus-5-5", "id": "msg_1", "usage": usage}
    return {
        "type": "assistant",
        "isSidechain": False,
        "cwd": "/home/ada/work/atlas",
        "sessionId": SESSION,
        "uuid": "u1",
        "timestamp": AT,
        "message": {**message, **changes.pop("message", {})},
        **changes,
    }


def encode(*lines: dict[str, Any] | bytes) -> bytes:
    return b"".join(
        each
        if isinstance(each, bytes)
        else json.dumps(each, separators=(",", ":")).encode() + b"\n"
        for each in lines
    )


def read(path: Path, content: bytes, position: Position = START) -> Slice:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    status = path.stat()
    root = next(p for p in path.parents if p.name == "projects" or p == path.parents[-2])
    file = TranscriptFile(str(path), str(root), status.st_ino, status.st_size, status.st_mtime_ns)
    slices = list(read_transcript(file, position, bytearray(CHUNK)))
    assert 1 == len(slices)
    return slices[0]


class Message(NamedTuple):
    owner: Owner
    model: str
    meter: Meter
    id: int
    at: int
    tokens: Tokens


def messages_of(found: Slice) -> list[Message]:
    """Return the messages of a slice, by sender."""
    return [
        Message(*sender, row[0], row[1], Tokens(*row[2:]))
        for sender, rows in found.messages.items()
        for row in rows
    ]


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return tmp_path / "projects" / "slug" / f"{SESSION}.jsonl"


def test_the_line_with_the_most_output_has_the_counts(main: Path) -> None:
    lines = [
        line(usage={"output_tokens": 1}),
        {"type": "user", "message": {"content": "x"}},
        line(usage={"output_tokens": 427}, timestamp="2026-11-03T14:22:19Z"),
        line(usage={"output_tokens": 3}),
    ]
    (message,) = messages_of(read(main, encode(*lines)))
    assert (1, 3, 427, 81250, 0, 1204) == message.tokens[:6]
    assert 1793715729 == message.at
    assert (SESSION, FileKind.MAIN, "", False, None) == message.owner


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (line(uuid="u2", timestamp="2026-11-03T14:22:19Z"), [(SESSION, FileKind.MAIN, 427)]),
        (line(usage={"output_tokens": 4271}), [(SESSION, FileKind.MAIN, 4271)]),
        (line(isSidechain=True), [(SESSION, FileKind.MAIN, 427)]),
        (line(message={"id": "msg_2"}), [(SESSION, FileKind.MAIN, 427)] * 2),
        (line(message={"id": "msg_2", "x": {"id": "msg_1"}}), [(SESSION, FileKind.MAIN, 427)] * 2),
    ],
)
def test_a_line_is_ignored_only_if_it_repeats_the_message_before_it(
    main: Path, second: dict[str, Any], expected: list[tuple[str, FileKind, int]]
) -> None:
    for lines in ([line(), second], [second, line()]):
        messages = messages_of(read(main, encode(*lines)))
        assert expected == [(*message.owner[:2], message.tokens.output) for message in messages]


@pytest.mark.parametrize(
    "other",
    [
        line(type="progress"),
        line(type="user"),
        line(message={"model": "<synthetic>", "id": "local"}),
        line(message={"usage": None, "id": "other"}),
        {"type": "assistant", "message": None, "x": {"output_tokens": 1}},
        {"type": "user", "toolUseResult": {"usage": {"output_tokens": 5}}},
        {"type": "queue-operation", "content": json.dumps(line())},
    ],
)
def test_other_lines_count_nothing(main: Path, other: dict[str, Any]) -> None:
    found = read(main, encode(other, line()))
    assert 1 == len(messages_of(found))
    assert 0 == found.skipped_lines


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cache_creation_input_tokens": 0}, (0, 1204)),
        ({"cache_creation": None}, (1204, 0)),
        ({"cache_creation_input_tokens": None, "cache_creation": None}, (0, 0)),
        (
            {
                "cache_creation_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 7},
            },
            (7, 0),
        ),
        ({"cache_creation": "none"}, (1204, 0)),
        ({"cache_creation_input_tokens": -5, "cache_creation": None}, (0, 0)),
    ],
)
def test_cache_writes_of_every_version(
    main: Path, usage: dict[str, Any], expected: tuple[int, int]
) -> None:
    (message,) = messages_of(read(main, encode(line(usage=usage))))
    assert expected == message.tokens[4:6]


def test_an_odd_type_costs_only_its_field(main: Path) -> None:
    odd = line(cwd=7, usage={"input_tokens": "many", "iterations": {}, "speed": ["x"]})
    found = read(main, encode(odd))
    (message,) = messages_of(found)
    assert (0, 427, 81250) == message.tokens[1:4]
    assert 0 == found.skipped_lines


@pytest.mark.parametrize(
    "broken",
    [
        encode(line())[:-20] + b"\n",
        encode(line(timestamp="yesterday", message={"id": "msg_2"})),
        encode(line(timestamp=None, message={"id": "msg_2"})),
        encode(line(timestamp="1970-01-01T00:00:00Z", message={"id": "msg_2"})),
        encode(line(uuid="", message={"id": None})),
    ],
)
def test_a_broken_line_is_skipped_and_counted(main: Path, broken: bytes) -> None:
    junk = b"\0" * 512 + b"\n\n\r\n"
    found = read(main, encode(junk, broken, line()))
    assert 1 == len(messages_of(found))
    assert 1 == found.skipped_lines


def test_windows_line_ends(main: Path) -> None:
    assert 1 == len(messages_of(read(main, encode(line()).replace(b"\n", b"\r\n"))))


def test_a_partial_line_waits_for_its_end(main: Path) -> None:
    whole = encode(line(), line(message={"id": "msg_2"}))
    first = read(main, whole[:-5])
    assert 1 == len(messages_of(first))
    assert len(encode(line())) == first.position.offset
    second = read(main, whole, first.position)
    assert 1 == len(messages_of(second))
    assert len(whole) == second.position.offset
    assert [] == messages_of(read(main, whole, second.position))


def test_a_replaced_file_is_read_from_its_beginning(main: Path) -> None:
    first = read(main, encode(line(), line(message={"id": "msg_2"})))
    other = [line(message={"id": f"msg_{number}"}) for number in range(10, 20)]
    assert 10 == len(messages_of(read(main, encode(*other), first.position)))


def test_messages_without_an_id_count_by_line(main: Path) -> None:
    lines = [line(uuid=f"u{number}", message={"id": None}) for number in range(3)]
    assert 3 == len(messages_of(read(main, encode(*lines))))


def test_fast_mode_and_other_providers_are_not_the_limits(main: Path) -> None:
    lines = [
        line(usage={"speed": "fast"}, message={"id": "msg_1"}),
        line(message={"id": "msg_vrtx_1"}),
        line(message={"id": "msg_bdrk_1"}),
        line(message={"id": "msg_4"}, usage={"speed": None}),
    ]
    meters = [message.meter for message in messages_of(read(main, encode(*lines)))]
    assert [Meter.FAST, Meter.OTHER_PROVIDER, Meter.OTHER_PROVIDER, Meter.LIMITS] == meters


def test_an_advisor_has_its_own_model_and_no_message(main: Path) -> None:
    advice = {"type": "advisor_message", "model": "claude-fable-5-1", "output_tokens": 400}
    lines = [line(usage={"iterations": [{"type": "message", "output_tokens": 427}, advice]})] * 2
    own, advisor = messages_of(read(main, encode(*lines)))
    assert (1, "claude-opus-5-5", 427) == (own.tokens.messages, own.model, own.tokens.output)
    assert (0, "claude-fable-5-1", 400) == (
        advisor.tokens.messages,
        advisor.model,
        advisor.tokens.output,
    )


def test_the_project_is_the_first_folder_of_the_main_file(main: Path) -> None:
    first = {"type": "user", "cwd": "/home/ada/work/atlas/.claude/worktrees/fix", "message": {}}
    found = read(main, encode({"type": "mode"}, first, line(cwd="/elsewhere")))
    assert {SESSION: "/home/ada/work/atlas"} == found.folders
    assert SESSION == found.main_session
    later = read(main, main.read_bytes() + encode(line(cwd="/x")), found.position)
    assert later.main_session is None


def test_a_subagent_belongs_to_its_parents_session(tmp_path: Path) -> None:
    path = tmp_path / "projects" / "slug" / SESSION / "subagents" / "agent-a1.jsonl"
    path.parent.mkdir(parents=True)
    path.with_suffix(".meta.json").write_text('{"agentType": "Explore", "description": "secret"}')
    lines = [
        line(isSidechain=True, sessionId=None),
        line(attributionAgent="Plan", message={"id": "2"}),
    ]
    one, two = messages_of(read(path, encode(*lines)))
    assert (SESSION, FileKind.SUBAGENT, "Explore") == one.owner[:3]
    assert (SESSION, FileKind.SUBAGENT, "Plan") == two.owner[:3]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("agent-1.jsonl", FileKind.SUBAGENT),
        ("agent-aside_question-1.jsonl", FileKind.REPLAY),
        ("agent-acompact-1.jsonl", FileKind.REPLAY),
        ("session.jsonl", FileKind.MAIN),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, kind: FileKind) -> None:
    (message,) = messages_of(read(tmp_path / "projects" / "slug" / name, encode(line())))
    assert kind == message.owner.kind


def test_copies_of_a_fork_are_marked(main: Path) -> None:
    lines = [
        line(forkedFrom={"sessionId": "s", "messageUuid": "u"}),
        line(forkedFrom=None, message={"id": "2"}),
    ]
    assert [True, False] == [m.owner.forked for m in messages_of(read(main, encode(*lines)))]


def test_the_session_owner_of_the_real_client(main: Path) -> None:
    found = read(main, (PAYLOADS / "recorded-2.1.330.jsonl").read_bytes())
    (message,) = messages_of(found)
    owner = "00000000-0000-4000-8000-000000000001/00000000-0000-4000-8000-000000000002"
    assert owner == message.owner.account == found.position.account
    assert (1, 12, 9, 0, 0, 0) == message.tokens[:6]


def test_another_login_in_the_same_session(main: Path) -> None:
    def owner(name: str) -> dict[str, Any]:
        return {"type": "session-owner", "accountUuid": name, "sessionId": SESSION}

    lines = [line(message={"id": "0"}), owner("a"), line(), owner("b"), line(message={"id": "2"})]
    accounts = [message.owner.account for message in messages_of(read(main, encode(*lines)))]
    assert [None, "a", "b"] == accounts


def test_a_long_line_and_a_far_too_long_one(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = line(message={"id": "long", "content": "x" * (3 * CHUNK)})
    assert 2 == len(messages_of(read(main, encode(long, line()))))
    copy = line(forkedFrom={"sessionId": "s", "messageUuid": "u"})
    assert 2 == len(messages_of(read(main, encode(copy, long))))
    monkeypatch.setattr(transcript_lines, "_MAX_LINE", 2 * CHUNK)
    found = read(main, encode(line(), long, line(message={"id": "last"})))
    assert 2 == len(messages_of(found))
    assert len(main.read_bytes()) == found.position.offset


def test_large_files_come_in_slices(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = 1 << 18
    monkeypatch.setattr(transcript_lines, "CHUNK", chunk)
    monkeypatch.setattr(transcript_lines, "_SLICE", 7 * chunk)
    main.parent.mkdir(parents=True)
    filler = {"type": "user", "text": "x" * 1000}
    lines = [line(message={"id": f"msg_{number}"}) for number in range(40)]
    main.write_bytes(b"".join(encode(each, *[filler] * 200) for each in lines))
    file = TranscriptFile(str(main), str(main.parents[1]), 0, main.stat().st_size, 0)
    slices = list(read_transcript(file, Position(), bytearray(chunk)))
    assert 5 == len(slices)
    assert 40 == sum(len(messages_of(each)) for each in slices)
    for each in slices[:-1]:  # every position is one to continue from
        rest = list(read_transcript(file, each.position, bytearray(chunk)))
        assert len(main.read_bytes()) == rest[-1].position.offset
