"""What is shown of a saved account, and whether its login is refreshed."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_usage_monitor.errors import (
    AccountsUnavailable,
    CredentialsExpired,
    SecretStoreUnavailable,
)
from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.readers import claude_code_reader
from claude_usage_monitor.monitor.login.ownership import Ownership, location_of
from claude_usage_monitor.monitor.login.stored import CredentialStore, StoredCredentials
from claude_usage_monitor.monitor.reader import DisplayedAccount, read_all
from claude_usage_monitor.monitor.subscription.saved_login import SavedLogin
from claude_usage_monitor.store.accounts.account_store import AccountStore
from claude_usage_monitor.store.accounts.refresh_state import RefreshState
from claude_usage_monitor.store.paths import accounts_path, secrets_path
from claude_usage_monitor.store.secrets.secret_store import SecretStore, StoredSecret
from claude_usage_monitor.store.state.identities import token_fingerprint
from claude_usage_monitor.store.state.ledger import Backoff, Granted
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.secret import Secret
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus, Problem, Profile
from tests.monitor.login.test_ownership import (
    OURS,
    THEIRS,
    ClaudeCode,
    blanked,
    claude_in,
    credentials_file_missing,
    every_situation,
    never_logged_in,
    other_configured,
    same_login_expired,
    same_login_refreshed,
    unidentified_expired,
)
from tests.support.api import USAGE
from tests.support.payloads import as_bytes
from tests.support.saved import Clock, read, refresh_token, registry, save_account
from tests.support.secret_service import unlocked
from tests.support.small_disk import small_disk
from tests.support.token_server import (
    Fault,
    TokenServer,
    dropped,
    email_of,
    garbled,
    refused,
    uuid_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
    from claude_usage_monitor.store.accounts.saved_account import (
        Origin,
        SavedAccount,
        SecretLocation,
    )
    from tests.monitor.login.test_ownership import Situation

FIGURES = {OURS: 41.0, THEIRS: 99.0}


@pytest.fixture
def server(server: TokenServer) -> TokenServer:
    server.figures |= FIGURES
    return server


@pytest.fixture
def claude(home: Path, server: TokenServer) -> ClaudeCode:
    return claude_in(home, server)


def saved_from(claude: ClaudeCode, *, expires_in: float = -60) -> SavedAccount:
    """Return an account imported from Claude Code; its token expires in so many seconds."""
    credentials = claude.server.issue(OURS, expires_in=expires_in)
    return save_account(credentials, OURS, "claude-code", location_of(os.environ))


def own(server: TokenServer) -> SavedAccount:
    """Return an account with an expired login of its own."""
    return save_account(server.issue(OURS, expires_in=-60), OURS)


def login_of(saved: SavedAccount) -> SavedLogin:
    """Return the login that a new process would read."""
    services = registry().services
    return SavedLogin(
        saved,
        services.accounts,
        services.credentials,
        services.ownership,
        services.refresher,
        services.state,
    )


def claude_codes(found: AccountRegistry) -> AccountStatus:
    return claude_code_reader(found.services).read(AccountStatus(CLAUDE_CODE))


def code(status: AccountStatus) -> str | None:
    return status.problem.code if status.problem else None


def five_hour(status: AccountStatus) -> float | None:
    assert status.usage is None or status.usage.five_hour is not None
    return status.usage.five_hour.utilization if status.usage and status.usage.five_hour else None


def usage_tokens(server: TokenServer) -> list[str | None]:
    """Return the access tokens of the requests for usage."""
    return [seen.access_token for seen in server.requests if seen.path == USAGE]


def access_token(credentials: Mapping[str, object]) -> str:
    login = credentials["claudeAiOauth"]
    assert isinstance(login, dict)
    return str(login["accessToken"])


def refused_login(server: TokenServer, account: str = OURS) -> dict[str, Any]:
    """Return a login with an access token that the API refuses before it expires."""
    credentials: dict[str, Any] = server.issue(account)
    credentials["claudeAiOauth"]["accessToken"] = "sk-ant-oat01-refused"
    return credentials


# --- imported from Claude Code -------------------------------------------------------------------


@every_situation
def test_a_copy_is_refreshed_only_while_claude_code_is_logged_in_to_another_account(
    claude: ClaudeCode, situation: Situation, by_files: Ownership, confirmed: Ownership
) -> None:
    """The live token of the same account is used; our copy is refreshed for another one only."""
    saved = saved_from(claude)
    ours = refresh_token(saved)
    situation(claude)
    before = claude.files()
    statuses = [read(registry(), saved) for _ in range(2)]
    if confirmed is Ownership.OTHER:
        assert [ours] == [seen.refresh_token for seen in claude.server.refreshes]
        assert [(41.0, None)] * 2 == [(five_hour(each), code(each)) for each in statuses]
        assert ["saved login (encrypted file)"] * 2 == [s.credential_origin for s in statuses]
    else:
        assert [] == claude.server.refreshes
        assert claude.server.accepts(ours)
        assert {None, "credentials_expired"} >= {code(each) for each in statuses}
        assert {None, 41.0} >= {five_hour(each) for each in statuses}
    assert all(each.account.email == email_of(OURS) for each in statuses)
    assert before == claude.files()


def test_the_live_token_of_claude_code_is_used_and_named(claude: ClaudeCode) -> None:
    saved = saved_from(claude, expires_in=3600)
    same_login_refreshed(claude)
    live = access_token(json.loads(claude.credentials.read_bytes()))
    status = read(registry(), saved)
    assert (41.0, "Claude Code credentials file") == (five_hour(status), status.credential_origin)
    assert [live] == usage_tokens(claude.server)


def test_only_claude_code_refreshes_its_expired_token(claude: ClaudeCode) -> None:
    """Even while our copy of an earlier one is still valid."""
    saved = saved_from(claude, expires_in=3600)
    same_login_expired(claude)
    status = read(registry(), saved)
    assert status.problem is not None
    assert "Open Claude Code once" in status.problem.hint
    assert [] == claude.server.requests


def test_a_refused_token_of_claude_code_is_not_refreshed(claude: ClaudeCode) -> None:
    saved = saved_from(claude)
    claude.write(as_bytes(refused_login(claude.server)))
    claude.configure(OURS)
    before = claude.files()
    status = read(registry(), saved)
    assert "unauthorized" == code(status)
    assert "`claude`" in (status.problem.hint if status.problem else "")
    assert [] == claude.server.refreshes
    assert before == claude.files()


@pytest.mark.parametrize(
    ("situation", "reason"),
    [(unidentified_expired, "may still use it"), (credentials_file_missing, "is logged out")],
)
def test_a_copy_that_is_not_refreshed_says_what_to_do(
    claude: ClaudeCode, situation: Situation, reason: str
) -> None:
    saved = saved_from(claude)
    situation(claude)
    status = read(registry(), saved)
    assert status.problem is not None
    assert ("credentials_expired", True) == (code(status), reason in status.problem.message)
    assert "Log in with `claude`" in status.problem.hint
    assert f"`claude-usage-monitor accounts add {OURS} --login --replace`" in status.problem.hint


def test_a_credentials_file_that_is_missing_for_a_moment_costs_claude_code_nothing(
    claude: ClaudeCode,
) -> None:
    """As while a sync tool deletes and creates it: our copy has Claude Code's refresh token."""
    claude.log_in(OURS, expires_in=-60)
    content = claude.credentials.read_bytes()
    add.add_from_claude_code(registry(), OURS)
    (saved,) = registry().services.accounts.all()
    claude.credentials.unlink()
    for clock in (Clock(), Clock()):
        clock.advance(days=1)
        assert "credentials_expired" == code(read(registry(clock), saved))
    claude.write(content)
    assert [] == claude.server.refreshes
    assert claude.server.accepts(json.loads(content))


