from __future__ import annotations

import json
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

import claude_usage_monitor
from claude_usage_monitor import (
    Account,
    AccountStatus,
    UnknownAccount,
    UsageClient,
    UsageMonitorError,
    authorize,
    errors,
    get_usage,
)
from claude_usage_monitor.errors import (
    InvalidName,
    InvalidSetting,
    LoginFailed,
    NoCredentials,
    PartialCredentials,
    Unreachable,
)
from claude_usage_monitor.store.paths import secrets_path
from claude_usage_monitor.usage.clock import utc_now
from tests.support.browser import install_browser
from tests.support.payloads import as_bytes
from tests.support.permissions import unreadable
from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer, email_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

    from tests.support.api import Api
    from tests.support.login import Store

NOWHERE = "http://127.0.0.1:9"  # the discard port, where no server listens
ADMIN_KEY = "sk-ant-admin01-canary-5f2a91"
IN_FILE = pytest.mark.filterwarnings("ignore:.*go to an encrypted file:UserWarning")

pytestmark = IN_FILE


NAIVE = datetime(2026, 11, 21)  # noqa: DTZ001 - it must be refused


@pytest.fixture
def browser(server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set ``$BROWSER`` to a program that consents to the login at once."""
    path = tmp_path / "browser"
    install_browser(path, server.url)
    monkeypatch.setenv("BROWSER", str(path))
    return path


def names(client: UsageClient) -> list[str]:
    return [account.name for account in client.list_accounts()]


# --- every function of the library --------------------------------------------------------------


def test_every_documented_name_is_public() -> None:
    documented = {"UsageClient", "Account", "AccountStatus", "UnknownAccount", "UsageMonitorError"}
    documented |= {"authorize", "get_usage", "Usage", "UsageWindow", "Profile", "Problem"}
    assert documented <= set(claude_usage_monitor.__all__) & set(dir(claude_usage_monitor))


def test_every_error_is_importable_from_the_package() -> None:
    names = [name for name, value in vars(errors).items() if isinstance(value, type)]
    kinds = [name for name in names if issubclass(getattr(errors, name), UsageMonitorError)]
    assert len(kinds) > 20
    for name in kinds:
        assert getattr(errors, name) is getattr(claude_usage_monitor, name)
        assert name in claude_usage_monitor.__all__


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.save_account(None),
        lambda client: client.save_account("Work", {"claudeAiOauth": {}}),
        lambda client: client.save_admin_account("Org", None),
        lambda client: client.save_admin_account(7, ADMIN_KEY),
        lambda client: client.switch_account(None),
        lambda client: client.rename_account("claude-code", None),
        lambda client: client.get_account_usage(None),
    ],
)
def test_an_argument_of_the_wrong_type_gives_our_error_with_a_hint(
    call: Callable[[UsageClient], object],
) -> None:
    with pytest.raises(UsageMonitorError) as caught:
        call(UsageClient())
    assert caught.value.hint


def test_an_unreadable_file_and_a_missing_home_are_not_the_same_as_no_login(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.CredentialsNotFound):
        get_usage()
    store.login()
    with unreadable(store.path), pytest.raises(errors.PermissionDenied) as denied:
        get_usage()
    assert ("permission_denied", True) == (denied.value.code, str(store.path) in str(denied.value))
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(errors.NoHomeDirectory):
        get_usage()


def test_save_account_saves_claude_codes_login(server: TokenServer, store: Store) -> None:
    store.write(as_bytes(server.issue("mine")))
    before = store.path.read_bytes()
    account = UsageClient().save_account("Work")
    assert isinstance(account, Account)
    assert ("Work", "code", email_of("mine")) == (account.name, account.kind, account.email)
    assert None is not account.saved_at
    assert before == store.path.read_bytes()


def test_save_account_saves_credentials(server: TokenServer) -> None:
    credentials = server.issue("work")
    client = UsageClient()
    account = client.save_account("Work", json.dumps(credentials))
    assert email_of("work") == account.email
    other = client.save_account("work", json.dumps(server.issue("other")), replace=True)
    assert email_of("other") == other.email
    assert ["Work", "claude-code"] == names(client)


def test_authenticate_saves_a_login_in_the_browser(server: TokenServer, browser: Path) -> None:
    account = UsageClient().authenticate("Personal", timeout=60)
    assert ("Personal", email_of("work")) == (account.name, account.email)
    assert 1 == len(json.loads(Path(secrets_path(os.environ)).read_bytes())["entries"])


def test_save_admin_account_checks_and_saves_the_key(api: Api, httpserver: HTTPServer) -> None:
    keys: list[str | None] = []

    def answer(request: Any) -> Response:
        keys.append(request.headers.get("x-api-key"))
        return Response(as_bytes({"id": "uuid", "name": "Company"}), mimetype="application/json")

    httpserver.expect_request("/v1/organizations/me").respond_with_handler(answer)
    account = UsageClient().save_admin_account("Org", ADMIN_KEY)
    assert ("Org", "console", [ADMIN_KEY]) == (account.name, account.kind, keys)


def test_accounts_can_be_listed_switched_renamed_and_deleted(server: TokenServer) -> None:
    client = UsageClient()
    assert ["claude-code"] == names(client)
    for name in ("Work", "Personal"):
        client.save_account(name, json.dumps(server.issue(name)))
    found = client.list_accounts()
    assert isinstance(found, tuple)
    assert ["Work", "claude-code", "Personal"] == names(client)
    assert [True, False, False] == [account.active for account in found]
    client.switch_account("personal")
    assert "Personal" == names(client)[0] == names(UsageClient())[0]
    client.rename_account("Work", "Job")
    client.delete_account("Job")
    assert ["Personal", "claude-code"] == names(client)


def test_get_account_usage_returns_figures_and_profile(server: TokenServer) -> None:
    server.figures["work"] = 41.0
    client = UsageClient()
    client.save_account("Work", json.dumps(server.issue("work")))
    status = client.get_account_usage("work")
    assert isinstance(status, AccountStatus)
    assert status.usage is not None
    assert status.usage.five_hour is not None
    assert status.profile is not None
    assert ("Work", True, 41.0, "Max 5x", None) == (
        status.account.name,
        status.account.active,
        status.usage.five_hour.utilization,
        status.profile.plan,
        status.problem,
    )
    assert None is not status.next_read_at


def test_a_window_that_has_reset_since_its_reading_has_no_utilization(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.login()
    before = get_usage()
    assert before.five_hour is not None
    assert before.five_hour.resets_at is not None
    later = before.five_hour.resets_at + timedelta(seconds=1)
    api.answer(b"", 500)
    monkeypatch.setattr("claude_usage_monitor.monitor.client.utc_now", lambda: later)
    usages = [get_usage(), UsageClient().get_account_usage("claude-code").usage]
    windows = [usage.five_hour for usage in usages if usage is not None]
    assert [None, None] == [window.utilization for window in windows if window is not None]


def test_the_email_that_the_api_has_sent_is_listed(server: TokenServer, store: Store) -> None:
    """Without ``~/.claude.json``."""
    store.write(as_bytes(server.issue("work")))
    client = UsageClient()
    assert [None] == [account.email for account in client.list_accounts()]
    get_usage()
    assert [email_of("work")] == [account.email for account in client.list_accounts()]


def test_get_all_accounts_usage_has_a_problem_for_each_account(
    server: TokenServer, store: Store
) -> None:
    store.write(as_bytes(server.issue("mine")))
    client = UsageClient()
    credentials = {name: server.issue(name) for name in ("good", "revoked")}
    for name, login in credentials.items():
        client.save_account(name, json.dumps(login))
    server.revoke(server.family_of(credentials["revoked"]))
    statuses = client.get_all_accounts_usage()
    assert isinstance(statuses, tuple)
    problems = {s.account.name: s.problem.code if s.problem else None for s in statuses}
    assert {"claude-code": None, "good": None, "revoked": "credentials_expired"} == problems
    assert ["claude-code", "good", "revoked"] == [status.account.name for status in statuses]


def test_get_system_token_returns_claude_codes_token(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable for a token does not count."""
    client = UsageClient()
    with pytest.raises(NoCredentials):
        client.get_system_token()
    store.login("token-of-claude-code")
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "another")
    assert "token-of-claude-code" == client.get_system_token()


