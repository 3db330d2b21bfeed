"""`light_typing` does in a command what `typing` does, as far as this program can notice."""

from __future__ import annotations

import subprocess
import sys
import typing

import claude_usage_monitor
from claude_usage_monitor import light_typing

# In a process that has not imported `typing`, as that of a short command.
IN_A_COMMAND = """
from __future__ import annotations
import copy, pickle, sys
from claude_usage_monitor import light_typing

class Light(light_typing.NamedTuple):
    "A point."

    x: int
    y: float = 0.5
    name: str | None = None

    @property
    def total(self):
        return self.x + self.y

    @classmethod
    def at(cls, x):
        return cls(x)

assert "typing" not in sys.modules
import typing

class Full(typing.NamedTuple):
    "A point."

    x: int
    y: float = 0.5
    name: str | None = None

light, full = Light.at(1), Full(1)
assert (1, 0.5, None) == light == full
assert 1.5 == light.total
assert Light(2, name="a") == light._replace(x=2, name="a")
assert full._asdict() == light._asdict()
assert repr(full).replace("Full", "Light") == repr(light)
for name in ("_fields", "_field_defaults", "__doc__", "__module__"):
    assert getattr(Full, name) == getattr(Light, name), name
assert "Light" == Light.__qualname__
assert list(Full.__annotations__) == list(Light.__annotations__)
assert not hasattr(light, "__dict__")
assert light == pickle.loads(pickle.dumps(light))
assert Light is type(copy.deepcopy(light))
for wrong in (lambda: setattr(light, "x", 2), Light):
    try:
        wrong()
    except (AttributeError, TypeError):
        continue
    raise AssertionError(wrong)
assert ("a", "b") == light_typing.get_args(light_typing.Literal["a", "b"])
assert 1 == light_typing.cast("str", 1)
"""

# As a program that uses the library and has not imported `typing` before.
IN_A_LIBRARY = """
import claude_usage_monitor as library
found = [getattr(library, name) for name in library.__all__]
import typing
for kind in found:
    if isinstance(kind, type) and not issubclass(kind, Exception):
        typing.get_type_hints(kind)
assert ("code", "console") == typing.get_args(typing.get_type_hints(library.Account)["kind"])
"""


def test_named_tuples_and_literals_of_a_command_are_those_of_typing() -> None:
    subprocess.run([sys.executable, "-c", IN_A_COMMAND], check=True)


def test_programs_can_read_the_types_of_public_classes() -> None:
    """As pydantic and msgspec do."""
    assert claude_usage_monitor.__all__
    subprocess.run([sys.executable, "-c", IN_A_LIBRARY], check=True)


def test_a_command_has_the_fields_of_dataclasses() -> None:
    """`dataclass` recognizes a ``ClassVar`` only once `typing` is imported."""
    program = """
import sys
from claude_usage_monitor.usage.throttling import Throttling
assert "typing" not in sys.modules
assert "computed" not in Throttling.__dataclass_fields__
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_is_one_of_typing() -> None:
    assert set(light_typing.__all__) <= set(typing.__all__)
