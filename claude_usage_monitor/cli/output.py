"""Everything the command writes: data to standard output, everything else to standard error.

Tokens and keys are redacted on both streams.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping

from claude_usage_monitor.light_typing import TextIO

_CREDENTIAL_PATTERN = r"sk-ant-[^\s'\"\\,…]{8,}(?!…)"  # "sk-ant-admin01-…" in a hint is not a key

DEFAULT_WIDTH = 80  # columns
_MAX_WIDTH = 1000  # columns

OS_ERROR_HINT = "Run `claude-usage-monitor doctor`: it checks every file of this program."


class OutputFailed(Exception):
    """Raised when standard output does not accept data; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ReaderGone(OutputFailed):
    """Raised when the program that reads standard output has ended, as in ``| head``."""


def columns(environ: Mapping[str, str]) -> int:
    """Return the width of output that is no terminal: ``COLUMNS``, 80 if it is not a number."""
    text = environ.get("COLUMNS", "")[:6]
    width = int(text) if text.isascii() and text.isdigit() else 0
    return min(width or DEFAULT_WIDTH, _MAX_WIDTH)


def stdout() -> TextIO:
    """Return standard output, configured to write ``?`` for characters that its encoding lacks.

    Raises OutputFailed if it is closed. Commands check this before they do any work.
    """
    if sys.stdout is None:
        raise OutputFailed("Standard output is closed.", "Redirect it to a file or a program.")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return sys.stdout


def data(text: str) -> None:
    """Write to standard output. Raises OutputFailed, ReaderGone if its reader has ended."""
    stream = stdout()
    try:
        stream.write(redacted(text))
        stream.flush()
    except OSError as error:
        _redirect_to_null(stream)
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("Nothing reads standard output.", "") from None
        raise OutputFailed(
            f"Writing to standard output failed: {error.strerror}.", "Is the disk full?"
        ) from None


def close() -> None:
    """Close standard output: its reader need not wait until the process ends."""
    if sys.stdout is not None and not sys.stdout.isatty():
        _redirect_to_null(sys.stdout)


def json(document: str) -> None:
    """Write a JSON document and a newline; escape characters that stdout cannot encode."""
    if not _is_utf8(stdout().encoding) or not _is_unicode(document):
        document = re.sub("[^\0-\x7f]+", _escaped, document)
    data(f"{document}\n")


def can_encode(text: str) -> bool:
    """Return whether standard output can show every character of a text."""
    try:
        text.encode((sys.stdout and sys.stdout.encoding) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def describe(os_error: OSError) -> str:
    """Return a sentence about a file that could not be used."""
    file = f"{os_error.filename}: " if os_error.filename else ""
    return f"{file}{os_error.strerror or os_error}."


def message(text: str) -> None:
    """Write a line to standard error."""
    prompt(f"{text}\n")


def note(text: str) -> None:
    """Write a note to standard error."""
    message(f"note: {_on_one_line(text)}")


def warning(text: str) -> None:
    """Write a warning to standard error."""
    message(f"warning: {_on_one_line(text)}")


def error(text: str, hint: str = "") -> None:
    """Write an error, and a hint on how to fix it, to standard error."""
    message(f"error: {_on_one_line(text)}" + (f"\nhint: {_on_one_line(hint)}" if hint else ""))


def _on_one_line(text: str) -> str:
    """Return a text with ``?`` for control characters, which arguments and paths may contain."""
    return re.sub("[\0-\x1f\x7f-\x9f]", "?", text)


def prompt(text: str) -> None:
    """Write to standard error without ending the line.

    If standard error is closed or full, the text is lost and the exit code stays the same.
    """
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(redacted(text))
        sys.stderr.flush()
    except OSError:
        _redirect_to_null(sys.stderr)


def terminal(sequences: str) -> None:
    """Write control sequences to the terminal, if standard output or error is one."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and stream.isatty():
            with contextlib.suppress(OSError):
                stream.write(sequences)
                stream.flush()
            return


def discard_terminal() -> None:
    """Discard output that the terminal has not accepted yet, and everything written later."""
    for stream in (sys.__stdout__, sys.__stderr__):  # `silent_libraries` may have replaced one
        if stream is not None and stream.isatty():
            _redirect_to_null(stream)


@contextlib.contextmanager
def silent_libraries() -> Iterator[None]:
    """Discard all that Python code writes to standard error while the live screen is shown.

    Libraries write warnings, log lines and even tracebacks there, which would destroy the screen.
    """
    with contextlib.redirect_stderr(_Discarding()):
        yield


class _Discarding(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def redacted(text: str) -> str:
    """Return the text without tokens and keys."""
    if "sk-ant-" not in text.lower():
        return text
    return re.sub(_CREDENTIAL_PATTERN, "sk-ant-<redacted>", text, flags=re.IGNORECASE)


def _is_utf8(encoding: str | None) -> bool:
    try:
        return codecs.lookup(encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def _is_unicode(text: str) -> bool:
    """Return whether a text has no surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return re.sub("....", r"\\u\g<0>", units)


def _redirect_to_null(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
