"""Whose an account saved from Claude Code is to renew, by everything that its files may say."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor.monitor.login.ownership import Verdict, place_of
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.profile import Profile
from claude_usage_monitor.usage.secret import Secret
from tests.support.api import PROFILE
from tests.support.saved import registry
from tests.support.token_server import TokenServer, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from claude_usage_monitor.monitor.login.ownership import Whose

    Situation = Callable[["ClaudeCode"], None]

OURS, THEIRS = "work", "private"


class ClaudeCode:
    """A Claude Code: its files, as a test has them be."""

    def __init__(self, server: TokenServer, folder: Path, config: Path) -> None:
        self.server = server
        self.credentials = folder / ".credentials.json"
        self.config = config

    def holds(self, account: str, *, expires_in: float = 3600.0) -> dict[str, Any]:
        """Store a new login of an account."""
        credentials = self.server.issue(account, expires_in=expires_in)
        self.stores(json.dumps(credentials).encode())
        return credentials

    def stores(self, content: bytes) -> None:
        """Store exactly these bytes."""
        self.credentials.parent.mkdir(parents=True, exist_ok=True)
        self.credentials.write_bytes(content)

    def says(self, account: str | None) -> None:
        """Let its configuration name an account; ``None`` is none."""
        named = {"accountUuid": uuid_of(account or ""), "organizationUuid": uuid_of(f"{account}'s")}
        document = {"oauthAccount": named} if account else {"numStartups": 7}
        self.config.write_text(json.dumps(document))

    def logs_in(self, account: str, *, expires_in: float = 3600.0) -> None:
        """Store a new login and name its account."""
        self.holds(account, expires_in=expires_in)
        self.says(account)

    def token_is_known_to_be(self, account: str) -> None:
        """Let the API have told before whose the live token is."""
        login = json.loads(self.credentials.read_bytes())["claudeAiOauth"]
        who = Profile(account_uuid=uuid_of(account), organization_uuid=uuid_of(f"{account}'s"))
        state = registry().services.state
        fingerprint = token_fingerprint(Secret(login["accessToken"]))
        state.store_profile(fingerprint, who)
        state.link_identity(fingerprint, who.identity or "")

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Return its files as they are, and when they were written."""
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


# --- what Claude Code may be found to hold -------------------------------------------------------


def its_token_rotated(claude: ClaudeCode) -> None:
    claude.logs_in(OURS)


def its_refresh_token_changed_alone(claude: ClaudeCode) -> None:
    claude.logs_in(OURS)
    document = json.loads(claude.credentials.read_bytes())
    document["claudeAiOauth"]["refreshToken"] = "sk-ant-ort01-another"
    claude.stores(json.dumps(document).encode())


def its_live_token_expired(claude: ClaudeCode) -> None:
    claude.logs_in(OURS, expires_in=-60)


def known_by_its_token(claude: ClaudeCode) -> None:
    claude.holds(OURS)
    claude.token_is_known_to_be(OURS)


def known_by_its_token_while_the_file_names_another(claude: ClaudeCode) -> None:
    claude.logs_in(OURS)
    claude.token_is_known_to_be(OURS)
    claude.says(THEIRS)


def another_by_the_file(claude: ClaudeCode) -> None:
    claude.logs_in(THEIRS)


def another_by_the_file_expired(claude: ClaudeCode) -> None:
    claude.logs_in(THEIRS, expires_in=-60)


def another_by_its_token(claude: ClaudeCode) -> None:
    claude.holds(THEIRS)
    claude.token_is_known_to_be(THEIRS)


def another_by_both(claude: ClaudeCode) -> None:
    claude.logs_in(THEIRS)
    claude.token_is_known_to_be(THEIRS)


def contradictory(claude: ClaudeCode) -> None:
    claude.holds(THEIRS)
    claude.token_is_known_to_be(THEIRS)
    claude.says(OURS)


def never_logged_in(claude: ClaudeCode) -> None:
    del claude


def its_file_gone(claude: ClaudeCode) -> None:
    claude.logs_in(OURS)
    claude.credentials.unlink()


def logins_of_mcp_servers_alone(claude: ClaudeCode) -> None:
    claude.stores(b'{"mcpOAuth": {"x": {"accessToken": "sk-mcp"}}}')
    claude.says(OURS)


def blanked(claude: ClaudeCode) -> None:
    claude.stores(b'{"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}}')
    claude.says(OURS)


def torn(claude: ClaudeCode) -> None:
    claude.logs_in(THEIRS)
    claude.stores(claude.credentials.read_bytes()[:70])