def test_authorize_returns_credentials_and_stores_nothing(
    server: TokenServer, browser: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    credentials = authorize(timeout=60)
    assert server.accepts(json.loads(credentials))
    stored = {path.name for path in (home / ".local").rglob("*") if path.is_file()}
    assert not stored & {"accounts.db", "secrets.json"}
    output = capfd.readouterr()
    assert "" == output.out
    assert "https://claude.ai/oauth/authorize" in output.err
    login = json.loads(credentials)["claudeAiOauth"]
    assert not {login["accessToken"], login["refreshToken"]} & set(output.err.split())


def test_authorized_credentials_can_be_saved(server: TokenServer, browser: Path) -> None:
    account = UsageClient().save_account("Work", authorize(timeout=60))
    assert email_of("work") == account.email


# --- errors ------------------------------------------------------------------------------------


def test_an_unknown_name_raises_unknown_account(server: TokenServer) -> None:
    client = UsageClient()
    acts: list[Callable[[], object]] = [
        lambda: client.get_account_usage("Unknown"),
        lambda: client.switch_account("Unknown"),
        lambda: client.rename_account("Unknown", "Other"),
        lambda: client.delete_account("Unknown"),
    ]
    for act in acts:
        with pytest.raises(UnknownAccount, match="'Unknown'") as caught:
            act()
        assert isinstance(caught.value, UsageMonitorError)
        assert ("unknown_account", True) == (caught.value.code, bool(caught.value.hint))


@pytest.mark.parametrize(
    "text",
    ["", "not JSON", "[]", "\ud800", '{"claudeAiOauth": {"accessToken": "canary\udcff'],
)
def test_text_without_a_login_raises_partial_credentials(server: TokenServer, text: str) -> None:
    with pytest.raises(PartialCredentials) as caught:
        UsageClient().save_account("Work", text)
    assert "canary" not in f"{caught.value!r}{caught.value.hint}"


def test_an_invalid_name_is_refused_before_the_browser_opens(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f"#!/bin/sh\ntouch {opened}\n")
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(script))
    for name in ("console", "", "x" * 65):
        with pytest.raises(InvalidName):
            UsageClient().authenticate(name, timeout=60)
    assert ([], False) == (server.requests, opened.exists())


