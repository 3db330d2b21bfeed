from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_figures_come_up_and_q_leaves(command: Command, api: Api, store: Store) -> None:
    store.login()

    terminal = command.open()
    terminal.wait_for("78 %")
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
    assert len(api.usage_requests) == 1
