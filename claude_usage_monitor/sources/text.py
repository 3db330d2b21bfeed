"""Make strings from outside safe to show and store. Parsers clean every string with `clean`.

A name from the network may contain escape sequences, bidirectional overrides, surrogates, a
thousand combining marks, or an echo of the key that was sent. A cleaned string is printable, of
bounded length and width, and contains no token or key.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

MAX_LENGTH = 200  # characters; no real name or address is longer
_MAX_MARKS = 2  # combining marks on one character, enough for every living script

_DROPPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_SPACES = frozenset(("Zs", "Zl", "Zp"))
_MARKS = frozenset(("Mn", "Me"))
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_LETTERS = range(0x1F1E6, 0x1F200)  # pairs of them are flags
_SECRET_PREFIX = "sk-ant-"  # noqa: S105 - of every token and key
_SECRET = rf"{_SECRET_PREFIX}[^\s\"']+"


def clean(raw: str, limit: int = MAX_LENGTH) -> str:
    """Return the string as one line of printable text, at most ``limit`` characters.

    Control, format, surrogate, private and unassigned characters are removed, white space is
    collapsed, and characters that terminals draw in different widths (emoji variants, flags) are
    simplified. A token or key becomes ``…``.
    """
    if raw.isascii() and raw.isprintable() and len(raw) <= limit and "  " not in raw:
        return _without_secrets(raw).strip()  # most strings: a hundred times faster
    cleaned: list[str] = []
    marks = _MAX_MARKS  # so that a leading mark, which has no base character, is removed
    for character in normalize("NFC", raw[: limit * 8]):
        kind = category(character)
        code = ord(character)
        if kind in _SPACES or character in "\t\n\r":
            marks = _MAX_MARKS
            if cleaned and cleaned[-1] != " ":
                cleaned.append(" ")
        elif kind in _DROPPED or code in _VARIATION_SELECTORS or code in _SKIN_TONES:
            continue
        elif kind in _MARKS:
            marks += 1
            if marks <= _MAX_MARKS:
                cleaned.append(character)
        else:
            marks = 0
            regional = code in _REGIONAL_LETTERS
            cleaned.append(chr(code - 0x1F1E6 + ord("A")) if regional else character)
        if len(cleaned) > limit:
            break
    line = _without_secrets("".join(cleaned)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def contains_secret(raw: str) -> bool:
    """Return whether the string contains a token or key."""
    return re.search(_SECRET, normalize("NFC", raw), re.IGNORECASE) is not None


def is_token(raw: str) -> bool:
    """Return whether a string can be sent as a token: visible ASCII characters only.

    An error about a header would quote any other characters.
    """
    return bool(raw) and raw.isascii() and raw.isprintable() and " " not in raw


def _without_secrets(line: str) -> str:
    if _SECRET_PREFIX not in line.casefold():
        return line  # without compiling the pattern
    return re.sub(_SECRET, "…", line, flags=re.IGNORECASE)
