from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials, PartialCredentials, PermissionDenied
from claude_usage_monitor.sources.claude_code.credentials_file import (
    credentials_path,
    parse_login,
    read_login,
    token_from_environment,
)
from tests.support.login import TOKEN, Store
from tests.support.payloads import as_bytes, payload
from tests.support.permissions import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCATION = "/home/u/.claude/.credentials.json"


def credentials(**fields: object) -> bytes:
    return as_bytes({"claudeAiOauth": {"accessToken": TOKEN, **fields}})


def test_reads_every_field_of_a_login() -> None:
    login = parse_login(payload("credentials_shape"), LOCATION)
    assert login.token.reveal() == "sk-ant-oat01-REDACTED"
    assert datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC) == login.expires_at
    assert "user:profile" in login.scopes
    assert (login.subscription_type, login.rate_limit_tier) == ("max", "default_claude_max_5x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (payload("credentials_blanked_after_failed_refresh"), "Claude Code has erased the login"),
        (payload("credentials_mcp_only_no_login"), "only logins of MCP servers"),
        (b"{}", "no `claudeAiOauth`"),
        (b"", "is empty"),
        (b"\0\0\0\0", "is empty"),
        (b"  \n", "is empty"),
        (payload("credentials_shape")[:100], "is truncated or not JSON"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"claudeAiOauth": 7}', "no `claudeAiOauth`"),
        (credentials(accessToken=None), "no usable access token"),
        (credentials(accessToken=12), "no usable access token"),
        (credentials(accessToken="a b"), "no usable access token"),
        (credentials(accessToken="line\nbreak"), "no usable access token"),
        (credentials(accessToken="\u2028"), "no usable access token"),
        (b"[" * 100_000, "is truncated or not JSON"),
    ],
)
def test_names_what_is_wrong_without_quoting_the_content(content: bytes, message: str) -> None:
    with pytest.raises(NoCredentials) as caught:
        parse_login(content, LOCATION)
    assert message in caught.value.message
    assert LOCATION in caught.value.message
    assert "canary" not in str(caught.value)
    assert caught.value.code == "no_credentials"
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_reads_every_encoding_of_json(encoding: str) -> None:
    content = credentials().decode().encode(encoding)
    assert parse_login(content, LOCATION).token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1785316388731, datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC)),
        (1785316388, datetime(2026, 7, 29, 9, 13, 8, tzinfo=UTC)),
        ("1785316388731", datetime(2026, 7, 29, 9, 13, 8, 731000, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (None, None),
        ("never", None),
        (True, None),
    ],
)
def test_reads_an_expiry_in_every_form_or_as_unknown(
    raw: object, expected: datetime | None
) -> None:
    assert expected == parse_login(credentials(expiresAt=raw), LOCATION).expires_at


@pytest.mark.parametrize("scopes", [None, "user:profile", 7, {}, [None, 7]])
def test_scopes_of_an_unexpected_type_are_unknown(scopes: object) -> None:
    assert frozenset() == parse_login(credentials(scopes=scopes), LOCATION).scopes


@given(st.binary(max_size=300))
def test_random_bytes_are_never_a_login(content: bytes) -> None:
    with pytest.raises(NoCredentials):
        parse_login(content, LOCATION)


# --- the path -------------------------------------------------------------------------------------


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
def test_uses_the_configuration_directory_literally(environ: dict[str, str], expected: str) -> None:
    assert expected == credentials_path(environ)


def test_rejects_a_relative_home_directory() -> None:
    with pytest.raises(NoCredentials, match="No home directory"):
        credentials_path({"HOME": "relative"})


# --- unusual files --------------------------------------------------------------------------------


def test_a_missing_file_means_not_logged_in(store: Store) -> None:
    with pytest.raises(NoCredentials) as caught:
        read_login(store.path)
    assert caught.value.message == "Not logged in to Claude Code."


def test_a_file_in_place_of_the_folder_means_not_logged_in(home: Path) -> None:
    (home / ".claude").write_text("")
    with pytest.raises(NoCredentials):
        read_login(home / ".claude" / ".credentials.json")


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
    ("create", "message"),
    [
        (_fifo, "not a regular file"),
        (_folder, "not a regular file"),
        (_device, "not a regular file"),
        (_huge, "larger than 1 MiB"),
        (_dangling, "Not logged in"),
        (_loop, "cannot be read"),
    ],
)
def test_anything_but_a_small_regular_file_is_an_error_and_never_blocks(
    store: Store, create: Callable[[Path], None], message: str
) -> None:
    store.path.parent.mkdir()
    create(store.path)
    with pytest.raises(NoCredentials, match=message):
        read_login(store.path)


def test_says_if_permission_to_read_is_denied(store: Store) -> None:
    store.login()
    with unreadable(store.path), pytest.raises(PermissionDenied, match="permission denied"):
        read_login(store.path)


def test_a_home_that_cannot_be_entered_is_an_error_of_ours(store: Store, home: Path) -> None:
    store.login()
    with unreadable(home), pytest.raises(PermissionDenied, match="permission denied"):
        read_login(store.path)


def test_removes_control_characters_from_the_path_in_a_message(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31mred"
    folder.mkdir()
    (folder / ".credentials.json").write_text("[]")
    with pytest.raises(NoCredentials) as caught:
        read_login(folder / ".credentials.json")
    assert "\x1b" not in caught.value.message


@pytest.fixture
def rewriting(store: Store) -> Iterator[Store]:
    """Rewrite the file in place again and again, as Claude Code does: truncate, then write."""
    store.login()
    content = store.path.read_bytes()
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            with store.path.open("r+b") as file:
                file.truncate(0)
                file.write(content[:40])
                file.flush()
                file.write(content[40:])
            time.sleep(0.002)

    writer = threading.Thread(target=rewrite)
    writer.start()
    yield store
    stop.set()
    writer.join()


def test_reads_a_file_completely_while_it_is_being_rewritten(rewriting: Store) -> None:
    for _ in range(300):
        try:
            login = read_login(rewriting.path)
        except PartialCredentials:
            continue  # twice truncated: then `CredentialFinder` uses the last good one
        assert login.token.reveal() == TOKEN


def test_reading_changes_nothing(store: Store) -> None:
    store.login()
    before = [(p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in store.path.parent.rglob("*")]
    read_login(store.path)
    after = [(p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in store.path.parent.rglob("*")]
    assert before == after


# --- the token in the environment -----------------------------------------------------------------


def test_reads_a_token_from_the_environment() -> None:
    login = token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": f" {TOKEN}\n"})
    assert login is not None
    assert (login.token.reveal(), login.expires_at) == (TOKEN, None)
    assert token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": " "}) is None


@pytest.mark.parametrize("raw", ["two words", "line\nbreak", "sk\u2028x", "tökén"])
def test_rejects_an_impossible_token_without_quoting_it(raw: str) -> None:
    with pytest.raises(NoCredentials) as caught:
        token_from_environment({"CLAUDE_CODE_OAUTH_TOKEN": raw})
    assert raw not in str(caught.value)
