"""Which account Claude Code is logged in to, for everything that its files may contain."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, cast

import pytest

from claude_usage_monitor.errors import CredentialsExpired
from claude_usage_monitor.monitor.login.credentials import CredentialFinder
from claude_usage_monitor.monitor.login.ownership import (
    Ownership,
    OwnershipCheck,
    imported_part,
    location_of,
    refresh_problem,
)
from claude_usage_monitor.sources.claude_code import keychain
from claude_usage_monitor.store.accounts.saved_account import SavedAccount
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import Profile
from tests.support.api import PROFILE
from tests.support.saved import registry
from tests.support.token_server import TokenServer, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from claude_usage_monitor.store.accounts.saved_account import Origin

    Situation = Callable[["ClaudeCode"], None]

OURS, THEIRS = "work", "private"


class ClaudeCode:
    """The files of one Claude Code, which a test writes."""

    def __init__(self, server: TokenServer, folder: Path, config: Path) -> None:
        self.server = server
        self.credentials = folder / ".credentials.json"
        self.config = config

    def store_login(self, account: str, *, expires_in: float = 3600.0) -> dict[str, Any]:
        """Store a new login of an account."""
        credentials = self.server.issue(account, expires_in=expires_in)
        self.write(json.dumps(credentials).encode())
        return credentials

    def write(self, content: bytes) -> None:
        """Store exactly these bytes."""
        self.credentials.parent.mkdir(parents=True, exist_ok=True)
        self.credentials.write_bytes(content)

    def configure(self, account: str | None) -> None:
        """Name an account, or none, in the configuration."""
        named = {"accountUuid": uuid_of(account or ""), "organizationUuid": uuid_of(f"{account}'s")}
        document = {"oauthAccount": named} if account else {"numStartups": 7}
        self.config.write_text(json.dumps(document))

    def log_in(self, account: str, *, expires_in: float = 3600.0) -> None:
        """Store a new login and name its account in the configuration."""
        self.store_login(account, expires_in=expires_in)
        self.configure(account)

    def confirm(self, account: str) -> None:
        """Record that the API has confirmed the account of the live token."""
        login = json.loads(self.credentials.read_bytes())["claudeAiOauth"]
        who = Profile(account_uuid=uuid_of(account), organization_uuid=uuid_of(f"{account}'s"))
        state = registry().services.state
        fingerprint = token_fingerprint(Secret(login["accessToken"]))
        state.store_profile(fingerprint, who)
        state.link_identity(fingerprint, who.identity or "")

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Return the content and the modification time of its files."""
        folders = {self.credentials.parent, self.config.parent / ".claude"}
        found = [each for folder in folders if folder.is_dir() for each in folder.iterdir()]
        found += [each for each in (self.config,) if each.exists()]
        return {
            str(each): (each.read_bytes() if each.is_file() else b"", each.stat().st_mtime_ns)
            for each in found
        }


def claude_in(home: Path, server: TokenServer) -> ClaudeCode:
    """Return the Claude Code of a home."""
    return ClaudeCode(server, home / ".claude", home / ".claude.json")


def claude_with(config_dir: Path, server: TokenServer) -> ClaudeCode:
    """Return the Claude Code of a ``CLAUDE_CONFIG_DIR``."""
    return ClaudeCode(server, config_dir, config_dir / ".claude.json")


# --- what its files may contain -------------------------------------------------------------------


def same_login_refreshed(claude: ClaudeCode) -> None:
    claude.log_in(OURS)


def same_login_other_refresh_token(claude: ClaudeCode) -> None:
    claude.log_in(OURS)
    document = json.loads(claude.credentials.read_bytes())
    document["claudeAiOauth"]["refreshToken"] = "sk-ant-ort01-another"
    claude.write(json.dumps(document).encode())


def same_login_expired(claude: ClaudeCode) -> None:
    claude.log_in(OURS, expires_in=-60)


def same_confirmed(claude: ClaudeCode) -> None:
    claude.store_login(OURS)
    claude.confirm(OURS)