def test_a_valid_copy_shows_figures_whichever_account_claude_code_is_logged_in_to(
    claude: ClaudeCode,
) -> None:
    saved = saved_from(claude, expires_in=3600)
    other_configured(claude)
    assert (41.0, None) == (five_hour(status := read(registry(), saved)), code(status))
    assert [] == claude.server.refreshes


@pytest.mark.parametrize("fault", [dropped(), dropped(consumes=False), garbled()])
def test_the_refresh_token_of_a_copy_is_sent_once_at_most(claude: ClaudeCode, fault: Fault) -> None:
    """Claude Code may have the same one: a second use would end its login."""
    clock = Clock()
    saved = saved_from(claude)
    other_configured(claude)
    claude.server.script(fault)
    first = read(registry(clock), saved)
    clock.advance(days=1)
    second = read(registry(clock), saved)
    assert ["credentials_expired"] * 2 == [code(first), code(second)]
    assert "--login --replace" in (second.problem.hint if second.problem else "")
    assert 1 == len(claude.server.refreshes)


@pytest.mark.parametrize(
    ("origin", "unanswered", "requests"),
    [("login", 1, 1), ("login", 2, 0), ("claude-code", 0, 1), ("claude-code", 1, 0)],
)
def test_a_refresh_token_is_not_sent_after_too_many_attempts_without_a_response(
    claude: ClaudeCode, origin: Origin, unanswered: int, requests: int
) -> None:
    """As those of processes that were killed."""
    saved = saved_from(claude) if origin == "claude-code" else own(claude.server)
    other_configured(claude)
    state = RefreshState(token_fingerprint(Secret(refresh_token(saved))), unanswered)
    registry().services.accounts.store_refresh_state(saved.id, state)
    problem = code(read(registry(), saved))
    assert requests == len(claude.server.refreshes)
    assert problem == (None if requests else "credentials_expired")


