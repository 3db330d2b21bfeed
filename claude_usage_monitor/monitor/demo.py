"""The simulated accounts of `--demo`, as readers: no login, no network, no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.errors import RateLimited, UnknownAccount
from claude_usage_monitor.light_typing import TYPE_CHECKING
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts, Reader
from claude_usage_monitor.sources.demo import PROFILE, demo_usage, demo_use
from claude_usage_monitor.sources.demo_history import demo_history
from claude_usage_monitor.sources.demo_organization import demo_spend
from claude_usage_monitor.store.settings import Mode
from claude_usage_monitor.usage.status import Account, AccountStatus, Problem, Profile

if TYPE_CHECKING:  # as in history_view
    from claude_usage_monitor.usage.limits.history_view import HistoryView, Range

DEMO = Account("demo", email=PROFILE.email)
WORK = Account("demo-work", email="ada@work.example", active=False)
ORGANIZATION = Account("demo-organization", "console", active=False)
EVERY = (DEMO, ORGANIZATION, WORK)

_INTERVAL = timedelta(seconds=5)
_REFUSED_AGO = timedelta(minutes=20)
_ASKED = timedelta(minutes=32)


class DemoAccounts(DisplayedAccounts):
    """The simulated accounts that the command line selects: by default one subscription.

    Raises UnknownAccount.
    """

    def __init__(
        self, clock: Callable[[], datetime], names: Sequence[str], mode: Mode, *, every: bool
    ) -> None:
        known = {account.name: account for account in EVERY}
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise UnknownAccount(
                f"There is no account {unknown!r}.", f"Known accounts: {', '.join(known)}."
            )
        self._of_mode = of_mode = [each for each in EVERY if mode in ("auto", each.kind)]
        selected = [known[name] for name in names] or (of_mode if every else of_mode[:1])
        self._views = [selected, *([each] for each in of_mode if [each] != selected)]
        self._readers = {each.name: DemoReader(each, clock) for each in EVERY}

    def current(self) -> tuple[DisplayedAccount, ...]:
        """Return the accounts to show now."""
        return tuple(
            DisplayedAccount(each.name, each, self._readers[each.name]) for each in self._views[0]
        )

    def show_next(self) -> None:
        """Show the next account; after the last one, show the selected ones again."""
        self._views.append(self._views.pop(0))

    def position(self) -> tuple[int, int] | None:
        """Return which of all accounts is the only one on the screen, and how many there are."""
        if len(self._views[0]) != 1 or len(self._of_mode) == 1:
            return None
        return self._of_mode.index(self._views[0][0]) + 1, len(self._of_mode)

    def version(self) -> object:
        """Return a constant: the accounts never change."""
        return None


class DemoReader(Reader):
    """Reads a simulated account; its windows start when this reader is created."""

    def __init__(self, account: Account, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._clock = clock
        self._started = clock()

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,  # noqa: ARG002 - part of the protocol
    ) -> AccountStatus:
        """Return the simulated account's status."""
        return self.cached_status(previous)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:  # noqa: ARG002 - part of the protocol
        """Return the simulated account's status."""
        now = self._clock()
        status = AccountStatus(
            account=self._account, credential_origin="built-in demo", next_read_at=now + _INTERVAL
        )
        if self._account == ORGANIZATION:
            spend = demo_spend(now, PROFILE.email or "")
            return status._replace(spend=spend, profile=Profile(organization=PROFILE.organization))
        if self._account == WORK:
            return self._refused(status)
        usage = demo_usage(now, self._started)
        return status._replace(usage=usage, use=tuple(demo_use(usage)), profile=PROFILE)

    def _refused(self, status: AccountStatus) -> AccountStatus:
        """Return a status with old figures, because the API has refused the last request."""
        refused_at = self._started - _REFUSED_AGO
        retry_at = refused_at + _ASKED
        problem = Problem(
            RateLimited.code,
            "The API asked to wait 17m.",
            RateLimited.default_hint,
            retry_at,
            retry_after=timedelta(minutes=17),
        )
        usage = demo_usage(refused_at, refused_at)
        return status._replace(
            usage=usage,
            use=tuple(demo_use(usage)),
            profile=Profile(display_name="Ada", email=WORK.email, plan="Team Premium"),
            problem=problem,
            next_read_at=retry_at,
        )

    def history_view(
        self, shown: Range, now: datetime, selected: str | None = None
    ) -> HistoryView | None:
        """Return an invented past; an organization has none."""
        if self._account == ORGANIZATION:
            return None
        last = self._started - _REFUSED_AGO if self._account == WORK else self._clock()
        return demo_history(shown, now, min(self._started, last), last, selected)

    def request_refresh(self) -> None:
        """Do nothing: the account is read every few seconds."""

    def changed(self) -> bool:
        """Return False: no other process changes the account."""
        return False
