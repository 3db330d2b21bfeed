"""A token or key that cannot be shown by accident."""

from __future__ import annotations

from claude_usage_monitor.light_typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing import Final


class Secret:
    """A secret string. Only `reveal` returns it; printing, formatting and pickling do not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """Return the secret itself, to send or store it."""
        return self._value

    def __repr__(self) -> str:
        return "<redacted>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __deepcopy__(self, memo: object) -> Secret:
        return self  # it is immutable, and dataclasses.asdict copies every field

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
