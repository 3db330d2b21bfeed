from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_one_frame_goes_to_stdout_and_nothing_else(
    command: Command, api: Api, store: Store
) -> None:
    store.login()

    done = command.run("--once")

    assert (done.returncode, done.stderr) == (0, "")
    assert "78 %" in done.stdout
    assert len(api.usage_requests) == 1