def same_confirmed_config_names_other(claude: ClaudeCode) -> None:
    claude.log_in(OURS)
    claude.confirm(OURS)
    claude.configure(THEIRS)


def other_configured(claude: ClaudeCode) -> None:
    claude.log_in(THEIRS)


def other_configured_expired(claude: ClaudeCode) -> None:
    claude.log_in(THEIRS, expires_in=-60)


def other_confirmed(claude: ClaudeCode) -> None:
    claude.store_login(THEIRS)
    claude.confirm(THEIRS)


def other_configured_and_confirmed(claude: ClaudeCode) -> None:
    claude.log_in(THEIRS)
    claude.confirm(THEIRS)


def other_confirmed_config_names_ours(claude: ClaudeCode) -> None:
    claude.store_login(THEIRS)
    claude.confirm(THEIRS)
    claude.configure(OURS)


def never_logged_in(claude: ClaudeCode) -> None:
    del claude


def credentials_file_missing(claude: ClaudeCode) -> None:
    claude.log_in(OURS)
    claude.credentials.unlink()


def only_mcp_logins(claude: ClaudeCode) -> None:
    claude.write(b'{"mcpOAuth": {"x": {"accessToken": "sk-mcp"}}}')
    claude.configure(OURS)


def blanked(claude: ClaudeCode) -> None:
    claude.write(b'{"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}}')
    claude.configure(OURS)


def truncated(claude: ClaudeCode) -> None:
    claude.log_in(THEIRS)
    claude.write(claude.credentials.read_bytes()[:70])


def emptied(claude: ClaudeCode) -> None:
    claude.log_in(THEIRS)
    claude.write(b"")


def a_folder_instead_of_a_file(claude: ClaudeCode) -> None:
    claude.credentials.mkdir(parents=True)
    claude.configure(THEIRS)


def unusable_token(claude: ClaudeCode) -> None:
    claude.write(b'{"claudeAiOauth": {"accessToken": 7}}')
    claude.configure(THEIRS)


def unidentified_expired(claude: ClaudeCode) -> None:
    claude.store_login(THEIRS, expires_in=-60)  # too late to request its profile
    claude.configure(None)


def ours_unidentified_expired(claude: ClaudeCode) -> None:
    claude.store_login(OURS, expires_in=-60)


def ours_unidentified(claude: ClaudeCode) -> None:
    claude.store_login(OURS)


def other_unidentified(claude: ClaudeCode) -> None:
    claude.store_login(THEIRS)
    claude.configure(None)


def refused_by_the_api(claude: ClaudeCode) -> None:
    credentials = claude.store_login(THEIRS)
    claude.server.revoke(claude.server.family_of(credentials))


SAME, UNKNOWN, LOGGED_OUT, OTHER = Ownership

# The situation, the ownership by the files alone, and the ownership that the API confirms.
SITUATIONS: list[tuple[Situation, Ownership, Ownership]] = [
    (same_login_refreshed, SAME, SAME),
    (same_login_other_refresh_token, SAME, SAME),
    (same_login_expired, SAME, SAME),
    (same_confirmed, SAME, SAME),
    (same_confirmed_config_names_other, SAME, SAME),
    (other_configured, UNKNOWN, OTHER),
    (other_configured_expired, UNKNOWN, UNKNOWN),
    (other_confirmed, OTHER, OTHER),
    (other_configured_and_confirmed, OTHER, OTHER),
    (other_confirmed_config_names_ours, UNKNOWN, UNKNOWN),
    (never_logged_in, LOGGED_OUT, LOGGED_OUT),
    (credentials_file_missing, LOGGED_OUT, LOGGED_OUT),
    (only_mcp_logins, LOGGED_OUT, LOGGED_OUT),
    (blanked, LOGGED_OUT, LOGGED_OUT),
    (truncated, UNKNOWN, UNKNOWN),
    (emptied, UNKNOWN, UNKNOWN),
    (a_folder_instead_of_a_file, UNKNOWN, UNKNOWN),
    (unusable_token, UNKNOWN, UNKNOWN),
    (unidentified_expired, UNKNOWN, UNKNOWN),
    (ours_unidentified_expired, UNKNOWN, UNKNOWN),
    (ours_unidentified, UNKNOWN, SAME),
    (other_unidentified, UNKNOWN, OTHER),
    (refused_by_the_api, UNKNOWN, UNKNOWN),
]
every_situation = pytest.mark.parametrize(
    ("situation", "by_files", "confirmed"),
    SITUATIONS,
    ids=[each[0].__name__ for each in SITUATIONS],
)


