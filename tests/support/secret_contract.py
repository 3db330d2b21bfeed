"""What every store of secrets promises."""

from __future__ import annotations

from typing import ClassVar, Protocol

import pytest

from claude_usage_monitor.errors import SecretStoreUnavailable
from tests.support.forks import run_at_once

CANARY = "canary-5f2a91"
CONTENTS = (
    CANARY,
    "",
    "=",
    '{"refreshToken": "x"}\n',
    "Ünïcode \u2028 \U0001f511" * 20,
    "x" * 1280,
    "\U0001f511" * 1300,
    "x" * 2560,
    "0123456789" * 4096,
)

_PROCESSES = 8
_WRITES = 2
_WRITER = """
import sys
{create}
for number in range({writes}):
    store.write(f"{{sys.argv[1]}} {{number}}", sys.argv[1] * (number + 1))
    assert store.read(f"{{sys.argv[1]}} {{number}}") == sys.argv[1] * (number + 1)
"""


class Store(Protocol):
    def read(self, account_id: str) -> str | None: ...

    def write(self, account_id: str, content: str) -> None: ...

    def delete(self, account_id: str) -> None: ...


class StoreContract:
    """Inherited by the tests of each store, which provide it as the fixture ``store``."""

    max_utf16_bytes: int | None = None
    """The longest content that the store accepts."""

    @pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
    def test_returns_what_was_written(self, store: Store, content: str) -> None:
        store.write("account", "before")
        if self.max_utf16_bytes and len(content.encode("utf-16-le")) > self.max_utf16_bytes:
            with pytest.raises(SecretStoreUnavailable, match="login of this length"):
                store.write("account", content)
            assert "before" == store.read("account")
        else:
            store.write("account", content)
            assert content == store.read("account")

    def test_each_write_replaces_the_previous_one(self, store: Store) -> None:
        for content in (CANARY, "x" * 1000, "", "ü" * 1000, CANARY):
            store.write("account", content)
            assert content == store.read("account")

    def test_an_account_without_a_secret_has_none_to_read_or_delete(self, store: Store) -> None:
        assert store.read("account") is None
        store.delete("account")
        assert store.read("account") is None

    def test_a_deleted_secret_is_gone(self, store: Store) -> None:
        for content in (CANARY, "x" * 1280):
            store.write("account", content)
            store.write("account", content)
            store.delete("account")
            assert store.read("account") is None

    def test_accounts_do_not_affect_each_other(self, store: Store) -> None:
        accounts = ("a", "b", "A", "ä a@b", "../a", "a#spare")
        for account in accounts:
            store.write(account, account * 100)
        store.delete("b")
        expected = {account: account * 100 for account in accounts if account != "b"}
        assert expected == {account: store.read(account) for account in expected}


class SharedStoreContract(StoreContract):
    """For stores that processes share; ``create`` is code that assigns the same ``store``."""

    modules: ClassVar[tuple[str, ...]] = ()
    """The modules of the store, and the libraries that it loads when it is first used."""

    def test_processes_that_write_at_once_lose_nothing(self, store: Store, create: str) -> None:
        code = _WRITER.format(create=create, writes=_WRITES)
        run_at_once(code, self.modules, [[str(process)] for process in range(_PROCESSES)])
        for process in range(_PROCESSES):
            for number in range(_WRITES):
                assert str(process) * (number + 1) == store.read(f"{process} {number}")
