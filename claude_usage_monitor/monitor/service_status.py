"""Adds the service's status to the status of an account, for users who set ``service_status``.

Processes that run for long ask the page; the others show what those have stored. The request runs
on a thread of its own, so that it delays no figure.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.reader import Reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.anthropic.service_status import get_page, status_base_url_from
from claude_usage_monitor.store.state import service
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.status import AccountStatus


class ServiceReader(Reader):
    """Reads an account with another reader, and adds the service's status."""

    def __init__(self, reader: Reader, services: Services) -> None:
        self.wrapped = reader
        self._services = services
        self._shown_as_of: int | None = None

    def read(
        self,
        previous: AccountStatus,
        publish: Callable[[AccountStatus], None] = lambda _: None,
    ) -> AccountStatus:
        """Return the status; meanwhile, ask the status page if that is due."""
        services = self._services
        if services.live and services.state.run(service.claim_request, services.clock()):
            run_in_thread(self._ask, "service status")
        status = self.wrapped.read(previous, lambda stored: publish(self._with_service(stored)))
        return self._with_service(status)

    def cached_status(self, previous: AccountStatus) -> AccountStatus:
        """Return the status without a request."""
        return self._with_service(self.wrapped.cached_status(previous))

    def request_refresh(self) -> None:
        """Request figures as soon as the budget allows."""
        self.wrapped.request_refresh()

    def changed(self) -> bool:
        """Return whether `cached_status` would return something new."""
        as_of = self._services.state.run(service.status_as_of)
        return as_of != self._shown_as_of or self.wrapped.changed()

    def _with_service(self, status: AccountStatus) -> AccountStatus:
        state = self._services.state
        self._shown_as_of = state.run(service.status_as_of)
        return status._replace(service=state.run(service.stored_status))

    def _ask(self) -> None:
        """Ask the page and store its answer; without one, what is stored becomes stale."""
        services = self._services
        state = services.state
        with suppress(UsageMonitorError):
            client = services.status_client(status_base_url_from(services.environ))
            page = get_page(client, state.run(service.stored_etag))
            now = services.clock()
            if page.is_current:
                state.run(service.record_answer, page.status, page.etag, now, page.wait)
            else:
                state.run(service.postpone_request, now, page.wait)
