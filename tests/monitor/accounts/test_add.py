from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from claude_usage_monitor.errors import (
    CredentialsExpired,
    Forbidden,
    InvalidName,
    InvalidSetting,
    LoggedOut,
    LoginErased,
    MissingScope,
    NoCredentials,
    PartialCredentials,
    RefreshTokenRevoked,
    Unauthorized,
    UnknownAccount,
    UsageMonitorError,
)
from claude_usage_monitor.monitor.accounts import add as subject
from claude_usage_monitor.monitor.accounts import manage
from claude_usage_monitor.monitor.accounts.add import (
    Added,
    add_admin_key,
    add_credentials,
    add_from_claude_code,
    add_login,
)
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.paths import accounts_path, secrets_path
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from tests.support.api import PROFILE
from tests.support.payloads import as_bytes, payload
from tests.support.saved import Clock, read, refresh_token, registry
from tests.support.token_server import TokenServer, email_of, refused, uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from claude_usage_monitor.store.accounts.saved_account import SavedAccount
    from tests.support.api import Api
    from tests.support.login import Store

NOWHERE = "http://127.0.0.1:9"  # the discard port: no server
CANARY = "canary-5f2a91"
ADMIN_KEY = "sk-ant-admin01-" + CANARY
ME = "/v1/organizations/me"


def add(content: object, name: str = "Work", *, replace: bool = False) -> Added:
    raw = content if isinstance(content, bytes) else as_bytes(content)
    return add_credentials(registry(), name, raw, "a file", replace=replace)


def result(added: Added) -> tuple[object, ...]:
    return added.account.name, added.account.kind, added.account.email, added.notes


def saved_account() -> SavedAccount:
    (found,) = registry().services.accounts.all()
    return found


def stored_credentials() -> Any:
    return registry().services.secrets.read(saved_account().id).content["credentials"]


def secret_count() -> int:
    path = Path(secrets_path(os.environ))
    return len(json.loads(path.read_bytes())["entries"]) if path.exists() else 0


def listed() -> list[SavedAccount]:
    return [account._replace(generation=0) for account in registry().services.accounts.all()]


def refusal(act: Callable[[], object]) -> UsageMonitorError:
    """Return the error of an attempt that adds nothing and quotes no secret."""
    before = listed(), secret_count()
    with pytest.raises(UsageMonitorError) as caught:
        act()
    assert before == (listed(), secret_count())
    assert CANARY not in f"{caught.value!r} {caught.value.hint}"
    return caught.value


# --- raw credentials -----------------------------------------------------------------------------