def test_a_revoked_refresh_token_of_a_copy_is_not_sent_again(claude: ClaudeCode) -> None:
    clock = Clock()
    saved = saved_from(claude)
    other_configured(claude)
    claude.server.revoke(claude.server.family_of(refresh_token(saved)))
    for _ in range(2):
        assert "credentials_expired" == code(read(registry(clock), saved))
        clock.advance(days=1)
    assert 1 == len(claude.server.refreshes)


def test_the_live_token_is_used_again_when_claude_code_is_back_in_the_same_account(
    claude: ClaudeCode,
) -> None:
    clock = Clock()
    saved = saved_from(claude)
    found = registry(clock)
    other_configured(claude)
    assert 41.0 == five_hour(read(found, saved))
    same_login_refreshed(claude)
    clock.advance(seconds=400)
    assert "Claude Code credentials file" == read(found, saved).credential_origin
    assert 1 == len(claude.server.refreshes)


def test_figures_of_another_login_are_never_shown(claude: ClaudeCode) -> None:
    """Neither Claude Code's as this account's, nor this account's as Claude Code's."""
    saved = saved_from(claude, expires_in=3600)
    same_login_refreshed(claude)
    found = registry()
    assert 41.0 == five_hour(read(found, saved))
    other_configured(claude)
    assert 41.0 == five_hour(read(found, saved))
    assert 99.0 == five_hour(claude_codes(found))


def test_a_copy_is_updated_when_claude_code_has_refreshed_its_login(claude: ClaudeCode) -> None:
    """The refresh token of the previous copy is spent."""
    clock = Clock()
    saved = saved_from(claude)
    same_login_refreshed(claude)
    live = json.loads(claude.credentials.read_bytes())
    for _ in range(2):  # the first read confirms the account of the new token
        read(registry(clock), saved)
    assert live["claudeAiOauth"]["refreshToken"] == refresh_token(saved)
    claude.log_in(THEIRS, expires_in=86400)
    clock.advance(hours=9)
    assert 41.0 == five_hour(read(registry(clock), saved))
    (sent,) = claude.server.refreshes
    assert live["claudeAiOauth"]["refreshToken"] == sent.refresh_token
    assert claude.server.accepts(refresh_token(saved))


