"""Serve the figures of all accounts to Prometheus, until Ctrl+C.

The metrics are at http://127.0.0.1:9464/metrics. A scrape sends no request to the
API: this command reads the accounts as often as the dashboard does, within the
same request budget. The [serve] section of config.toml sets another address, TLS
files and the names that clients may use for this computer.
"""

from __future__ import annotations

import argparse
import errno
import gc
import ipaddress
import os
import threading
from collections.abc import Iterable

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.signals import end_signals
from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.formats.prometheus import Metric, metrics
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.sources.metrics_server import PATH, MetricsServer, Tls
from claude_usage_monitor.store.config_toml import LISTEN_REQUIREMENT, ServeSettings, listen_address
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage.clock import utc_now

_WAIT = 1.0  # seconds between checks of the poller


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``serve``."""
    parser.add_argument(
        "--listen",
        type=_listen,
        metavar="ADDR:PORT",
        help="where to listen; default 127.0.0.1:9464, which only this computer can reach",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="serve a simulated account: no login, no network, nothing stored",
    )
    parser.add_argument(
        "--hide-names", action="store_true", help="serve placeholders for the names of accounts"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; return 0 after Ctrl+C."""
    settings = _settings(demo=options.demo)
    if options.hide_names:
        settings = settings._replace(hide_names=True)
    request = DashboardRequest(
        settings=settings, environ=os.environ, names=(), all_accounts=True, demo=options.demo
    )
    gc.enable()  # `cli.command` disabled it
    serve = settings.serve or ServeSettings()
    address = options.listen or serve.listen
    wake = threading.Event()
    poller = Poller(
        request.open_accounts(output.note, live=True), settings.interval, utc_now, wake.set
    )

    def collect() -> Iterable[Metric]:
        return metrics(request.shown(poller.statuses), utc_now())

    try:
        server = MetricsServer(address, collect, serve.hosts, _tls(serve))
    except OSError as error:
        hint = "Choose another address with --listen ADDR:PORT."
        if error.errno == errno.EADDRINUSE:
            hint = "End the program that uses this port, or choose another: --listen ADDR:PORT."
        output.error(f"Cannot listen on {_text(address)}: {error.strerror or error}.", hint)
        return ExitCode.FAILED
    address = (address[0], server.port)
    scheme = "http" if serve.certfile is None else "https"
    if not ipaddress.ip_address(address[0]).is_loopback:
        output.warning(f"Everyone who can reach {_text(address)} can read your figures.")
    with end_signals.reaction(wake.set):
        poller.start()
        server.start()
        output.note(f"Serving {scheme}://{_text(address)}{PATH}. Ctrl+C ends it.")
        while end_signals.exit_code is None and poller.failure is None:
            wake.wait(_WAIT)
            wake.clear()
    server.close()
    if poller.failure is not None:
        raise poller.failure
    interrupted = end_signals.exit_code == ExitCode.INTERRUPTED
    return ExitCode.OK if interrupted else end_signals.exit_code or ExitCode.OK


def _settings(*, demo: bool) -> Settings:
    if demo:
        return Settings()
    return load_settings(config_path(os.environ), output.warning)


def _tls(serve: ServeSettings) -> Tls | None:
    """Return the TLS files. Raises InvalidSetting if only some of the needed ones are set."""
    if serve.certfile is None and serve.keyfile is None and serve.client_cafile is None:
        return None
    if serve.certfile is None or serve.keyfile is None:
        raise InvalidSetting(
            "TLS needs both a certificate and its key.",
            "Set certfile and keyfile in the [serve] section of config.toml.",
        )
    return Tls(serve.certfile, serve.keyfile, serve.client_cafile)


def _listen(raw: str) -> tuple[str, int]:
    address = listen_address(raw)
    if address is None:
        raise argparse.ArgumentTypeError(f"{raw!r} is not {LISTEN_REQUIREMENT}")
    return address


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
