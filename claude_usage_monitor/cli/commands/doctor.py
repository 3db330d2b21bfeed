"""What works, what does not, and what to do about it: logins, figures, files, network, terminal.

No token is in what is printed, nor a part of one. Exit code 0 when figures can be had.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence

from claude_usage_monitor import __version__
from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.commands.dashboard import fail_without_output, print_document
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.options import PROGRAM, Parser
from claude_usage_monitor.cli.terminal import clock_style, terminal_size, width_of_output
from claude_usage_monitor.formats import doctor_report
from claude_usage_monitor.monitor.doctor.report import Doctor
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.findings import Finding

_WIDEST = 100
_LIBRARIES = ("requests", "urllib3", "rich", "keyring", "cryptography")


def run_doctor(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the findings and return 0 when figures can be had, 3 or 4 when they cannot."""
    parser = Parser(prog=f"{PROGRAM} doctor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--online", action="store_true", help="ask the API too, if the request budget allows"
    )
    wanted = parser.parse_args(arguments)
    if sys.stdout is None:
        return fail_without_output()
    settings, warnings = load_settings(config_path(environ))
    doctor = Doctor(environ, settings, warnings, utc_clock, clock_style(environ))
    findings = [*_versions(), *doctor.findings(online=wanted.online), *_terminal(environ)]
    if wanted.json:
        print_document(doctor_report.document(findings, ok=doctor.ok))
    else:
        width = min(width_of_output(environ), _WIDEST)
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a name in another script
        sys.stdout.write(doctor_report.report(findings, width))
    if doctor.ok:
        return ExitCode.OK
    return ExitCode.NO_FIGURES if doctor.login_works else ExitCode.LOGIN_NEEDED


def _versions() -> Iterator[Finding]:
    from importlib.metadata import version

    yield Finding("Versions", "claude-usage-monitor", "ok", __version__)
    yield Finding("Versions", "Python", "ok", f"{platform.python_version()} on {sys.platform}")
    parts = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield Finding("Versions", "libraries", "ok", parts)


def _terminal(environ: Mapping[str, str]) -> Iterator[Finding]:
    size = terminal_size()
    yield Finding("Terminal", "size", "ok", f"{size[0]} x {size[1]}" if size else "no terminal")
    told = [name for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM") if environ.get(name)]
    names = f"TERM={environ.get('TERM', '')}" + "".join(f", {name}" for name in told)
    yield Finding("Terminal", "colours", "ok", names)
    yield Finding("Terminal", "encoding", "ok", sys.stdout.encoding or "not known")