def test_a_login_that_is_not_completed_fails_after_the_timeout(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "browser"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(script))
    client = UsageClient()
    with pytest.raises(LoginFailed):
        client.authenticate("Work", timeout=0.1)
    with pytest.raises(LoginFailed):
        authorize(timeout=0.1)
    assert ["claude-code"] == names(client)
    assert [] == server.requests


def test_an_unreachable_api_is_a_warning_or_an_error(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, browser: Path
) -> None:
    """Given credentials are saved with a warning; a new login fails."""
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", NOWHERE)
    with pytest.warns(UserWarning, match="could not be checked"):
        UsageClient().save_account("Work", json.dumps(server.issue("work")))
    with pytest.raises(Unreachable):
        UsageClient().authenticate("Personal", timeout=60)
    status = UsageClient().get_account_usage("Work")
    assert "unreachable" == (status.problem.code if status.problem else None)


def test_no_error_warning_or_repr_contains_a_token(
    server: TokenServer, recwarn: pytest.WarningsRecorder
) -> None:
    credentials: Any = server.issue("work")
    login = credentials["claudeAiOauth"]
    server.revoke(server.family_of(credentials))
    client = UsageClient()
    with pytest.raises(UsageMonitorError) as caught:
        client.save_account("Work", json.dumps(credentials))
    save_account(credentials, "Saved")
    status = client.get_account_usage("Saved")
    text = f"{caught.value!r} {caught.value.hint} {client!r} {vars(client)!r} {status!r}"
    text += "".join(str(warning.message) for warning in recwarn)
    assert not [key for key in ("accessToken", "refreshToken") if login[key] in text]