@pytest.fixture
def claude(home: Path, server: TokenServer) -> ClaudeCode:
    return claude_in(home, server)


def imported(location: Mapping[str, str] | None = None, account: str | None = OURS) -> SavedAccount:
    """Return an account that was imported from the Claude Code at a location."""
    profile = Profile(account_uuid=uuid_of(account) if account else None)
    location = location_of(os.environ) if location is None else location
    return SavedAccount("id", OURS, "code", "claude-code", utc_now(), profile, location, "file", 0)


def check(account: SavedAccount | None = None, *, confirm: bool = False) -> OwnershipCheck:
    ownership = registry().services.saved_logins.ownership
    return ownership.check(account or imported(), utc_now(), confirm=confirm)


def ownership(account: SavedAccount | None = None, *, confirm: bool = False) -> Ownership:
    return check(account, confirm=confirm).ownership


def profile_requests(server: TokenServer) -> int:
    return sum(seen.path == PROFILE for seen in server.requests)


@every_situation
def test_the_files_and_the_api_say_which_account_claude_code_has(
    claude: ClaudeCode, situation: Situation, by_files: Ownership, confirmed: Ownership
) -> None:
    """At most one request is sent, and only to confirm the account."""
    situation(claude)
    before = claude.files()
    assert by_files is ownership()
    assert 0 == profile_requests(claude.server)
    assert confirmed is ownership(confirm=True)
    assert before == claude.files()
    assert 1 >= len(claude.server.requests)


def test_the_live_token_of_the_same_account_is_returned(claude: ClaudeCode) -> None:
    claude.log_in(OURS)
    live = json.loads(claude.credentials.read_bytes())["claudeAiOauth"]["accessToken"]
    credential = check().credential
    assert credential is not None
    assert live == credential.token.reveal()


def test_a_token_that_contradicts_the_configuration_is_not_returned(claude: ClaudeCode) -> None:
    other_confirmed_config_names_ours(claude)
    assert OwnershipCheck(UNKNOWN) == check(confirm=True)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (other_configured_and_confirmed, UNKNOWN),
        (same_login_refreshed, UNKNOWN),
        (other_unidentified, UNKNOWN),
        (credentials_file_missing, LOGGED_OUT),
    ],
)
def test_an_account_without_a_uuid_may_be_any_account(
    claude: ClaudeCode, situation: Situation, expected: Ownership
) -> None:
    situation(claude)
    assert expected is ownership(imported(account=None), confirm=True)
    assert [] == claude.server.requests


@pytest.mark.parametrize(
    "situation", [same_login_refreshed, same_confirmed, other_configured_expired]
)
def test_the_api_is_not_asked_about_an_account_that_is_known_or_a_token_that_has_expired(
    claude: ClaudeCode, situation: Situation
) -> None:
    situation(claude)
    check(confirm=True)
    assert [] == claude.server.requests


def test_a_token_whose_profile_names_nobody_is_not_asked_about_again(claude: ClaudeCode) -> None:
    login = claude.store_login(THEIRS)["claudeAiOauth"]
    fingerprint = token_fingerprint(Secret(login["accessToken"]))
    registry().services.state.store_profile(fingerprint, Profile(plan="Max"))
    assert UNKNOWN is ownership(confirm=True)
    assert [] == claude.server.requests


