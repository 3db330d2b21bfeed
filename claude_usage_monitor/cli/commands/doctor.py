"""Check what works: logins, figures, files, network and terminal.

Each problem comes with what to do about it. The report contains no part of any
token. Exit code 0: figures are available; 3: a login is needed; 4: the service
gives no figures.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from claude_usage_monitor import __version__
from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.terminal import clock_style, output_width, terminal_size
from claude_usage_monitor.formats import doctor_report
from claude_usage_monitor.monitor.doctor import integrations
from claude_usage_monitor.monitor.doctor.report import Diagnosis, diagnose
from claude_usage_monitor.monitor.doctor.versions import claude_code_version
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.findings import Finding

_MAX_WIDTH = 100  # columns
_KEYRING = "keyring" if sys.platform in {"darwin", "win32"} else "secretstorage"
_LIBRARIES = ("requests", "urllib3", "rich", _KEYRING, "cryptography")
_COLOR_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "COLORTERM")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--json", action="store_true", help="print one JSON document")
    outputs.add_argument(
        "--integrations",
        action="store_true",
        help="print what to add to the bars, prompts and editors on this computer, and exit",
    )
    parser.add_argument(
        "--online", action="store_true", help="also try a request, if the request budget allows"
    )
    parser.add_argument(
        "--hide-names", action="store_true", help="show placeholders for the names of accounts"
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings and return 0 if figures are available, else 3 or 4."""
    output.stdout()  # fails if it is closed
    environ = os.environ
    if options.integrations:
        found = integrations.installed(environ)
        output.data("\n".join(map(integrations.text_of, found)))
        if not found:
            output.note("No bar, prompt or editor was found. docs/integrations.md has them all.")
        return ExitCode.OK
    settings = load_settings(config_path(environ))
    style = clock_style(environ, utc_now(), settings)
    diagnosis = diagnose(
        environ, utc_now, style, online=options.online, hide_names=options.hide_names
    )
    findings = [*_versions(environ), *diagnosis.findings, *_terminal(environ)]
    if options.json:
        output.json(doctor_report.document(findings, ok=diagnosis.ok))
    else:
        width = min(output_width(environ), _MAX_WIDTH)
        output.data(doctor_report.report(findings, width, _verdict(findings, diagnosis)))
    if diagnosis.ok:
        return ExitCode.OK
    return ExitCode.NO_FIGURES if diagnosis.login_works else ExitCode.LOGIN_NEEDED


def _verdict(findings: Sequence[Finding], diagnosis: Diagnosis) -> str:
    """Return in one line whether figures are available, and how many problems there are."""
    problems = sum(finding.state == "problem" for finding in findings)
    count = f"{problems} problems are marked !!." if problems > 1 else "1 problem is marked !!."
    verdict = "Figures are available."
    if not diagnosis.ok:
        reason = "the service gives none" if diagnosis.login_works else "a login is needed"
        verdict = f"No figures: {reason}."
    return f"{verdict} {count if problems else 'No problems.'}"


def _versions(environ: Mapping[str, str]) -> Iterator[Finding]:
    yield Finding("Versions", "claude-usage-monitor", "ok", __version__)
    yield Finding("Versions", "Python", "ok", f"{platform.python_version()} on {sys.platform}")
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield Finding("Versions", "libraries", "ok", libraries)
    yield claude_code_version(environ)


def _terminal(environ: Mapping[str, str]) -> Iterator[Finding]:
    size = terminal_size()
    yield Finding("Terminal", "size", "ok", f"{size[0]} x {size[1]}" if size else "no terminal")
    names = ", ".join(name for name in _COLOR_VARIABLES if environ.get(name))
    term = f"TERM={environ.get('TERM', '')}"
    yield Finding("Terminal", "colors", "ok", f"{term}, {names}" if names else term)
    yield Finding("Terminal", "encoding", "ok", sys.stdout.encoding or "unknown")