# --- the encrypted file --------------------------------------------------------------------------


@pytest.mark.filterwarnings("always::UserWarning")
def test_the_encrypted_file_is_announced_once_by_a_warning(server: TokenServer) -> None:
    with pytest.warns(UserWarning, match="Logins go to an encrypted file") as caught:
        UsageClient().save_account("one", json.dumps(server.issue("one")))
    assert str(secrets_path(os.environ)) in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UsageClient().save_account("two", json.dumps(server.issue("two")))


# --- threads -------------------------------------------------------------------------------------


def test_threads_that_share_a_client_read_each_account_once(server: TokenServer) -> None:
    """Each account's login is refreshed once, too."""
    for number in range(4):
        save_account(server.issue(f"{number}", expires_in=-60), f"{number}")
    client = UsageClient()
    with ThreadPoolExecutor(8) as threads:
        one = [threads.submit(client.get_account_usage, f"{n % 4}") for n in range(8)]
        every = [threads.submit(client.get_all_accounts_usage) for _ in range(2)]
        statuses = [each.result() for each in one]
        statuses += [status for each in every for status in each.result()]
    assert 16 == len(statuses)
    assert not [status for status in statuses if status.usage is None or status.problem]
    assert (4, 4) == (len(server.refreshes), usage_requests(server))


def usage_requests(server: TokenServer) -> int:
    return sum(seen.path == "/api/oauth/usage" for seen in server.requests)


def test_threads_can_add_and_remove_accounts_at_the_same_time(server: TokenServer) -> None:
    client = UsageClient()
    start = threading.Barrier(4)

    def work(thread: int) -> list[str]:
        start.wait(60)
        for number in range(2):
            client.save_account(f"{thread} {number}", json.dumps(server.issue("work")))
        client.delete_account(f"{thread} 0")
        client.rename_account(f"{thread} 1", f"{thread}")
        return names(client)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert {"claude-code", "0", "1", "2", "3"} == set(names(UsageClient()))
    assert 4 == len(json.loads(Path(secrets_path(os.environ)).read_bytes())["entries"])
    assert all(server.accepts(token) for token in stored_tokens())


def stored_tokens() -> list[str]:
    found = registry()
    contents: list[Any] = [
        found.services.secrets.read(s.id).content for s in found.services.accounts.all()
    ]
    return [content["credentials"]["claudeAiOauth"]["refreshToken"] for content in contents]


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("get_history", {"days": 0}, "`days` is 0."),
        ("get_history", {"days": float("nan")}, "`days` is nan."),
        ("get_history", {"days": 1e12}, "`days` is 1000000000000.0."),
        ("get_history", {"days": "30"}, "`days` is '30'."),
        ("get_history", {"window": []}, "`window` is []."),
        ("get_use", {"window": 3}, "`window` is 3."),
        ("get_history", {"now": NAIVE}, "`now` must be a timezone-aware datetime"),
        ("get_use", {"by": "color"}, "`by` is 'color'."),
        ("get_use", {"last": -1}, "`last` is -1."),
        ("get_use", {"since": NAIVE}, "`since` must be a timezone-aware datetime"),
        ("get_use", {"until": "2026-11-21"}, "`until` must be a timezone-aware datetime"),
        ("get_use", {"last": 1, "since": utc_now()}, "`last` names a window, not a period."),
        ("authenticate", {"timeout": 0}, "`timeout` is 0."),
        ("authenticate", {"timeout": float("inf")}, "`timeout` is inf."),
    ],
)
def test_an_unusable_argument_is_an_error_of_ours(
    method: str, arguments: dict[str, Any], message: str
) -> None:
    name = "Work" if method == "authenticate" else "claude-code"
    with pytest.raises(InvalidSetting) as caught:
        getattr(UsageClient(), method)(name, **arguments)
    assert caught.value.message.startswith(message)
    assert caught.value.hint
