from __future__ import annotations

import json

from claude_usage_monitor.formats import load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse
from claude_usage_monitor.usage.privacy import hidden, without_names
from claude_usage_monitor.usage.status import Account, Problem
from tests.support.payloads import NOW
from tests.support.spends import ORGANIZATION
from tests.support.statuses import NORMAL

NAMES = ("Ada", "ada@example.com", "Analytical Engines", "Secret client")


def test_no_name_is_left_in_the_document() -> None:
    named = NORMAL._replace(account=Account("Secret client", email="ada@example.com"))
    text = load_format("json")(hidden((NORMAL, named)), NOW, FormatOptions())
    assert not [name for name in NAMES if name in text]
    first, second = json.loads(text)["accounts"]
    assert ("claude-code", "account 2") == (first["name"], second["name"])
    assert "user 1" == first["profile"]["email"]
    assert first["windows"] == second["windows"]


def test_the_origin_of_a_saved_key_does_not_name_its_account() -> None:
    origin = "the saved account Secret client"
    named = ORGANIZATION._replace(account=Account("Secret client"), credential_origin=origin)
    first, second = hidden((NORMAL, named))
    assert "Claude Code credentials file" == first.credential_origin
    assert "the saved account account 2" == second.credential_origin


def test_the_user_of_an_organization_stays_the_same_person() -> None:
    (shown,) = hidden((ORGANIZATION,))
    assert shown.spend is not None
    report = shown.spend.claude_code
    assert report is not None
    assert report.you is not None
    assert "you" == report.you.email
    assert [("user 1", "user 1"), ("you", "you"), ("user 3", None)] == [
        (user.name, user.email) for user in report.by_user
    ]


def test_a_text_does_not_name_accounts() -> None:
    text = "Work is the same login as claude-code. Working: Secret client, claude-code."
    assert (
        "account 2 is the same login as claude-code. Working: account 3, claude-code."
        == without_names(text, ("claude-code", "Work", "Secret client"))
    )


def test_workspaces_and_api_keys_of_an_organization_have_no_names() -> None:
    (shown,) = hidden((ORGANIZATION,))
    assert shown.spend is not None
    workspaces, keys = shown.spend.by_workspace or (), shown.spend.by_api_key or ()
    assert ["workspace 1", "workspace 2", "workspace 3", "workspace 4", None] == [
        row.name for row in workspaces
    ]
    assert ["API key 1", None] == [row.name for row in keys]


def test_several_projects_as_one_have_no_number() -> None:
    rows = (ProjectUse("/home/ada/atlas", 5.0, 50.0, 7), ProjectUse("3 more projects", 5.0, 50.0))
    use = WindowUse("five_hour", NOW, 10.0, NOW, rows, None, 1.0, "", 0.0, 0, 0.0)
    (shown,) = hidden((NORMAL._replace(use=(use,)),))
    assert ["project 7", "3 more projects"] == [row.project for row in shown.use[0].rows]


def test_a_problem_does_not_name_its_account() -> None:
    hint = "Run `claude-usage-monitor accounts add 'Secret client' --login --replace`."
    problem = Problem("credentials_expired", "The login of Secret client expired.", hint)
    _, shown = hidden(
        (
            NORMAL,
            NORMAL._replace(account=Account("Secret client"), problem=problem),
        )
    )
    assert shown.problem is not None
    assert "accounts add NAME --login --replace" in shown.problem.hint
    assert "The login of account 2 expired." == shown.problem.message