def test_a_copy_is_updated_once_for_each_login_of_claude_code(
    claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, updates = saved_from(claude, expires_in=3600), list[str]()
    same_login_refreshed(claude)
    claude.confirm(OURS)

    def update_copy(_: CredentialStore, account: SavedAccount, _credentials: object) -> None:
        updates.append(account.name)

    monkeypatch.setattr(CredentialStore, "update_copy", update_copy)
    login = login_of(saved)
    for _ in range(2):
        login.snapshot(utc_now())
        assert [OURS] == updates


def test_a_new_login_of_claude_code_is_shown_with_the_stored_identity_and_profile(
    claude: ClaudeCode,
) -> None:
    """Until the API has sent those of its token."""
    saved, state = saved_from(claude, expires_in=3600), registry().services.state
    same_login_refreshed(claude)
    shown = login_of(saved).snapshot(utc_now())
    assert (saved.profile.identity, saved.profile) == (shown.identity, shown.profile)
    assert shown.credential is not None
    sent = saved.profile._replace(plan="Pro")
    state.store_profile(shown.credential.fingerprint, sent)
    assert sent == login_of(saved).snapshot(utc_now()).profile


@pytest.mark.parametrize("situation", [blanked, never_logged_in])
def test_a_copy_is_not_refreshable_while_claude_code_is_logged_out(
    claude: ClaudeCode, situation: Situation
) -> None:
    saved = saved_from(claude)
    situation(claude)
    shown = login_of(saved).snapshot(utc_now())
    assert not shown.refreshable
    assert isinstance(shown.problem, CredentialsExpired)
    assert "is logged out" in shown.problem.message


def test_a_copy_is_not_updated_before_the_api_has_confirmed_the_account(claude: ClaudeCode) -> None:
    """Its request for the profile may have failed."""
    saved = saved_from(claude, expires_in=3600)
    before = refresh_token(saved)
    same_login_refreshed(claude)
    live = access_token(json.loads(claude.credentials.read_bytes()))
    registry().services.state.store_profile(token_fingerprint(Secret(live)), Profile(plan="Max"))
    for _ in range(2):
        assert "Claude Code credentials file" == read(registry(), saved).credential_origin
    assert before == refresh_token(saved)


def test_figures_of_another_organization_of_the_same_person_are_not_shown(
    claude: ClaudeCode,
) -> None:
    saved = saved_from(claude, expires_in=3600)
    claude.log_in(OURS)
    oauth_account = {"accountUuid": uuid_of(OURS), "organizationUuid": uuid_of("another")}
    claude.config.write_text(json.dumps({"oauthAccount": oauth_account}))
    assert "saved login (encrypted file)" == read(registry(), saved).credential_origin


def test_without_a_profile_the_plan_of_the_stored_login_is_shown(server: TokenServer) -> None:
    saved = save_account(server.issue(OURS, expires_in=-60), OURS)
    registry().services.accounts.store_profile(saved.id, Profile())
    server.script(refused(503))
    profile = read(registry(), saved).profile
    assert profile is not None
    assert "Max 5x" == profile.plan


def test_a_configuration_that_names_the_previous_login_changes_no_account(
    claude: ClaudeCode,
) -> None:
    """Claude Code has the token of another account while its file still names this one."""
    saved = saved_from(claude, expires_in=3600)
    claude.store_login(THEIRS)
    claude.configure(OURS)
    statuses = [read(registry(), saved) for _ in range(2)]
    assert 99.0 not in [five_hour(status) for status in statuses]
    assert 41.0 == five_hour(statuses[-1])
    assert uuid_of(OURS) == registry().services.accounts.all()[0].profile.account_uuid
    claude.configure(THEIRS)
    assert 41.0 == five_hour(read(registry(), saved))
    assert [] == claude.server.refreshes


def test_two_copies_of_one_login_send_its_refresh_token_once(claude: ClaudeCode) -> None:
    """Also when they are read at the same instant: a second use ends the login."""
    same_login_refreshed(claude)
    found = registry()
    for name in ("one", "two"):
        add.add_from_claude_code(found, name)
    claude.log_in(THEIRS, expires_in=86400)
    clock = Clock()
    clock.advance(hours=2)
    claude.server.latency = 0.05
    late = registry(clock)
    current = [
        DisplayedAccount(e.key, e.account, late.reader(e)) for e in late.all_accounts() if e.saved
    ]
    read_all(current, late.services.settings.interval)
    (sent,) = claude.server.refreshes
    assert claude.server.alive(claude.server.family_of(sent.refresh_token))


def test_a_token_whose_response_one_copy_has_lost_is_not_sent_by_another_copy(
    claude: ClaudeCode,
) -> None:
    same_login_refreshed(claude)
    found, clock = registry(), Clock()
    for name in ("one", "two"):
        add.add_from_claude_code(found, name)
    claude.log_in(THEIRS, expires_in=86400)
    clock.advance(hours=2)
    claude.server.script(dropped(consumes=False))
    for copy in found.services.accounts.all():
        problem = read(registry(clock), copy).problem
        assert problem is not None
        assert "the response to its refresh was lost" in problem.message
    assert 1 == len(claude.server.refreshes)


def test_a_replaced_login_is_noticed_while_it_is_shown(claude: ClaudeCode) -> None:
    """From then on, only Claude Code refreshes it."""
    clock = Clock()
    saved = save_account(claude.server.issue(OURS), OURS)
    shown = registry(clock)
    assert 41.0 == five_hour(read(shown, saved))
    claude.log_in(OURS, expires_in=3600)
    live = json.loads(claude.credentials.read_bytes())
    add.add_from_claude_code(registry(), OURS, replace=True)
    clock.advance(minutes=57)
    read(shown, saved)
    assert [] == claude.server.refreshes
    assert claude.server.accepts(live)


# --- logins of our own ---------------------------------------------------------------------------


def test_an_own_login_that_soon_expires_is_refreshed_before_it_is_used(server: TokenServer) -> None:
    credentials = server.issue(OURS, expires_in=299)
    saved = save_account(credentials, OURS)
    assert (41.0, None) == (five_hour(status := read(registry(), saved)), code(status))
    assert access_token(credentials) not in usage_tokens(server)
    assert 1 == len(server.refreshes)


def test_claude_codes_login_does_not_matter_to_an_own_login(claude: ClaudeCode) -> None:
    """Even of the same account: it has other tokens."""
    claude.log_in(OURS)
    before = claude.files()
    saved = save_account(claude.server.issue(OURS, expires_in=-60), OURS)
    status = read(registry(), saved)
    assert "saved login (encrypted file)" == status.credential_origin
    assert 1 == len(claude.server.refreshes)
    assert before == claude.files()


def test_a_refused_token_is_refreshed_once_and_then_used(server: TokenServer) -> None:
    saved = save_account(refused_login(server), OURS)
    status = read(registry(), saved)
    assert (41.0, None) == (five_hour(status), code(status))
    assert ("sk-ant-oat01-refused", 2) == (usage_tokens(server)[0], len(usage_tokens(server)))
    assert 1 == len(server.refreshes)


def test_a_refreshed_token_that_is_refused_again_is_not_refreshed_for_an_hour(
    server: TokenServer,
) -> None:
    """By no process: it would spend tokens for nothing."""
    clock = Clock()
    saved = save_account(refused_login(server), OURS)
    answer = {"access_token": "no-good", "refresh_token": "next", "expires_in": 28800}
    server.script(garbled(as_bytes(answer)))
    statuses = []
    for found in (registry(clock), registry(clock)):
        for _ in range(2):
            statuses.append(read(found, saved))
            clock.advance(minutes=15)
    assert {"unauthorized"} == {code(status) for status in statuses}
    hints = [status.problem.hint for status in statuses if status.problem]
    assert ["--login --replace" in hint for hint in hints] == [True] * 4
    assert 1 == len(server.refreshes)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (refused(429, headers={"Retry-After": "900"}), "rate_limited"),
        (refused(503), "server_error"),
    ],
)
def test_a_temporary_failure_makes_every_process_back_off(
    server: TokenServer, fault: Fault, expected: str
) -> None:
    clock = Clock()
    saved = save_account(server.issue(OURS, expires_in=-60), OURS)
    server.script(fault)
    first = read(registry(clock), saved)
    second = read(registry(clock), saved)
    assert [expected] * 2 == [code(first), code(second)]
    assert 1 == len(server.refreshes)
    assert first.next_read_at is not None
    assert second.next_read_at is not None
    assert 1 > abs((first.next_read_at - second.next_read_at).total_seconds())
    clock.advance(seconds=(first.next_read_at - clock()).total_seconds() + 1)
    assert 41.0 == five_hour(read(registry(clock), saved))
    assert 2 == len(server.refreshes)