SHAPES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "the whole object": as_bytes,
    "the login alone": lambda found: as_bytes(found["claudeAiOauth"]),
    "indented": lambda found: json.dumps(found, indent=4).encode() + b"\n\n",
    "with a BOM": lambda found: b"\xef\xbb\xbf" + as_bytes(found),
    "in UTF-16": lambda found: json.dumps(found).encode("utf-16"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_credentials_may_come_in_any_shape(server: TokenServer, shape: str) -> None:
    credentials: Any = server.issue("work")
    added = add(SHAPES[shape](credentials))
    assert ("Work", "code", "work@example.com", ()) == result(added)
    assert credentials == stored_credentials()
    saved = saved_account()
    assert ("credentials", {}, uuid_of("work")) == (
        saved.origin,
        saved.claude_code_environ,
        saved.profile.account_uuid,
    )
    assert [PROFILE] == [seen.path for seen in server.requests]
    assert read(registry(), saved).usage is not None


UNUSABLE = {
    b"": PartialCredentials,
    b"not JSON " + CANARY.encode(): PartialCredentials,
    b'{"claudeAiOauth": {"accessToken": "canary-5f2a91': PartialCredentials,
    b"[]": PartialCredentials,
    b'"canary-5f2a91"': PartialCredentials,
    b"[" * 100_000: PartialCredentials,
    b"\xff\xfe\x00\xd8": PartialCredentials,
    b"{}": LoggedOut,
    b'{"mcpOAuth": {"x": {"accessToken": "canary-5f2a91"}}}': LoggedOut,
    b'{"claudeAiOauth": null}': LoggedOut,
    b'{"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}}': LoginErased,
    b'{"claudeAiOauth": {"refreshToken": "canary-5f2a91"}}': NoCredentials,
    b'{"accessToken": 7}': NoCredentials,
    b'{"accessToken": "canary-5f2a91\\n"}': NoCredentials,
    b'{"accessToken": "canary-5f2a91 \\u2028"}': NoCredentials,
}


@pytest.mark.parametrize(("content", "kind"), UNUSABLE.items(), ids=range(len(UNUSABLE)))
def test_an_input_without_a_login_is_named_and_not_quoted(
    server: TokenServer, content: bytes, kind: type[UsageMonitorError]
) -> None:
    error = refusal(lambda: add(content))
    assert kind is type(error)
    assert "a file" in error.message
    assert ([], False) == (server.requests, Path(accounts_path(os.environ)).exists())


def test_other_logins_in_the_input_are_not_stored(server: TokenServer) -> None:
    credentials: Any = server.issue("work")
    add({**credentials, "mcpOAuth": {"x": CANARY}, "anthropicConsole": {"key": CANARY}})
    assert credentials == stored_credentials()


def test_unknown_keys_are_stored(server: TokenServer) -> None:
    """Also after a refresh."""
    credentials: Any = server.issue("work", expires_in=-60)
    credentials |= {"later": [1, None, "ü"], "organizationUuid": "before"}
    credentials["claudeAiOauth"]["clientId"] = "later"
    add(credentials)
    found = stored_credentials()
    assert ([1, None, "ü"], "later") == (found["later"], found["claudeAiOauth"]["clientId"])
    assert uuid_of("work's") == found["organizationUuid"]
    assert credentials["claudeAiOauth"]["refreshToken"] != refresh_token(saved_account())
    assert server.accepts(refresh_token(saved_account()))


def test_an_expired_login_is_refreshed_and_then_its_profile_is_requested(
    server: TokenServer,
) -> None:
    added = add(server.issue("work", expires_in=-60))
    assert "work@example.com" == saved_account().profile.email == added.account.email
    assert (1, ()) == (len(server.refreshes), added.notes)
    assert read(registry(), saved_account()).usage is not None
    assert 1 == len(server.refreshes)


def test_an_expired_login_without_a_refresh_token_is_not_added(server: TokenServer) -> None:
    credentials: Any = server.issue("work", expires_in=-60)
    del credentials["claudeAiOauth"]["refreshToken"]
    assert isinstance(refusal(lambda: add(credentials)), CredentialsExpired)
    assert [] == server.requests


def test_a_login_without_a_refresh_token_is_added_with_a_note(server: TokenServer) -> None:
    credentials: Any = server.issue("work")
    del credentials["claudeAiOauth"]["refreshToken"]
    (note,) = add(credentials).notes
    assert "no refresh token" in note
    assert credentials == stored_credentials()


@pytest.mark.parametrize("end", [None, "soon", []])
def test_a_login_without_a_usable_expiry_counts_as_valid(server: TokenServer, end: object) -> None:
    credentials: Any = server.issue("work")
    credentials["claudeAiOauth"]["expiresAt"] = end
    assert () == add(credentials).notes
    assert [] == server.refreshes


# --- what the API responds ------------------------------------------------------------------------


def test_a_login_that_the_api_refuses_is_not_added(server: TokenServer) -> None:
    credentials = server.issue("work")
    server.revoke(server.family_of(credentials))
    assert isinstance(refusal(lambda: add(credentials)), Unauthorized)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (payload("error_403_scope_user_profile"), 403, MissingScope),
        (as_bytes({"error": {"type": "permission_error"}}), 403, Forbidden),
        (payload("error_401_invalid_credentials"), 401, Unauthorized),
        (payload("error_401_expired_2026"), 401, CredentialsExpired),
    ],
)
def test_nothing_is_added_whichever_way_the_api_refuses_it(
    api: Api, store: Store, body: bytes, status: int, kind: type[UsageMonitorError]
) -> None:
    api.answer_profile(body, status)
    login = {"accessToken": CANARY, "refreshToken": CANARY}
    assert kind is type(refusal(lambda: add(login)))
    store.login(CANARY)
    assert kind is type(refusal(lambda: add_from_claude_code(registry(), "Work")))


def test_an_expired_login_that_was_revoked_is_not_added(server: TokenServer) -> None:
    credentials = server.issue("work", expires_in=-60)
    server.revoke(server.family_of(credentials))
    assert isinstance(refusal(lambda: add(credentials)), RefreshTokenRevoked)


