"""The names of `typing` that short commands use, without importing it at run time.

Importing `typing` takes 3 ms, 6 % of a start, and only `NamedTuple` does something in a running
command. Type checkers, and programs that have imported `typing`, get `typing` itself.
"""

from __future__ import annotations

import sys

__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Any",
    "BinaryIO",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "Protocol",
    "SupportsFloat",
    "TextIO",
    "TypeAlias",
    "TypeVar",
    "cast",
    "get_args",
]

TYPE_CHECKING: bool = False  # some editors read a bare `False` as never true

if TYPE_CHECKING or "typing" in sys.modules:
    from typing import (
        IO,
        Any,
        BinaryIO,
        Literal,
        NamedTuple,
        NoReturn,
        Protocol,
        SupportsFloat,
        TextIO,
        TypeAlias,
        TypeVar,
        cast,
        get_args,
    )
else:
    from collections import namedtuple
    from types import GenericAlias

    class _NamedTupleType(type):
        """Makes a named tuple of a class with annotations and default values."""

        def __new__(
            cls, name: str, _bases: tuple[type, ...], namespace: dict[str, object]
        ) -> type[tuple[object, ...]]:
            # Each module imports `annotations` from `__future__`, or Python 3.14 has none here.
            fields = namespace["__annotations__"]
            defaults = [namespace[field] for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults)  # noqa: PYI024 - what it replaces
            for key, value in namespace.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    class _Annotation:
        """Stands for a type that only a type checker reads, also as ``Name[…]``."""

        __class_getitem__ = classmethod(GenericAlias)

    class TypeVar:
        """Stands for a type variable, which only a type checker reads."""

        def __init__(self, name: str, *constraints: object) -> None:
            """Take the name and the types of a type variable."""

    NamedTuple = type.__new__(_NamedTupleType, "NamedTuple", (), {})
    IO = Any = BinaryIO = Literal = NoReturn = _Annotation
    Protocol = SupportsFloat = TextIO = TypeAlias = _Annotation

    def cast(_type: object, value: object) -> object:
        """Return the value."""
        return value

    def get_args(annotation: GenericAlias) -> tuple[object, ...]:
        """Return the types, or a ``Literal``'s values, between the brackets."""
        return annotation.__args__