def test_unknown_keys_survive_a_refresh(server: TokenServer) -> None:
    credentials: dict[str, Any] = server.issue(OURS, expires_in=-60)
    credentials["claudeAiOauth"]["clientId"] = "later"
    credentials["later"] = {"x": [1, None, "ü"]}
    saved = save_account(credentials, OURS)
    read(registry(), saved)
    stored: Any = registry().services.secrets.read(saved.id).content["credentials"]
    assert ("later", {"x": [1, None, "ü"]}) == (
        stored["claudeAiOauth"]["clientId"],
        stored["later"],
    )
    assert refresh_token(saved) != credentials["claudeAiOauth"]["refreshToken"]


def test_an_expired_login_without_a_refresh_token_says_what_to_do(server: TokenServer) -> None:
    credentials: dict[str, Any] = server.issue(OURS, expires_in=-60)
    del credentials["claudeAiOauth"]["refreshToken"]
    status = read(registry(), save_account(credentials, OURS))
    assert "credentials_expired" == code(status)
    assert "--login --replace" in (status.problem.hint if status.problem else "")
    assert [] == server.requests


def test_a_refused_login_without_a_refresh_token_has_the_problem_of_the_api(
    server: TokenServer,
) -> None:
    credentials = refused_login(server)
    del credentials["claudeAiOauth"]["refreshToken"]
    saved = save_account(credentials, OURS)
    statuses = [read(registry(), saved) for _ in range(2)]
    assert ["unauthorized"] * 2 == [code(status) for status in statuses]