def test_without_a_network_a_login_is_added_with_a_note_and_checked_later(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", NOWHERE)
    (note,) = add(server.issue("work")).notes
    assert "could not be checked" in note
    assert saved_account().profile.email is None
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", server.url)
    assert read(registry(), saved_account()).usage is not None
    assert email_of("work") == saved_account().profile.email


def test_without_a_network_an_expired_login_is_added_and_refreshed_later(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", NOWHERE)
    credentials = server.issue("work", expires_in=-60)
    (note,) = add(credentials).notes
    assert "could not be checked" in note
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", server.url)
    clock = Clock()
    clock.advance(hours=1)
    assert read(registry(clock), saved_account()).problem is None
    assert 1 == len(server.refreshes)


@pytest.mark.parametrize("fault", [refused(429), refused(503)])
def test_a_temporary_failure_of_the_refresh_loses_no_login(server: TokenServer, fault: Any) -> None:
    server.script(fault)
    credentials = server.issue("work", expires_in=-60)
    assert 1 == len(add(credentials).notes)
    assert server.accepts(refresh_token(saved_account()))


@pytest.mark.parametrize(("body", "status"), [(b"", 500), (b"<html>", 200), (b"{}", 429)])
def test_a_login_is_added_although_the_api_failed(api: Api, body: bytes, status: int) -> None:
    api.answer_profile(body, status)
    (note,) = add({"accessToken": "token", "refreshToken": "refresh"}).notes
    assert "could not be checked" in note
    assert "Work" == saved_account().name


# --- the same login twice ------------------------------------------------------------------------


def test_a_login_cannot_be_added_twice(server: TokenServer) -> None:
    """Two accounts that refreshed one login would end it."""
    credentials = server.issue("work")
    add(credentials)
    error = refusal(lambda: add(credentials, "Other"))
    assert isinstance(error, InvalidSetting)
    assert "'Work'" in error.message
    assert 1 == len(server.requests)


def test_a_login_can_replace_itself(server: TokenServer) -> None:
    credentials = server.issue("work")
    add(credentials)
    before = saved_account()
    add(credentials, "WORK", replace=True)
    after = saved_account()
    assert (before.id, "Work") == (after.id, after.name)
    assert before.generation < after.generation
    assert credentials == stored_credentials()


@pytest.mark.parametrize("name", ["Work", "Other"])
def test_a_login_that_was_refreshed_since_cannot_be_added(server: TokenServer, name: str) -> None:
    """Sending its spent token would end the refreshed login."""
    credentials = server.issue("work", expires_in=-60)
    add(credentials)
    error = refusal(lambda: add(credentials, name, replace=True))
    assert "has refreshed their login since" in error.message
    assert "--login" in error.hint
    assert server.accepts(refresh_token(saved_account()))
    manage.remove(registry(), "Work")
    assert "has refreshed their login since" in refusal(lambda: add(credentials, name)).message


def test_two_logins_of_one_account_are_two_accounts_here(server: TokenServer) -> None:
    add(server.issue("work"), "one")
    add(server.issue("work"), "two")
    assert 2 == len(registry().services.accounts.all()) == secret_count()


@pytest.mark.parametrize("name", ["", "work", "Console", "demo", "x" * 65])
def test_an_invalid_name_is_refused_before_a_request_is_sent(
    server: TokenServer, store: Store, name: str
) -> None:
    found = registry()
    add(server.issue("work"))
    store.write(as_bytes(server.issue("other")))
    earlier = len(server.requests)
    acts: list[Callable[[], object]] = [
        lambda: add(server.issue("new"), name),
        lambda: add_login(found, name, server.issue("new")),
        lambda: add_from_claude_code(found, name),
        lambda: add_admin_key(found, name, ADMIN_KEY),
    ]
    for act in acts:
        assert isinstance(refusal(act), InvalidName)
    assert earlier == len(server.requests)


# --- replacing an account -------------------------------------------------------------------------


def test_a_login_replaces_the_previous_one(server: TokenServer) -> None:
    add(server.issue("work"))
    before, credentials = saved_account(), server.issue("other")
    add_login(registry(), "work", credentials, replace=True)
    after = saved_account()
    assert (before.id, "login", "other@example.com") == (
        after.id,
        after.origin,
        after.profile.email,
    )
    assert credentials == stored_credentials()
    assert 1 == secret_count()


def test_an_account_is_not_replaced_by_one_of_another_kind(server: TokenServer) -> None:
    add(server.issue("work"))
    error = refusal(lambda: add_admin_key(registry(), "Work", ADMIN_KEY, replace=True))
    assert "is a subscription, not an organization" in error.message


@pytest.mark.parametrize("expires_in", [3600, -60])
def test_a_login_that_is_refused_replaces_nothing(server: TokenServer, expires_in: float) -> None:
    good = server.issue("work")
    add(good)
    bad = server.issue("other", expires_in=expires_in)
    server.revoke(server.family_of(bad))
    refusal(lambda: add(bad, replace=True))
    assert good == stored_credentials()
    assert read(registry(), saved_account()).usage is not None


def test_replacing_a_missing_account_adds_it(server: TokenServer) -> None:
    add(server.issue("work"), replace=True)
    assert "Work" == saved_account().name


# --- importing Claude Code's login ----------------------------------------------------------------


def claude_json(home: Path, account: str) -> None:
    named = {
        "accountUuid": uuid_of(account),
        "organizationUuid": uuid_of(f"{account}'s"),
        "emailAddress": email_of(account),
    }
    (home / ".claude.json").write_text(json.dumps({"oauthAccount": named}))


def test_claude_codes_login_is_copied_and_not_changed(
    server: TokenServer, store: Store, home: Path
) -> None:
    """No other login in its store is copied; the location of the store is saved."""
    credentials = {**server.issue("work"), "organizationUuid": "org"}
    store.write(as_bytes({**credentials, "mcpOAuth": {"x": CANARY}, "later": 1}))
    before = store.path.read_bytes(), store.path.stat().st_mtime_ns
    added = add_from_claude_code(registry(), "Work")
    assert ("work@example.com", ()) == (added.account.email, added.notes)
    saved = saved_account()
    assert ("claude-code", str(home)) == (saved.origin, saved.claude_code_environ["HOME"])
    assert credentials == stored_credentials()
    assert before == (store.path.read_bytes(), store.path.stat().st_mtime_ns)
    assert [] == server.refreshes


def test_an_expired_login_of_claude_code_is_copied_and_not_refreshed(
    server: TokenServer, store: Store, home: Path
) -> None:
    store.write(as_bytes(server.issue("work", expires_in=-60)))
    claude_json(home, "work")
    (note,) = add_from_claude_code(registry(), "Work").notes
    assert "Open Claude Code once" in note
    assert email_of("work") == saved_account().profile.email
    assert [] == server.requests


def test_without_a_network_the_account_is_read_from_claude_codes_configuration(
    server: TokenServer, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(as_bytes(server.issue("work")))
    claude_json(home, "work")
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", NOWHERE)
    (note,) = add_from_claude_code(registry(), "Work").notes
    assert "could not be checked" in note
    assert uuid_of("work") == saved_account().profile.account_uuid


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b'{"claudeAiOauth": {"accessToken": "", "expiresAt": 0}}']
)
def test_without_a_login_there_is_nothing_to_copy(
    server: TokenServer, store: Store, content: bytes | None
) -> None:
    if content is not None:
        store.write(content)
    assert isinstance(refusal(lambda: add_from_claude_code(registry(), "Work")), NoCredentials)
    assert ([], 0) == (server.requests, secret_count())


def test_a_token_in_the_environment_is_not_copied(
    server: TokenServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", CANARY)
    refusal(lambda: add_from_claude_code(registry(), "Work"))
    store.write(as_bytes(server.issue("work")))
    add_from_claude_code(registry(), "Work")
    assert CANARY not in json.dumps(stored_credentials())


@pytest.mark.parametrize("change", ["nothing", "its access token", "its refresh token"])
def test_a_copy_of_claude_codes_credentials_is_imported_as_its_login(
    server: TokenServer, store: Store, change: str
) -> None:
    """Also if one of its tokens was refreshed since: refreshing the other would log it out."""
    live: Any = server.issue("work")
    store.write(as_bytes(live))
    copy = json.loads(as_bytes(live))
    if change == "its access token":
        copy["claudeAiOauth"]["accessToken"] = "before"
    elif change == "its refresh token":
        copy["claudeAiOauth"]["refreshToken"] = "before"
    (note,) = add(copy).notes
    assert "Claude Code's own" in note
    assert "claude-code" == saved_account().origin
    assert live == stored_credentials()
    assert [] == server.refreshes


def test_another_login_of_the_same_account_is_not_claude_codes(
    server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("work")))
    assert () == add(server.issue("work")).notes
    assert "credentials" == saved_account().origin


def test_a_login_imported_from_claude_code_cannot_be_added_as_our_own(
    server: TokenServer, store: Store
) -> None:
    credentials = server.issue("work")
    store.write(as_bytes(credentials))
    add_from_claude_code(registry(), "Work")
    store.path.unlink()
    assert "'Work'" in refusal(lambda: add(credentials, "Other")).message


# --- an Admin key --------------------------------------------------------------------------------


class Admin:
    """The request of the Admin API that returns the organization of a key."""

    def __init__(self, server: HTTPServer) -> None:
        self.keys: list[str | None] = []
        self.body, self.status = as_bytes({"id": "org-uuid", "name": "Company"}), 200
        server.expect_request(ME, "GET").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.keys.append(request.headers.get("x-api-key"))
        return Response(self.body, self.status, mimetype="application/json")


@pytest.fixture
def admin(httpserver: HTTPServer, api: Api) -> Admin:
    return Admin(httpserver)


def test_an_admin_key_is_checked_and_stored(admin: Admin) -> None:
    added = add_admin_key(registry(), "Org", f" {ADMIN_KEY}\n")
    assert ("Org", "console", None, ()) == result(added)
    assert [ADMIN_KEY] == admin.keys
    saved = saved_account()
    assert ("admin-key", "Company", "org-uuid") == (
        saved.origin,
        saved.profile.organization,
        saved.profile.identity,
    )
    assert {"admin_key": ADMIN_KEY} == registry().services.secrets.read(saved.id).content


@pytest.mark.parametrize(
    "key", ["", "  ", CANARY, "sk-ant-oat01-" + CANARY, "sk-ant-api03-" + CANARY, ADMIN_KEY + " x"]
)
def test_a_text_that_cannot_be_an_admin_key_is_not_sent(admin: Admin, key: str) -> None:
    assert isinstance(refusal(lambda: add_admin_key(registry(), "Org", key)), NoCredentials)
    assert [] == admin.keys


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (403, Forbidden)])
def test_a_refused_admin_key_is_not_stored(
    admin: Admin, status: int, kind: type[UsageMonitorError]
) -> None:
    text = {"type": "error", "error": {"type": "x", "message": f"no: {ADMIN_KEY}"}}
    admin.body, admin.status = as_bytes(text), status
    assert kind is type(refusal(lambda: add_admin_key(registry(), "Org", ADMIN_KEY)))