def emptied(claude: ClaudeCode) -> None:
    claude.logs_in(THEIRS)
    claude.stores(b"")


def not_a_file(claude: ClaudeCode) -> None:
    claude.credentials.mkdir(parents=True)
    claude.says(THEIRS)


def a_token_that_is_none(claude: ClaudeCode) -> None:
    claude.stores(b'{"claudeAiOauth": {"accessToken": 7}}')
    claude.says(THEIRS)


def nobody_says_whose(claude: ClaudeCode) -> None:
    claude.holds(THEIRS, expires_in=-60)  # too late to ask
    claude.says(None)


def nobody_says_that_it_is_ours(claude: ClaudeCode) -> None:
    claude.holds(OURS, expires_in=-60)


def only_the_api_can_say_ours(claude: ClaudeCode) -> None:
    claude.holds(OURS)


def only_the_api_can_say_another(claude: ClaudeCode) -> None:
    claude.holds(THEIRS)
    claude.says(None)


def refused_by_the_api(claude: ClaudeCode) -> None:
    credentials = claude.holds(THEIRS)
    claude.server.revoke(claude.server.family_of(credentials))


# What is found, whose it is as far as the files say, and whose when the API may be asked.
SITUATIONS: list[tuple[Situation, Whose, Whose]] = [
    (its_token_rotated, "same", "same"),
    (its_refresh_token_changed_alone, "same", "same"),
    (its_live_token_expired, "same", "same"),
    (known_by_its_token, "same", "same"),
    (known_by_its_token_while_the_file_names_another, "same", "same"),
    (another_by_the_file, "other", "other"),
    (another_by_the_file_expired, "other", "other"),
    (another_by_its_token, "other", "other"),
    (another_by_both, "other", "other"),
    (contradictory, "unknown", "unknown"),
    (never_logged_in, "nobody", "nobody"),
    (its_file_gone, "nobody", "nobody"),
    (logins_of_mcp_servers_alone, "nobody", "nobody"),
    (blanked, "nobody", "nobody"),
    (torn, "unknown", "unknown"),
    (emptied, "unknown", "unknown"),
    (not_a_file, "unknown", "unknown"),
    (a_token_that_is_none, "unknown", "unknown"),
    (nobody_says_whose, "unknown", "unknown"),
    (nobody_says_that_it_is_ours, "unknown", "unknown"),
    (only_the_api_can_say_ours, "unknown", "same"),
    (only_the_api_can_say_another, "unknown", "other"),
    (refused_by_the_api, "unknown", "unknown"),
]
every_situation = pytest.mark.parametrize(
    ("situation", "whose", "whose_asked"), SITUATIONS, ids=[each[0].__name__ for each in SITUATIONS]
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer() as running:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", running.url)
        yield running


@pytest.fixture
def claude(home: Path, server: TokenServer) -> ClaudeCode:
    return claude_in(home, server)


def verdict(
    home: Mapping[str, str] | None = None, account: str | None = OURS, *, asking: bool = False
) -> Verdict:
    shared = registry().services.saved_logins.ownership(
        place_of(os.environ) if home is None else home
    )
    uuid = uuid_of(account) if account else None
    return shared.verdict(uuid, utc_now(), asking=asking)


def profiles_asked(server: TokenServer) -> int:
    return sum(seen.path == PROFILE for seen in server.requests)


@every_situation
def test_what_claude_code_holds_says_whose_it_is(
    claude: ClaudeCode, situation: Situation, whose: Whose, whose_asked: Whose
) -> None:
    """The API is asked only where it is allowed to be, and at most once."""
    situation(claude)
    before = claude.files()
    assert whose == verdict().whose
    assert 0 == profiles_asked(claude.server)
    assert whose_asked == verdict(asking=True).whose
    assert before == claude.files()
    assert 1 >= len(claude.server.requests)


def test_of_the_same_account_the_live_token_is_given(claude: ClaudeCode) -> None:
    claude.logs_in(OURS)
    live = json.loads(claude.credentials.read_bytes())["claudeAiOauth"]["accessToken"]
    found = verdict()
    assert found.credential is not None
    assert live == found.credential.token.reveal()


def test_a_token_that_contradicts_the_file_is_not_given(claude: ClaudeCode) -> None:
    contradictory(claude)
    assert Verdict("unknown") == verdict(asking=True)


@pytest.mark.parametrize(
    ("situation", "whose"),
    [
        (another_by_both, "unknown"),
        (its_token_rotated, "unknown"),
        (only_the_api_can_say_another, "unknown"),
        (its_file_gone, "nobody"),
    ],
)
def test_an_account_that_nobody_ever_identified_is_taken_for_nobodys_else(
    claude: ClaudeCode, situation: Situation, whose: Whose
) -> None:
    """Only a Claude Code that has no login at all cannot have this one."""
    situation(claude)
    assert whose == verdict(account=None, asking=True).whose
    assert [] == claude.server.requests


def test_whose_a_token_is_is_asked_once(claude: ClaudeCode) -> None:
    only_the_api_can_say_another(claude)
    assert ["other"] * 3 == [verdict(asking=True).whose for _ in range(3)]
    assert "other" == verdict().whose
    assert 1 == profiles_asked(claude.server)


def test_while_the_api_is_away_nobody_knows_and_it_is_asked_again(
    claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_the_api_can_say_another(claude)
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    assert "unknown" == verdict(asking=True).whose
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", claude.server.url)
    assert "other" == verdict(asking=True).whose


def test_a_switch_is_noticed_at_once(claude: ClaudeCode) -> None:
    shared = registry().services.saved_logins.ownership(place_of(os.environ))
    found = []
    for act in (its_token_rotated, another_by_the_file, its_file_gone, its_token_rotated):
        act(claude)
        found.append(shared.verdict(uuid_of(OURS), utc_now()).whose)
    assert ["same", "other", "nobody", "same"] == found


# --- several places ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "whose"),
    [("nothing", "unknown"), ("a folder", "nobody"), ("the same", "same"), ("another", "other")],
)
def test_a_config_folder_that_is_gone_is_no_logout(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, whose: Whose
) -> None:
    """It may be on a disk that is not there just now; without the file in it, it is one."""
    folder = tmp_path / "config"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    claude = claude_with(folder, server)
    claude.logs_in(THEIRS if there == "another" else OURS)
    if there == "a folder":
        claude.credentials.unlink()
    elif there == "nothing":
        shutil.rmtree(folder)
    assert whose == verdict(asking=True).whose


def nothing_there(claude: ClaudeCode) -> None:
    shutil.rmtree(claude.credentials.parent, ignore_errors=True)


def logged_out(claude: ClaudeCode) -> None:
    its_file_gone(claude)


PLACES: list[tuple[Situation, Situation, Whose]] = [
    (its_token_rotated, another_by_the_file, "same"),
    (another_by_the_file, its_token_rotated, "same"),
    (logged_out, its_token_rotated, "same"),
    (nothing_there, its_token_rotated, "same"),
    (torn, its_live_token_expired, "same"),
    (nothing_there, another_by_the_file, "unknown"),
    (another_by_the_file, torn, "unknown"),
    (contradictory, logged_out, "unknown"),
    (logged_out, only_the_api_can_say_ours, "same"),
    (only_the_api_can_say_another, logged_out, "other"),
    (another_by_the_file, logged_out, "other"),
    (logged_out, another_by_the_file, "other"),
    (logged_out, logged_out, "nobody"),
]


@pytest.mark.parametrize(
    ("then", "now", "whose"), PLACES, ids=[f"{a.__name__}-{b.__name__}" for a, b, _ in PLACES]
)
def test_saved_under_one_config_folder_and_run_under_another(
    server: TokenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    then: Situation,
    now: Situation,
    whose: Whose,
) -> None:
    """Neither may hold the account before it is ours to renew."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "then"))
    home = place_of(os.environ)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "now"))
    then(claude_with(tmp_path / "then", server))
    now(claude_with(tmp_path / "now", server))
    assert whose == verdict(home, asking=True).whose


def test_saved_with_a_config_folder_and_run_without_one(
    claude: ClaudeCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "then"))
    home = place_of(os.environ)
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    claude_with(tmp_path / "then", claude.server).logs_in(OURS)
    claude.logs_in(THEIRS)
    assert ("same", "other") == (verdict(home).whose, verdict().whose)


def test_a_login_of_the_environment_says_nothing_about_the_store(
    claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude.logs_in(OURS)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-elsewhere")
    found = verdict()
    assert found.credential is not None
    assert ("same", False) == (found.whose, "elsewhere" in found.credential.token.reveal())


# --- what names a place --------------------------------------------------------------------------


def test_a_place_is_its_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": "here", "CLAUDE_CONFIG_DIR": "~/x/", "PATH": "/bin", "USERPROFILE": ""}
    expected = {"HOME": str(tmp_path / "here"), "CLAUDE_CONFIG_DIR": str(tmp_path / "~/x")}
    assert expected == place_of(environ)
    assert {} == place_of({})