def test_figures_are_shown_although_the_account_list_cannot_be_written(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the profile could not be stored there."""
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.05)
    saved = save_account(server.issue(OURS), OURS)
    with closing(sqlite3.connect(accounts_path(os.environ), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (41.0, None) == (five_hour(status := read(registry(), saved)), code(status))


def test_an_account_list_that_is_locked_when_the_response_arrives_loses_no_login(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a process that was stopped while it was writing."""
    monkeypatch.setattr("claude_usage_monitor.store.accounts.accounts_file.BUSY_TIMEOUT", 0.05)
    saved = save_account(server.issue(OURS, expires_in=-60), OURS)
    clock = Clock()
    found = registry(clock)
    with closing(
        sqlite3.connect(accounts_path(os.environ), isolation_level=None, check_same_thread=False)
    ) as other:

        def lock(_: object) -> None:
            other.execute("BEGIN IMMEDIATE")

        server.after_rotation = lock
        assert (41.0, None) == (five_hour(status := read(found, saved)), code(status))
        server.after_rotation = None
        other.execute("ROLLBACK")
    clock.advance(minutes=2)
    assert (41.0, None) == (five_hour(status := read(found, saved)), code(status))
    assert server.accepts(refresh_token(saved))
    assert 1 == len(server.refreshes)


def test_an_own_login_is_shown_with_the_identity_and_profile_of_its_token(
    server: TokenServer,
) -> None:
    saved, state = own(server), registry().services.state
    login = login_of(saved)
    shown = login.snapshot(utc_now())
    assert (saved.profile.identity, saved.profile) == (shown.identity, shown.profile)
    assert shown.credential is not None
    sent = saved.profile._replace(plan="Pro")
    state.store_profile(shown.credential.fingerprint, sent)
    state.link_identity(shown.credential.fingerprint, "person/organization")
    shown = login.snapshot(utc_now())
    assert ("person/organization", sent) == (shown.identity, shown.profile)


def test_only_a_login_that_may_be_refreshed_is_refreshed(server: TokenServer) -> None:
    saved, now = own(server), utc_now()
    login = login_of(saved)
    shown = login.snapshot(now)
    assert (True, None) == (shown.refreshable, shown.problem)
    for unusable in (shown._replace(refreshable=False), shown._replace(credential=None)):
        assert not login.refresh(unusable, now, refused=True)
    without_token: dict[str, Any] = server.issue(OURS, expires_in=-60)
    del without_token["claudeAiOauth"]["refreshToken"]
    other = save_account(without_token, "other")
    assert not login_of(other).snapshot(now).refreshable
    assert [] == server.refreshes


def test_a_login_that_is_not_about_to_expire_is_not_refreshed(server: TokenServer) -> None:
    login, now = login_of(save_account(server.issue(OURS), OURS)), utc_now()
    assert not login.refresh(login.snapshot(now), now, refused=False)
    assert [] == server.refreshes


def test_a_login_is_not_refreshable_while_its_refresh_backs_off(server: TokenServer) -> None:
    saved, now = own(server), utc_now()
    token = token_fingerprint(Secret(refresh_token(saved)))
    backing_off = RefreshState(token, 0, 1, now + timedelta(minutes=9), "server_error", "later", "")
    registry().services.accounts.store_refresh_state(saved.id, backing_off)
    found = [login_of(saved).snapshot(now + timedelta(minutes=m)) for m in (0, 10)]
    assert [(False, "later"), (True, None)] == [
        (each.refreshable, each.problem and each.problem.message) for each in found
    ]


def test_a_login_is_not_refreshable_before_the_last_refresh_is_stored(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CredentialStore, "pending_problem", lambda *_: "not stored")
    shown = login_of(own(server)).snapshot(utc_now())
    assert ("not stored", False) == (shown.notice, shown.refreshable)


def test_a_token_that_is_refused_after_it_was_accepted_is_refreshed(server: TokenServer) -> None:
    """In five minutes at the earliest, not an hour: the login was usable before."""
    clock = Clock()
    saved = own(server)
    assert 41.0 == five_hour(read(registry(clock), saved))
    server.refuse_access_tokens()
    clock.advance(minutes=6)
    assert (41.0, None) == (five_hour(status := read(registry(clock), saved)), code(status))
    assert 2 == len(server.refreshes)


def test_a_token_whose_login_has_ended_is_shown_as_long_as_the_api_accepts_it(
    server: TokenServer,
) -> None:
    """Its last request may have failed for another reason than the login."""
    saved, now = save_account(server.issue(OURS), OURS), utc_now()
    login, services = login_of(saved), registry().services
    credential = login.snapshot(now).credential
    assert credential is not None
    token = token_fingerprint(Secret(refresh_token(saved)))
    ended = RefreshState(token, 0, 0, None, "credentials_expired", "ended", "")
    services.accounts.store_refresh_state(saved.id, ended)
    for code, expected in (("rate_limited", None), ("unauthorized", "ended")):
        granted = services.state.acquire(credential.fingerprint, "identity", now)
        assert isinstance(granted, Granted)
        failed = Backoff(now, now + timedelta(minutes=1), Problem(code, "", ""))
        services.state.record_result(granted.request, credential.fingerprint, failed)
        problem = login.snapshot(now).problem
        assert expected == (problem and problem.message)
        now += timedelta(minutes=2)


def test_a_refreshed_login_is_of_its_account_before_its_token_is_used(server: TokenServer) -> None:
    saved, now = own(server), utc_now()
    login = login_of(saved)
    assert login.refresh(login.snapshot(now), now, refused=False)
    refreshed = login.snapshot(now)
    assert refreshed.credential is not None
    stored = registry().services.state.identity_of(refreshed.credential.fingerprint)
    assert saved.profile.identity == refreshed.identity == stored


@pytest.mark.parametrize(
    "other",
    [
        Profile(account_uuid=uuid_of(THEIRS), organization_uuid=uuid_of(f"{OURS}'s")),
        Profile(account_uuid=uuid_of(OURS), organization_uuid=uuid_of(f"{THEIRS}'s")),
        Profile(plan="Pro"),
    ],
)
def test_a_profile_of_another_account_or_organization_is_not_stored(
    server: TokenServer, other: Profile
) -> None:
    saved = own(server)
    login_of(saved).store_profile(other)
    current = registry().services.accounts.get(saved.id)
    assert current is not None
    assert saved.profile == current.profile


def test_only_a_new_profile_of_the_account_is_written(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, written = own(server), list[Profile]()
    changed = saved.profile._replace(plan="Pro")

    def store_profile(_: AccountStore, account_id: str, profile: Profile) -> None:
        assert saved.id == account_id
        written.append(profile)

    monkeypatch.setattr(AccountStore, "store_profile", store_profile)
    for profile in (saved.profile, changed):
        login_of(saved).store_profile(profile)
    assert [changed] == written


def test_a_login_is_read_from_its_store_again_only_if_it_was_replaced_or_this_is_forced(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyring may take long, or show a prompt."""
    saved, now, reads = own(server), utc_now(), list[str]()
    login, read_secret = login_of(saved), SecretStore.read

    def read_and_count(
        store: SecretStore, account_id: str, *, location: SecretLocation | None = None
    ) -> StoredSecret:
        reads.append(account_id)
        return read_secret(store, account_id, location=location)

    monkeypatch.setattr(SecretStore, "read", read_and_count)
    for _ in range(2):
        login.snapshot(now)
        assert 1 == len(reads)
    login.snapshot(now, force=True)
    assert 2 == len(reads)
    other = registry().services
    secret = other.secrets.write(saved.id, StoredCredentials(server.issue(OURS)).as_secret())
    other.accounts.store_secret_location(saved.id, secret.location, secret.generation)
    for _ in range(2):
        login.snapshot(now)
        assert 3 == len(reads)


# --- unavailable secret stores -------------------------------------------------------------------


def test_a_refused_token_is_refreshed_once_there_is_space_again(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same process, which could not have stored the new tokens before."""
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(disk.path / "ours"))
        saved = save_account(refused_login(server), OURS)
        clock = Clock()
        found = registry(clock)
        disk.fill()
        assert "secret_store_unavailable" == code(read(found, saved))
        assert [] == server.refreshes
        disk.empty()
        clock.advance(minutes=1)
        assert (41.0, None) == (five_hour(status := read(found, saved)), code(status))


def test_a_locked_keyring_is_a_problem_of_its_accounts_only(
    claude: ClaudeCode,
) -> None:
    claude.log_in(THEIRS)
    in_file = save_account(claude.server.issue("in file", expires_in=3600), "in file")
    with unlocked() as service:
        in_keyring = save_account(claude.server.issue(OURS, expires_in=3600), OURS)
        found = registry()
        assert ("keyring", 41.0) == (in_keyring.location, five_hour(read(found, in_keyring)))
        service.lock()
        later = registry()
        locked = read(later, in_keyring)
        assert ("secret_store_unavailable", 41.0) == (code(locked), five_hour(locked))
        assert [None, "secret_store_unavailable"] == [
            each.problem and each.problem.code
            for each in manage.summaries(later)
            if each.account.name in ("in file", OURS)
        ]
        assert 78.0 == five_hour(read(later, in_file))
        assert 99.0 == five_hour(
            claude_code_reader(later.services).read(AccountStatus(later.all_accounts()[0].account))
        )
    absent = read(registry(), in_keyring)
    assert "secret_store_unavailable" == code(absent)
    assert 78.0 == five_hour(read(registry(), in_file))


def test_a_locked_keyring_is_read_again_in_half_a_minute_or_if_forced(
    server: TokenServer,
) -> None:
    now = utc_now()
    with unlocked() as service:
        saved = save_account(server.issue(OURS), OURS)
        service.lock()
        login = login_of(saved)
        first = login.snapshot(now).problem
        assert isinstance(first, SecretStoreUnavailable)
        assert now + timedelta(seconds=30) == first.retry_at
        later = now + timedelta(seconds=29)
        assert first is login.snapshot(later).problem
        forced = login.snapshot(later, force=True).problem
        assert isinstance(forced, SecretStoreUnavailable)
        assert later + timedelta(seconds=30) == forced.retry_at
        assert forced is not login.snapshot(forced.retry_at).problem


def test_a_keyring_that_was_locked_before_is_no_problem_once_it_was_read(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, now = own(server), utc_now()
    login, read_secret = login_of(saved), SecretStore.read

    def locked(*_: object, **_options: object) -> StoredSecret:
        raise SecretStoreUnavailable("locked", "")

    monkeypatch.setattr(SecretStore, "read", locked)
    assert isinstance(login.snapshot(now).problem, SecretStoreUnavailable)
    monkeypatch.setattr(SecretStore, "read", read_secret)
    login.snapshot(now, force=True)
    other = registry().services
    secret = other.secrets.write(saved.id, StoredCredentials(server.issue(OURS)).as_secret())
    other.accounts.store_secret_location(saved.id, secret.location, secret.generation)
    assert None is login.snapshot(now).problem


@pytest.mark.parametrize("damage", [b"garbage", b'{"version": 9, "entries": {}}'])
def test_a_damaged_secrets_file_is_a_problem_of_its_accounts_only(
    claude: ClaudeCode, damage: bytes
) -> None:
    claude.log_in(THEIRS)
    saved = save_account(claude.server.issue(OURS, expires_in=3600), OURS)
    assert 41.0 == five_hour(read(registry(), saved))
    Path(secrets_path(os.environ)).write_bytes(damage)
    found = registry()
    status = read(found, saved)
    assert ("secret_store_unavailable", 41.0) == (code(status), five_hour(status))
    assert 99.0 == five_hour(claude_codes(found))
    assert ["claude-code", OURS] == [each.account.name for each in manage.summaries(found)]
    assert damage == Path(secrets_path(os.environ)).read_bytes()


def test_a_damaged_entry_is_a_problem_of_its_account_only(server: TokenServer) -> None:
    saved = [save_account(server.issue(name, expires_in=3600), name) for name in (OURS, THEIRS)]
    path = Path(secrets_path(os.environ))
    document = json.loads(path.read_bytes())
    document["entries"][saved[0].id]["data"] = ""
    path.write_text(json.dumps(document))
    found = registry()
    assert ["secret_store_unavailable", None] == [code(read(found, each)) for each in saved]


def test_a_missing_secret_is_named(server: TokenServer) -> None:
    saved = save_account(server.issue(OURS), OURS)
    registry().services.secrets.delete(saved.id)
    status = read(registry(), saved)
    assert "no_credentials" == code(status)
    assert "Nothing is stored" in (status.problem.message if status.problem else "")


# --- changes while an account is shown -----------------------------------------------------------


def test_nothing_of_a_removed_account_is_shown_or_sent(server: TokenServer) -> None:
    saved = save_account(server.issue(OURS, expires_in=299), OURS)
    found = registry()
    entry = found.find(OURS)
    reader = found.reader(entry)
    shown = reader.read(AccountStatus(entry.account), lambda _: None)
    sent = len(server.requests)
    manage.remove(registry(), OURS)
    for status in (reader.cached_status(shown), reader.read(shown, lambda _: None)):
        assert (None, "unknown_account") == (status.usage, code(status))
    assert sent == len(server.requests)
    assert saved.id not in Path(secrets_path(os.environ)).read_text()


def test_an_account_exists_until_it_is_known_to_be_removed(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = own(server)
    login = login_of(saved)
    with monkeypatch.context() as patch:
        patch.setattr(AccountStore, "get", unusable_list)
        assert login.account_exists()
    assert login.account_exists()
    registry().services.accounts.remove(saved.id)
    assert not login.account_exists()


def unusable_list(*_: object) -> None:
    raise AccountsUnavailable("damaged", "")


def test_a_renamed_account_is_shown_with_its_new_name(server: TokenServer) -> None:
    saved = save_account(server.issue(OURS), OURS)
    found = registry()
    shown = read(found, saved)
    manage.rename(registry(), OURS, "Job")
    assert ("Job", 41.0) == (
        (status := read(found, saved)).account.name,
        five_hour(status),
    )
    assert shown.usage == status.usage


def test_a_login_refreshed_by_another_process_is_used(server: TokenServer) -> None:
    """Also by a process that had read the previous one."""
    clock = Clock()
    saved = save_account(server.issue(OURS, expires_in=3600), OURS)
    here, there = registry(clock), registry(clock)
    read(here, saved)
    clock.advance(minutes=59)
    assert None is code(read(there, saved))
    assert (41.0, None) == (five_hour(status := read(here, saved)), code(status))
    assert 1 == len(server.refreshes)


def test_a_login_that_claude_code_has_renewed_is_followed_by_the_same_command(
    claude: ClaudeCode, home: Path
) -> None:
    """Also without ~/.claude.json: the API names the new token's account."""
    saved = saved_from(claude)
    same_login_refreshed(claude)
    (home / ".claude.json").unlink(missing_ok=True)
    status = read(registry(), saved)
    assert (41.0, None) == (five_hour(status), code(status))
    assert "Claude Code credentials file" == status.credential_origin
    assert [] == claude.server.refreshes


@pytest.mark.parametrize("expires_in", [-60, 3600])
def test_an_own_login_that_has_ended_says_the_same_at_every_look(
    server: TokenServer, expires_in: float
) -> None:
    """When it is read, when it is read again, and in the list of accounts."""
    credentials = server.issue(OURS, expires_in=expires_in)
    server.revoke(server.family_of(credentials))
    saved = save_account(credentials, OURS)
    looks = [read(registry(), saved).problem for _ in range(2)]
    looks += [each.problem for each in manage.summaries(registry()) if each.account.name == OURS]
    looks += [read(registry(), saved).problem]
    assert ["credentials_expired"] * 4 == [problem.code for problem in looks if problem]
    (message,) = {problem.message for problem in looks if problem}
    assert "no longer valid" in message
    (hint,) = {problem.hint for problem in looks if problem}
    assert "--login --replace" in hint