@pytest.mark.parametrize("status", [429, 500, 404])
def test_an_admin_key_that_cannot_be_checked_is_added_with_a_note(
    admin: Admin, status: int
) -> None:
    admin.status = status
    (note,) = add_admin_key(registry(), "Org", ADMIN_KEY).notes
    assert "could not be checked" in note
    assert "Org" == saved_account().name


# --- storing --------------------------------------------------------------------------------------


def tokens_in(text: str) -> list[str]:
    return re.findall(r"sk-ant-[\w-]+", text)


def test_no_secret_is_in_any_file(server: TokenServer, home: Path, store: Store) -> None:
    credentials: Any = server.issue("work")
    add(credentials)
    store.write(as_bytes(server.issue("other")))
    add_from_claude_code(registry(), "Other")
    for saved in registry().services.accounts.all():
        read(registry(), saved)
    login = credentials["claudeAiOauth"]
    secrets = [login["accessToken"], login["refreshToken"], *tokens_in(store.path.read_text())]
    files = [path for path in (home / ".local").rglob("*") if path.is_file()]
    assert {"accounts.db", "secrets.json", "state.db"} <= {path.name for path in files}
    for path in files:
        assert not [secret for secret in secrets if secret.encode() in path.read_bytes()]


def test_no_secret_is_stored_if_the_account_list_cannot_be(server: TokenServer) -> None:
    path = Path(accounts_path(os.environ))
    path.parent.mkdir(parents=True)
    path.mkdir()
    with pytest.raises(UsageMonitorError) as caught:
        add(server.issue("work"))
    assert ("accounts_unavailable", 0) == (caught.value.code, secret_count())


