from __future__ import annotations

import os
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials, PartialCredentials
from claude_usage_monitor.sources.claude_code.credentials_file import (
    FALLBACK_VERSION,
    credentials_path,
    installed_version,
    login_from,
    read_file,
    token_from_environment,
)
from tests.support.login import TOKEN, Store
from tests.support.payloads import as_bytes, payload

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "/home/u/.claude/.credentials.json"


def blob(**fields: object) -> bytes:
    return as_bytes({"claudeAiOauth": {"accessToken": TOKEN, **fields}})


def test_a_login_is_read_with_all_its_store_says() -> None:
    login = login_from(payload("credentials_shape"), PLACE)
    assert login.token.reveal() == "sk-ant-oat01-REDACTED"
    assert datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC) == login.expires_at
    assert "user:profile" in login.scopes
    assert (login.subscription_type, login.rate_limit_tier) == ("max", "default_claude_max_5x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (payload("credentials_blanked_after_failed_refresh"), "was blanked"),
        (payload("credentials_mcp_only_no_login"), "only logins of MCP servers"),
        (b"{}", "no `claudeAiOauth`"),
        (b"", "is empty"),
        (b"\0\0\0\0", "is empty"),
        (b"  \n", "is empty"),
        (payload("credentials_shape")[:100], "is not whole"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"claudeAiOauth": 7}', "no `claudeAiOauth`"),
        (blob(accessToken=None), "no usable access token"),
        (blob(accessToken=12), "no usable access token"),
        (blob(accessToken="a b"), "no usable access token"),
        (blob(accessToken="line\nbreak"), "no usable access token"),
        (blob(accessToken="\u2028"), "no usable access token"),
        (b"[" * 100_000, "is not whole"),
    ],
)
def test_each_unusable_blob_is_told_apart_and_named_without_its_content(
    content: bytes, words: str
) -> None:
    with pytest.raises(NoCredentials) as caught:
        login_from(content, PLACE)
    assert words in caught.value.message
    assert PLACE in caught.value.message
    assert "canary" not in str(caught.value)
    assert caught.value.code == "no_credentials"
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_blob_is_read_in_any_encoding_of_json(encoding: str) -> None:
    content = blob().decode().encode(encoding)
    assert login_from(content, PLACE).token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1785316388731, datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC)),
        (1785316388, datetime(2026, 7, 29, 9, 13, 8, tzinfo=UTC)),
        ("1785316388731", datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC)),
        (0, None),
        (None, None),
        ("never", None),
        (True, None),
    ],
)
def test_an_expiry_is_read_in_every_form_or_unknown(raw: object, expected: datetime | None) -> None:
    assert expected == login_from(blob(expiresAt=raw), PLACE).expires_at


@pytest.mark.parametrize("scopes", [None, "user:profile", 7, {}, [None, 7]])
def test_scopes_of_another_type_are_unknown(scopes: object) -> None:
    assert frozenset() == login_from(blob(scopes=scopes), PLACE).scopes


@given(st.binary(max_size=300))
def test_any_blob_is_a_login_or_no_credentials(content: bytes) -> None:
    with pytest.raises(NoCredentials):
        login_from(content, PLACE)


# --- where it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/u"}, "/home/u/.claude/.credentials.json"),
        ({"HOME": "/home/u", "CLAUDE_CONFIG_DIR": "~/c"}, "~/c/.credentials.json"),
        ({"HOME": "/home/u", "CLAUDE_CONFIG_DIR": "here"}, "here/.credentials.json"),
        ({"HOME": "/home/u", "CLAUDE_CONFIG_DIR": ""}, "/home/u/.claude/.credentials.json"),
        (
            {"CLAUDE_SECURESTORAGE_CONFIG_DIR": "/s", "CLAUDE_CONFIG_DIR": "/c"},
            "/s/.credentials.json",
        ),
    ],
)
def test_the_configuration_directory_is_taken_literally(
    environ: dict[str, str], expected: str
) -> None:
    assert Path(expected) == credentials_path(environ)


def test_a_home_that_is_no_absolute_path_is_not_looked_in() -> None:
    with pytest.raises(NoCredentials, match="no home directory"):
        credentials_path({"HOME": "relative"})


# --- what may stand in its place -----------------------------------------------------------


def test_a_missing_file_is_simply_not_logged_in(store: Store) -> None:
    with pytest.raises(NoCredentials) as caught:
        read_file(store.path)
    assert caught.value.message == "Not logged in to Claude Code."


