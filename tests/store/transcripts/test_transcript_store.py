from __future__ import annotations

import stat
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_usage_monitor.store.database import UnusableDatabase, connect
from claude_usage_monitor.store.transcripts.transcript_store import (
    EndedWindow,
    Part,
    StoredFile,
    TranscriptStore,
    delete_transcripts,
)
from claude_usage_monitor.usage.attribution.attribution import Rise, Window
from claude_usage_monitor.usage.attribution.messages import (
    FileKind,
    MessageRow,
    Meter,
    Owner,
    Sender,
    Tokens,
    Use,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.tmpdir import TempPathFactory

EVER = (0, 1 << 40)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TranscriptStore]:
    opened = TranscriptStore(tmp_path / "ours" / "transcripts.db")
    yield opened
    opened.close()


class Message(NamedTuple):
    owner: Owner
    id: int
    at: int
    tokens: Tokens


def message(output: int = 10, at: int = 1000, owner: Owner | None = None, key: int = 1) -> Message:
    owner = owner or Owner("s", FileKind.MAIN)
    return Message(owner, key, at, Tokens(1, output, output, 5, 0, 7, 0))


def part(*messages: Message, path: str = "/p/s.jsonl", mtime: int = 50, main: bool = True) -> Part:
    session = messages[0].owner.session if messages else "s"
    file = StoredFile(1, 100, mtime * 10**9, 100, 7, None, has_folder=True)
    rows: dict[Sender, list[MessageRow]] = {}
    for owner, key, at, tokens in messages:
        sender = Sender(owner, "claude-opus-5", Meter.LIMITS)
        rows.setdefault(sender, []).append((key, at, *tokens))
    return Part(path, "/p", file, rows, {session: "/work/atlas"}, session if main else None)


def only(store: TranscriptStore) -> Use:
    (use,) = store.uses(*EVER)
    return use


def test_the_file_is_private(tmp_path: Path, store: TranscriptStore) -> None:
    path = tmp_path / "ours" / "transcripts.db"
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_positions_come_back(store: TranscriptStore) -> None:
    file = StoredFile(2**63 - 1, 5, 7, 3, 2**32 - 1, "a/b", has_folder=False, skipped_lines=4)
    store.write([part()._replace(file=file)])
    assert [file] == [
        each._replace(has_folder=bool(each.has_folder)) for each in store.files().values()
    ]
    assert (1, 3, 4) == store.totals()
    store.forget_files(store.files())
    assert {} == store.files()


MAIN, FORK = Owner("s", FileKind.MAIN), Owner("fork", FileKind.MAIN, forked=True)
COPIES = {  # from the best to the worst: owner, and the time of its file
    MAIN: 50,
    Owner("resumed", FileKind.MAIN): 60,
    FORK: 40,
    Owner("s", FileKind.SUBAGENT, "Explore"): 30,
    Owner("s", FileKind.REPLAY): 20,
}


@pytest.mark.parametrize("order", list(permutations(range(5)))[::7])
def test_the_original_owns_a_copied_message_in_any_order(
    store: TranscriptStore, order: tuple[int, ...]
) -> None:
    copies = [
        part(
            message(output=10 + number, at=1000 - number, owner=owner),
            path=f"/p/{number}.jsonl",
            mtime=mtime,
        )
        for number, (owner, mtime) in enumerate(COPIES.items())
    ]
    store.write([copies[number] for number in order])
    use = only(store)
    assert ("s", FileKind.MAIN, "") == (use.session, use.kind, use.agent)
    assert (1, 10, 14, 5, 0, 7, 0) == use.tokens  # the owner's counts, the highest output
    assert 996 == use.at


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outputs=st.lists(st.integers(0, 500), min_size=1, max_size=6),
    cuts=st.sets(st.integers(1, 5)),
)
def test_growing_counts_in_any_slices(
    tmp_path_factory: TempPathFactory, outputs: list[int], cuts: set[int]
) -> None:
    store = TranscriptStore(tmp_path_factory.mktemp("store") / "transcripts.db")
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(outputs)], strict=True):
        piece = sorted(outputs)[begin:end]
        store.write([part(message(output)) for output in piece])
    assert (1, max(outputs), max(outputs)) == only(store).tokens[:3]
    store.close()


