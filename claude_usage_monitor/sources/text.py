"""Foreign strings made harmless, once, where they are parsed.

A name from the network may hold escape sequences, bidi overrides, surrogates or a thousand
combining marks. What leaves here is printable text of a length and a width that can be relied on.
"""

from __future__ import annotations

from unicodedata import category, normalize

MAX_LENGTH = 200  # no real name or address is longer
_MAX_MARKS = 2  # combining marks on one character, enough for every living script

_DROPPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_SPACES = frozenset(("Zs", "Zl", "Zp"))
_MARKS = frozenset(("Mn", "Me"))
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_LETTERS = range(0x1F1E6, 0x1F200)  # pairs of them are flags


def clean(raw: str, limit: int = MAX_LENGTH) -> str:
    """Return the string as one line of printable text, at most ``limit`` characters.

    Control, format, surrogate, private and unassigned characters are dropped, white space is
    folded, and what terminals draw in differing widths (emoji variants, flags) is simplified.
    """
    kept: list[str] = []
    marks = _MAX_MARKS  # a mark at the very beginning has nothing to stand on
    for character in normalize("NFC", raw[: limit * 8]):
        kind = category(character)
        code = ord(character)
        if kind in _SPACES or character in "\t\n\r":
            marks = _MAX_MARKS
            if kept and kept[-1] != " ":
                kept.append(" ")
        elif kind in _DROPPED or code in _VARIATION_SELECTORS or code in _SKIN_TONES:
            continue
        elif kind in _MARKS:
            marks += 1
            if marks <= _MAX_MARKS:
                kept.append(character)
        else:
            marks = 0
            regional = code in _REGIONAL_LETTERS
            kept.append(chr(code - 0x1F1E6 + ord("A")) if regional else character)
        if len(kept) > limit:
            break
    line = "".join(kept).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