def test_no_account_is_listed_if_its_secret_cannot_be_stored(server: TokenServer) -> None:
    Path(secrets_path(os.environ)).parent.mkdir(parents=True)
    Path(secrets_path(os.environ)).write_bytes(b"garbage")
    with pytest.raises(UsageMonitorError) as caught:
        add(server.issue("work"))
    assert "secret_store_unavailable" == caught.value.code
    assert () == registry().services.accounts.all()


@pytest.mark.parametrize("replace", [False, True])
def test_no_secret_stays_if_the_list_changed_meanwhile(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    """Another process has added an account with the name, or removed the one to replace."""
    add(server.issue("work"))
    to_replace = saved_account()._replace(id="removed") if replace else None
    monkeypatch.setattr(subject, "account_to_replace", lambda *_, **__: to_replace)
    kind = UnknownAccount if replace else InvalidName
    assert kind is type(refusal(lambda: add(server.issue("other"))))


def test_the_encrypted_file_is_announced_before_it_is_created(server: TokenServer) -> None:
    announced: list[tuple[str, bool]] = []

    def announce(text: str) -> None:
        announced.append((text, Path(secrets_path(os.environ)).exists()))

    found = AccountRegistry(Services(os.environ, Settings(), utc_now, announce=announce))
    for name in ("one", "two"):
        add_login(found, name, server.issue(name))
    assert 1 == len(announced)
    assert str(secrets_path(os.environ)) in announced[0][0]
    assert announced[0][1] is False
