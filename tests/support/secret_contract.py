"""What every place for secrets promises."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

CANARY = "canary-5f2a91"
CONTENTS = (
    CANARY,
    "",
    "=",
    "#a 1 0",
    '{"refreshToken": "x"}\n',
    "Ünïcode \u2028 \U0001f511" * 20,
    "\U0001f511" * 1300,
    "x" * 1199,
    "x" * 1200,
    "x" * 2560,
    "0123456789" * 4096,
)

_PROCESSES = 8
_WRITES = 2
_WRITER = """
import sys
{place}
for number in range({writes}):
    place.write(f"{{sys.argv[1]}} {{number}}", sys.argv[1] * (number + 1))
    assert place.read(f"{{sys.argv[1]}} {{number}}") == sys.argv[1] * (number + 1)
"""


class SecretLocation(Protocol):
    def read(self, account: str) -> str | None: ...

    def write(self, account: str, content: str) -> None: ...

    def delete(self, account: str) -> None: ...


class PlaceContract:
    """Inherited by the tests of each place, which provide it as the fixture ``place``."""

    @pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
    def test_what_was_written_is_read(self, place: SecretLocation, content: str) -> None:
        place.write("account", "before")
        place.write("account", content)
        assert content == place.read("account")

    def test_each_write_replaces_the_one_before(self, place: SecretLocation) -> None:
        for content in (CANARY, CONTENTS[-1], "", "ü" * 1300, CANARY):
            place.write("account", content)
            assert content == place.read("account")

    def test_what_was_never_written_is_missing(self, place: SecretLocation) -> None:
        assert place.read("account") is None
        place.delete("account")
        assert place.read("account") is None

    def test_what_was_deleted_is_missing(self, place: SecretLocation) -> None:
        for content in (CONTENTS[0], CONTENTS[-1]):
            place.write("account", content)
            place.delete("account")
            assert place.read("account") is None

    def test_accounts_do_not_touch_each_other(self, place: SecretLocation) -> None:
        accounts = ("a", "b", "A", "ä a@b", "../a")
        for account in accounts:
            place.write(account, account * 1000)
        place.delete("b")
        found = {account: place.read(account) for account in accounts if account != "b"}
        assert {account: account * 1000 for account in accounts if account != "b"} == found

    def test_threads_may_use_it_at_once(self, place: SecretLocation) -> None:
        def write(thread: int) -> list[str | None]:
            found = []
            for number in range(2):
                place.write("shared", f"{thread}" * 2000)
                place.write(f"own {thread}", f"{number}" * 2000)
                found.append(place.read(f"own {thread}"))
            return found

        with ThreadPoolExecutor(2) as threads:
            expected = [f"{number}" * 2000 for number in range(2)]
            assert [expected] * 2 == list(threads.map(write, range(2)))
        assert place.read("shared") in {"0" * 2000, "1" * 2000}


class SharedContract(PlaceContract):
    """For places that processes share; ``making`` is the code that makes the same ``place``."""

    def test_processes_that_write_at_once_lose_nothing(
        self, place: SecretLocation, making: str
    ) -> None:
        code = _WRITER.format(place=making, writes=_WRITES)
        running = [
            subprocess.Popen([sys.executable, "-c", code, str(process)], env=os.environ)
            for process in range(_PROCESSES)
        ]
        assert [0] * _PROCESSES == [process.wait(60) for process in running]
        for process in range(_PROCESSES):
            for number in range(_WRITES):
                assert str(process) * (number + 1) == place.read(f"{process} {number}")