def test_the_main_files_folder_decides(store: TranscriptStore) -> None:
    agent = Owner("s", FileKind.SUBAGENT, "Plan")
    store.write(
        [
            part(message(owner=agent), main=False)._replace(folders={"s": "/elsewhere"}),
            part(message()),
        ]
    )
    assert "/work/atlas" == only(store).project
    store.write([part(main=False)._replace(folders={"s": "/other"})])
    assert "/work/atlas" == only(store).project


def test_a_subagent_has_the_account_of_its_session(store: TranscriptStore) -> None:
    owner = Owner("s", FileKind.MAIN, account="a/b")
    main = part(message(owner=owner, key=1))
    agent = message(owner=Owner("s", FileKind.SUBAGENT), key=2)
    store.write([main._replace(file=main.file._replace(account="a/b")), part(agent, main=False)])
    assert ["a/b", "a/b"] == [use.account for use in store.uses(*EVER)]


def test_uses_in_a_period_and_in_steps(store: TranscriptStore) -> None:
    store.write([part(*(message(at=at, key=at) for at in (100, 119, 120, 200)))])
    assert 2 == sum(use.tokens.messages for use in store.uses(119, 200))
    assert {60: 2, 120: 1, 180: 1} == {
        use.at: use.tokens.messages for use in store.uses(*EVER, step=60)
    }


def test_ended_windows_come_back_until_they_are_old(store: TranscriptStore) -> None:
    store.write([part(*(message(at=at, key=at) for at in (100, 200)))])
    old = EndedWindow(Window("five_hour", 50, 150, 40.0, (Rise(60, 1.0), Rise(70, 40.0))), 2.5, 3.5)
    new = EndedWindow(Window("five_hour", 160, 250, 10.0), 1.0, 2.0)
    store.store_ended("me", [new, old])
    store.store_ended("me", [new])
    assert [old, new] == store.ended("me")
    assert [] == store.ended("you")
    store.delete_before(200)
    assert 200 == only(store).at
    assert [new] == store.ended("me")


def test_a_rebuilt_cache_of_a_main_conversation(store: TranscriptStore) -> None:
    def turn(at: int, read: int, write: int, owner: Owner = MAIN) -> Message:
        return Message(owner, at, at, Tokens(1, 1, 10, read, cache_write_1h=write))

    agent = Owner("s", FileKind.SUBAGENT)
    turns = [
        turn(1, 0, 90_000),
        turn(2, 90_000, 1000),
        turn(3, 10_000, 85_000),
        turn(4, 95_000, 10),
    ]
    others = [turn(5, 0, 90_000, agent), turn(6, 0, 90_000, agent)]
    store.write([part(*turns), part(*others, path="/p/agent.jsonl", main=False)])
    assert [(3, 85_000)] == [(u.at, u.tokens.cache_write_1h) for u in store.rebuilds(*EVER)]
    assert [] == store.rebuilds(4, 100)


def test_a_failed_write_stores_nothing(store: TranscriptStore) -> None:
    owner = Owner("new", FileKind.MAIN)
    broken = part(message(owner=owner), message(key=2, owner=owner)._replace(at=None))  # type: ignore[arg-type]  # a broken message
    with pytest.raises(Exception, match="NOT NULL"):
        store.write([broken])
    assert [] == store.uses(*EVER)
    store.write([part(message(owner=owner))])
    assert "new" == only(store).session


def test_deleting_leaves_no_file(tmp_path: Path, store: TranscriptStore) -> None:
    store.write([part(message())])
    assert delete_transcripts(tmp_path / "ours" / "transcripts.db")
    assert [] == list((tmp_path / "ours").iterdir())
    assert not delete_transcripts(tmp_path / "ours" / "transcripts.db")


def test_a_damaged_file_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.db"
    path.write_bytes(b"not a database" * 1000)
    path.chmod(0o600)
    store = TranscriptStore(path)
    store.write([part(message())])
    assert 1 == only(store).tokens.messages


def test_a_newer_versions_file_is_left_alone(tmp_path: Path, store: TranscriptStore) -> None:
    path = tmp_path / "ours" / "transcripts.db"
    connect(path).execute("PRAGMA user_version = 99")
    with pytest.raises(UnusableDatabase):
        TranscriptStore(path)