def test_a_file_where_the_folder_should_be_is_not_logged_in(home: Path) -> None:
    (home / ".claude").write_text("")
    with pytest.raises(NoCredentials):
        read_file(home / ".claude" / ".credentials.json")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5_000_000_000)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (_fifo, "not a regular file"),
        (_folder, "not a regular file"),
        (_device, "not a regular file"),
        (_huge, "larger than a mebibyte"),
        (_dangling, "Not logged in"),
        (_loop, "cannot be read"),
    ],
)
def test_whatever_stands_in_its_place_neither_blocks_nor_fills_memory(
    store: Store, place: object, words: str
) -> None:
    store.path.parent.mkdir()
    place(store.path)  # type: ignore[operator] # one of the functions above
    with pytest.raises(NoCredentials, match=words):
        read_file(store.path)


@pytest.fixture
def _not_root() -> Iterator[None]:
    """Be nobody for a while: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_file_that_may_not_be_read_is_told_so(
    store: Store, request: pytest.FixtureRequest
) -> None:
    store.login()
    store.path.chmod(0)
    request.getfixturevalue("_not_root")
    with pytest.raises(NoCredentials, match="permission denied"):
        read_file(store.path)


def test_a_hostile_path_is_shown_harmlessly(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31mred"
    folder.mkdir()
    (folder / ".credentials.json").write_text("[]")
    with pytest.raises(NoCredentials) as caught:
        read_file(folder / ".credentials.json")
    assert "\x1b" not in caught.value.message


@pytest.fixture
def rewriting(store: Store) -> Iterator[Store]:
    """Rewrite the file in place again and again, as Claude Code does: cut off, then written."""
    store.login()
    whole = store.path.read_bytes()
    leaving = threading.Event()

    def rewrite() -> None:
        while not leaving.is_set():
            with store.path.open("r+b") as file:
                file.truncate(0)
                file.write(whole[:40])
                file.flush()
                file.write(whole[40:])
            time.sleep(0.002)

    writer = threading.Thread(target=rewrite)
    writer.start()
    yield store
    leaving.set()
    writer.join()


def test_a_file_that_is_being_rewritten_is_read_whole(rewriting: Store) -> None:
    for _ in range(300):
        try:
            login = read_file(rewriting.path)
        except PartialCredentials:
            continue  # torn twice; the finder keeps its last good one
        assert login.token.reveal() == TOKEN


def test_reading_changes_nothing(store: Store) -> None:
    store.login()
    before = [(p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in store.path.parent.rglob("*")]
    read_file(store.path)
    after = [(p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in store.path.parent.rglob("*")]
    assert before == after


# --- the environment's token ---------------------------------------------------------------


def test_a_token_in_the_environment_is_a_login() -> None:
    login = token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": f" {TOKEN}\n"})
    assert login is not None
    assert (login.token.reveal(), login.expires_at) == (TOKEN, None)
    assert token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": " "}) is None


@pytest.mark.parametrize("raw", ["two words", "line\nbreak", "sk\u2028x", "tökén"])
def test_what_no_token_can_be_is_not_sent_and_not_quoted(raw: str) -> None:
    with pytest.raises(NoCredentials) as caught:
        token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": raw})
    assert raw not in str(caught.value)


# --- the version ----------------------------------------------------------------------------


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\ntouch "$0.was-run"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_native_installer_names_the_version_in_the_path(tmp_path: Path) -> None:
    real = executable(tmp_path / "share" / "claude" / "versions" / "2.1.240")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(real)
    assert installed_version({"PATH": str(tmp_path / "bin")}) == "2.1.240"
    assert not real.with_name("2.1.240.was-run").exists()


def test_npm_names_the_version_in_its_package_json(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "node_modules" / "@anthropic-ai" / "claude-code"
    real = executable(package / "cli.js")
    (package / "package.json").write_bytes(
        as_bytes({"name": "@anthropic-ai/claude-code", "version": "2.1.99"})
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(real)
    assert installed_version({"PATH": str(tmp_path / "bin")}) == "2.1.99"


@pytest.mark.parametrize(
    "package",
    [b"", b"[]", b'{"name": "other", "version": "1.2.3"}']
    + [b'{"name": "@anthropic-ai/claude-code", "version": "x\\r\\nEvil: 1"}'],
)
def test_otherwise_a_version_that_is_documented_to_work(tmp_path: Path, package: bytes) -> None:
    executable(tmp_path / "claude")
    (tmp_path / "package.json").write_bytes(package)
    assert installed_version({"PATH": str(tmp_path)}) == FALLBACK_VERSION
    assert installed_version({"PATH": str(tmp_path / "nothing")}) == FALLBACK_VERSION
