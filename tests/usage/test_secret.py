from __future__ import annotations

import dataclasses
import pickle

import pytest

from claude_usage_monitor.sources.claude_code.credentials_file import Login
from claude_usage_monitor.usage.secret import Secret

CANARY = "sk-ant-oat01-canary"


@dataclasses.dataclass
class _Holder:
    token: Secret


def test_only_reveal_shows_a_secret() -> None:
    login = Login(Secret(CANARY))
    shown = [
        repr(login),
        str(login),
        f"{login.token}",
        str(login._asdict()),
        str(dataclasses.asdict(_Holder(login.token))),
    ]
    assert [text for text in shown if "canary" in text] == []
    assert login.token.reveal() == CANARY


def test_a_secret_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY))


def test_equal_secrets_have_equal_hashes() -> None:
    assert len({Secret(CANARY), Secret(CANARY)}) == 1
    assert Secret(CANARY) != CANARY
