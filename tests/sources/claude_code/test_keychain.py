"""The keychain, with a stand-in for ``security``: nothing here has run on a Mac."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.errors import (
    CredentialsNotFound,
    PartialCredentials,
    SecretStoreUnavailable,
)
from claude_usage_monitor.sources.claude_code import keychain
from claude_usage_monitor.sources.claude_code.credentials_file import parse_login
from claude_usage_monitor.sources.claude_code.keychain import read_content, service_name
from tests.support.login import TOKEN
from tests.support.payloads import as_bytes

if TYPE_CHECKING:
    from pathlib import Path

CREDENTIALS = as_bytes({"claudeAiOauth": {"accessToken": TOKEN, "expiresAt": 1785316388731}})


class Security:
    """A stand-in for ``/usr/bin/security`` that records its arguments and its environment."""

    def __init__(self, folder: Path, script: str) -> None:
        self.path = folder / "security"
        self._log = folder / "calls"
        self._environ = folder / "environ"
        self.path.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$*" >> {self._log}\nenv > {self._environ}\n{script}\n'
        )
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def environ(self) -> str:
        return self._environ.read_text()


def security(folder: Path, script: str) -> Security:
    return Security(folder, script)


def printing(folder: Path, content: bytes) -> Security:
    (folder / "item").write_bytes(content)
    return security(folder, f"cat {folder / 'item'}")


def test_reads_the_item_of_this_user_and_service(tmp_path: Path) -> None:
    fake = printing(tmp_path, CREDENTIALS + b"\n")
    assert read_content({"USER": "ada"}, fake.path) == CREDENTIALS
    assert fake.calls == ["find-generic-password -s Claude Code-credentials -a ada -w"]


def test_without_an_item_of_this_user_reads_any(tmp_path: Path) -> None:
    (tmp_path / "item").write_bytes(CREDENTIALS)
    fake = security(tmp_path, f'case "$*" in *" -a "*) exit 44;; esac; cat {tmp_path / "item"}')
    assert read_content({"USER": "ada"}, fake.path) == CREDENTIALS
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    "content",
    [
        CREDENTIALS.hex().encode(),
        CREDENTIALS.hex().upper().encode() + b"\n",
        CREDENTIALS.replace(b", ", b",\n  "),
    ],
    ids=["hex", "upper hex", "pretty"],
)
def test_reads_hex_and_pretty_printed_items(tmp_path: Path, content: bytes) -> None:
    fake = printing(tmp_path, content)
    assert json.loads(read_content({}, fake.path)) == json.loads(CREDENTIALS)


def test_names_an_item_that_was_cut_off_at_two_kilobytes(tmp_path: Path) -> None:
    item = printing(tmp_path, as_bytes({"mcpOAuth": {"x": "y" * 4000}})[:2048])
    with pytest.raises(PartialCredentials, match="the macOS keychain is truncated"):
        parse_login(read_content({}, item.path), "the macOS keychain")


def test_without_an_item_nobody_is_logged_in(tmp_path: Path) -> None:
    with pytest.raises(CredentialsNotFound):
        read_content({}, security(tmp_path, "exit 44").path)
    with pytest.raises(CredentialsNotFound):
        read_content({}, tmp_path / "no-such-tool")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(36, "locked"), (51, "denied"), (128, "canceled"), (7, "`security` failed with 7")],
)
def test_says_why_the_keychain_cannot_be_read(tmp_path: Path, code: int, reason: str) -> None:
    fake = security(tmp_path, f"exit {code}")
    with pytest.raises(SecretStoreUnavailable, match=reason):
        read_content({}, fake.path)
    assert len(fake.calls) == 1


def test_stops_waiting_for_a_dialog_that_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keychain, "TIMEOUT_SECONDS", 0.3)
    with pytest.raises(SecretStoreUnavailable, match="does not respond"):
        read_content({}, security(tmp_path, "exec sleep 30").path)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "Claude Code-credentials"),
        ({"CLAUDE_CONFIG_DIR": ""}, "Claude Code-credentials"),
        ({"CLAUDE_CONFIG_DIR": "/Users/ada/.claude"}, "Claude Code-credentials-09747320"),
        ({"CLAUDE_CONFIG_DIR": "/Users/ada/.claude/"}, "Claude Code-credentials-d82df378"),
        ({"CLAUDE_CONFIG_DIR": "/Users/zoe\u0308"}, "Claude Code-credentials-b87a2303"),
        ({"CLAUDE_CONFIG_DIR": "/Users/zo\u00eb"}, "Claude Code-credentials-b87a2303"),
    ],
)
def test_the_service_name_has_a_hash_of_the_unchanged_configuration_directory(
    environ: dict[str, str], expected: str
) -> None:
    assert expected == service_name(environ)


def test_the_tool_gets_no_token_in_its_environment_or_arguments(tmp_path: Path) -> None:
    fake = printing(tmp_path, CREDENTIALS)
    read_content({**os.environ, "CLAUDE_CODE_OAUTH_TOKEN": "canary", "USER": "a b"}, fake.path)
    assert "canary" not in fake.environ
    assert "canary" not in "".join(fake.calls)
    assert "-a a b" not in "".join(fake.calls)