def test_a_confirmed_token_belongs_to_its_account(claude: ClaudeCode) -> None:
    login = claude.store_login(THEIRS)["claudeAiOauth"]
    ownership(confirm=True)
    identity = registry().services.state.identity_of(
        token_fingerprint(Secret(login["accessToken"]))
    )
    assert identity.startswith(uuid_of(THEIRS))


def test_the_organization_is_that_of_the_token_or_else_of_the_configuration(
    claude: ClaudeCode,
) -> None:
    claude.log_in(OURS)
    assert uuid_of(f"{OURS}'s") == check().organization_id
    same_confirmed_config_names_other(claude)
    assert uuid_of(f"{OURS}'s") == check().organization_id


def test_only_a_confirmation_ignores_the_last_login_of_a_truncated_file(
    claude: ClaudeCode,
) -> None:
    claude.log_in(OURS)
    found = registry().services.saved_logins.ownership
    assert SAME is found.check(imported(), utc_now()).ownership
    claude.write(claude.credentials.read_bytes()[:60])
    assert SAME is found.check(imported(), utc_now()).ownership
    assert UNKNOWN is found.check(imported(), utc_now(), confirm=True).ownership


@pytest.mark.parametrize(
    ("ownership", "message"),
    [
        (SAME, CredentialsExpired.default_message),
        (UNKNOWN, "The imported login has expired, and Claude Code may still use it."),
        (LOGGED_OUT, "The imported login has expired, and Claude Code is logged out."),
        (OTHER, None),
    ],
)
def test_a_copy_that_may_not_be_refreshed_says_why(
    ownership: Ownership, message: str | None
) -> None:
    problem = refresh_problem(imported(), OwnershipCheck(ownership))
    assert message == (problem.message if problem else None)


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"mcpOAuth": {}}'])
def test_of_other_content_nothing_is_imported(content: bytes) -> None:
    assert {} == imported_part(content)


def test_the_api_is_asked_once_for_each_token(claude: ClaudeCode) -> None:
    other_unidentified(claude)
    assert [OTHER] * 3 == [ownership(confirm=True) for _ in range(3)]
    assert OTHER is ownership()
    assert 1 == profile_requests(claude.server)


