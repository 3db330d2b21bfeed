"""Secrets as items of a keyring: verified, and in parts where a keyring's items are small.

Where items are limited, an account's own item is its head: ``=`` and the secret, or ``#``, the
letter and the number of its parts and their digest. New parts go under the letter that the head
does not name, then the head is replaced, then the old parts are deleted: whenever that is cut
short, the head names a whole secret.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from keyring.errors import PasswordDeleteError

if TYPE_CHECKING:
    import threading

    from keyring.backend import KeyringBackend

SERVICE = "claude-usage-monitor"

_WHOLE, _IN_PARTS = "=", "#"
_LETTERS = ("a", "b")
_TRIES = 3  # another process may replace the parts while they are read


class NotKept(Exception):
    """Raised when a keyring accepted something without doing it."""


class NotWhole(Exception):
    """Raised when parts of a secret are missing or wrong."""


class _Head(NamedTuple):
    letter: str
    parts: int
    digest: str

    def __str__(self) -> str:
        return f"{_IN_PARTS}{self.letter} {self.parts} {self.digest}"


class Items:
    """The items of one keyring, for one operation; it stops once ``abandoned`` is set."""

    def __init__(
        self, backend: KeyringBackend, most_characters: int | None, abandoned: threading.Event
    ) -> None:
        self._backend = backend
        self._most = most_characters
        self._abandoned = abandoned

    def read(self, account: str) -> str | None:
        """Return an account's secret, if there is one. Raises NotWhole."""
        if self._most is None:
            return self._get(account)
        for _ in range(_TRIES):
            item = self._get(account)
            if item is None:
                return None
            if item.startswith(_WHOLE):
                return item[1:]
            head = _head_in(item)
            if head is not None and (found := self._joined(account, head)) is not None:
                return found
        raise NotWhole

    def write(self, account: str, content: str) -> None:
        """Replace an account's secret. Raises NotKept when it is not there afterwards."""
        if self._most is None:
            self._set(account, content)
            return
        # Characters beyond the Basic Multilingual Plane take the room of two.
        room = self._most if content.isascii() else self._most // 2
        used = _head_in(self._get(account))
        if len(content) < room:
            self._set(account, _WHOLE + content)
            self._sweep(account, {})
            return
        letter = _LETTERS[1] if used and used.letter == _LETTERS[0] else _LETTERS[0]
        parts = [content[at : at + room] for at in range(0, len(content), room)]
        for number, part in enumerate(parts):
            self._set(_part(account, letter, number), part)
        self._set(account, str(_Head(letter, len(parts), _digest(content))))
        self._sweep(account, {letter: len(parts)})

    def delete(self, account: str) -> None:
        """Delete an account's secret, and what a write cut short may have left of it."""
        self._drop(account)
        if self._most is not None:
            self._sweep(account, {})

    def _joined(self, account: str, head: _Head) -> str | None:
        parts: list[str] = []
        for number in range(head.parts):
            part = self._get(_part(account, head.letter, number))
            if part is None:
                return None
            parts.append(part)
        content = "".join(parts)
        return content if _digest(content) == head.digest else None

    def _sweep(self, account: str, kept: dict[str, int]) -> None:
        """Delete all parts but the first so many of each letter."""
        for letter in _LETTERS:
            first = kept.get(letter, 0)
            past = next(
                number
                for number in count(first)
                if self._get(_part(account, letter, number)) is None
            )
            for number in reversed(range(first, past)):  # so that what is left can be found
                self._drop(_part(account, letter, number))

    def _get(self, name: str) -> str | None:
        self._go_on()
        return self._backend.get_password(SERVICE, name)

    def _set(self, name: str, content: str) -> None:
        self._go_on()
        self._backend.set_password(SERVICE, name, content)
        if self._get(name) != content:
            raise NotKept

    def _drop(self, name: str) -> None:
        self._go_on()
        with suppress(PasswordDeleteError):  # also raised when there is nothing to delete
            self._backend.delete_password(SERVICE, name)
        if self._get(name) is not None:
            raise NotKept

    def _go_on(self) -> None:
        if self._abandoned.is_set():
            raise TimeoutError


def _head_in(item: str | None) -> _Head | None:
    """Return the head that an item is, if it is one."""
    fields = (item or "").removeprefix(_IN_PARTS).split(" ")
    if not item or item[0] != _IN_PARTS or len(fields) != 3 or not fields[1].isdecimal():
        return None
    return _Head(fields[0], int(fields[1]), fields[2])


def _part(account: str, letter: str, number: int) -> str:
    return f"{account}#{letter}{number}"


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