def test_while_the_api_is_unreachable_the_ownership_is_unknown_and_it_is_asked_again(
    claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_unidentified(claude)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    assert UNKNOWN is ownership(confirm=True)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", claude.server.url)
    assert OTHER is ownership(confirm=True)


def test_a_switch_of_accounts_is_noticed_at_once(claude: ClaudeCode) -> None:
    subject, account = registry().services.saved_logins.ownership, imported()
    found = []
    for situation in (
        same_login_refreshed,
        other_configured,
        credentials_file_missing,
        same_login_refreshed,
    ):
        situation(claude)
        found.append(subject.check(account, utc_now()).ownership)
    assert [SAME, UNKNOWN, LOGGED_OUT, SAME] == found


@pytest.mark.parametrize("origin", ["login", "claude-code"])
def test_a_token_is_not_ours_while_claude_code_writes_its_store(
    claude: ClaudeCode, origin: Origin
) -> None:
    """Also if it had another account before: it may be writing this one."""
    subject, account = (
        registry().services.saved_logins.ownership,
        imported()._replace(origin=origin),
    )
    token = Secret("sk-ant-ort01-ours")
    other_configured(claude)
    subject.check(account, utc_now())
    subject.require_ours(account, token, utc_now())
    truncated(claude)
    with pytest.raises(CredentialsExpired):
        subject.require_ours(account, token, utc_now())


@pytest.mark.parametrize("origin", ["login", "claude-code"])
def test_a_token_that_claude_code_has_is_not_ours_in_any_account(
    claude: ClaudeCode, origin: Origin
) -> None:
    login = claude.store_login(OURS)["claudeAiOauth"]
    account = imported(account=THEIRS)._replace(origin=origin)
    with pytest.raises(CredentialsExpired):
        registry().services.ownership.require_ours(
            account, Secret(login["refreshToken"]), utc_now()
        )


def test_the_keychain_is_read_again_only_if_forced_or_to_confirm(
    claude: ClaudeCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read may open a dialog on the screen."""
    content = json.dumps(claude.server.issue(OURS))
    reads, tool = tmp_path / "reads", tmp_path / "security"
    tool.write_text(f"#!/bin/sh\necho >> {reads}\nprintf %s '{content}'\n")
    tool.chmod(0o700)
    monkeypatch.setattr(keychain, "SECURITY", tool)
    monkeypatch.setitem(
        cast("dict[str, object]", CredentialFinder.__init__.__kwdefaults__), "use_keychain", True
    )
    subject, count = registry().services.ownership, []
    for arguments in ({}, {}, {"force": True}, {}, {"confirm": True}):
        subject.check(imported(), utc_now(), **arguments)
        count.append(reads.read_text().count("\n"))
    assert [1, 1, 2, 2, 3] == count


# --- several locations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "expected"),
    [("nothing", LOGGED_OUT), ("a folder", LOGGED_OUT), ("the same", SAME), ("another", OTHER)],
)
def test_the_config_folder_in_the_environment_counts(
    server: TokenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: str,
    expected: Ownership,
) -> None:
    folder = tmp_path / "config"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    claude = claude_with(folder, server)
    claude.log_in(THEIRS if there == "another" else OURS)
    if there == "a folder":
        claude.credentials.unlink()
    elif there == "nothing":
        shutil.rmtree(folder)
    assert expected is ownership(confirm=True)


def folder_missing(claude: ClaudeCode) -> None:
    shutil.rmtree(claude.credentials.parent, ignore_errors=True)


def logged_out(claude: ClaudeCode) -> None:
    credentials_file_missing(claude)


LOCATIONS: list[tuple[Situation, Situation, Ownership]] = [
    (same_login_refreshed, other_configured, SAME),
    (other_configured, same_login_refreshed, SAME),
    (logged_out, same_login_refreshed, SAME),
    (folder_missing, same_login_refreshed, SAME),
    (truncated, same_login_expired, SAME),
    (folder_missing, other_configured, LOGGED_OUT),
    (other_configured, truncated, UNKNOWN),
    (other_confirmed_config_names_ours, logged_out, UNKNOWN),
    (logged_out, ours_unidentified, SAME),
    (other_unidentified, logged_out, LOGGED_OUT),
    (logged_out, other_configured, LOGGED_OUT),
    (other_unidentified, other_configured, OTHER),
    (other_configured, other_configured_expired, UNKNOWN),
    (logged_out, logged_out, LOGGED_OUT),
]


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    LOCATIONS,
    ids=[f"{a.__name__}-{b.__name__}" for a, b, _ in LOCATIONS],
)
def test_both_the_location_of_the_import_and_the_current_one_count(
    server: TokenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    then: Situation,
    now: Situation,
    expected: Ownership,
) -> None:
    """Both must have another account before the copy is ours to refresh."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "then"))
    account = imported(location_of(os.environ))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "now"))
    then(claude_with(tmp_path / "then", server))
    now(claude_with(tmp_path / "now", server))
    assert expected is ownership(account, confirm=True)


def test_imported_with_a_config_folder_and_run_without_one(
    claude: ClaudeCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "then"))
    account = imported(location_of(os.environ))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    claude_with(tmp_path / "then", claude.server).log_in(OURS)
    claude.log_in(THEIRS)
    assert (SAME, OTHER) == (ownership(account), ownership(confirm=True))


def test_a_token_in_the_environment_says_nothing_about_the_store(
    claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude.log_in(OURS)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-elsewhere")
    found = check()
    assert found.credential is not None
    assert (SAME, False) == (found.ownership, "elsewhere" in found.credential.token.reveal())


def test_a_location_is_its_variables_as_absolute_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": "here", "CLAUDE_CONFIG_DIR": "~/x/", "PATH": "/bin", "USERPROFILE": ""}
    expected = {"HOME": str(tmp_path / "here"), "CLAUDE_CONFIG_DIR": str(tmp_path / "~/x")}
    assert expected == location_of(environ)
    assert {} == location_of({})
