"""`light_typing` does at run time what `typing` does, as far as this program can notice."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from claude_usage_monitor import light_typing


class Light(light_typing.NamedTuple):
    """A point."""

    x: int
    y: float = 0.5
    name: str | None = None

    @property
    def total(self) -> float:
        """The sum."""
        return self.x + self.y

    @classmethod
    def at(cls, x: int) -> Light:
        """Return a point."""
        return cls(x)


class Full(typing.NamedTuple):
    """A point."""

    x: int
    y: float = 0.5
    name: str | None = None

    @property
    def total(self) -> float:
        """The sum."""
        return self.x + self.y

    @classmethod
    def at(cls, x: int) -> Full:
        """Return a point."""
        return cls(x)


def test_named_tuples_are_those_of_typing() -> None:
    light, full = Light.at(1), Full.at(1)
    assert tuple(light) == tuple(full)
    assert 1.5 == light.total == full.total
    assert Light(2, name="a") == light._replace(x=2, name="a")
    assert full._asdict() == light._asdict()
    assert repr(full).replace("Full", "Light") == repr(light)
    assert Full._fields == Light._fields
    assert Full._field_defaults == Light._field_defaults
    assert Full.__doc__ == Light.__doc__
    assert (__name__, "Light") == (Light.__module__, Light.__qualname__)
    assert list(Full.__annotations__) == list(Light.__annotations__)
    assert not hasattr(light, "__dict__")
    with pytest.raises(AttributeError):
        light.x = 2  # type: ignore[misc]  # that it fails is tested
    with pytest.raises(TypeError):
        Light()  # type: ignore[call-arg]  # that it fails is tested


def test_named_tuples_can_be_copied_and_pickled() -> None:
    light = Light(3, 1.0, "b")
    assert light == pickle.loads(pickle.dumps(light))  # noqa: S301 - made here
    assert type(light) is type(copy.deepcopy(light))


def test_the_values_of_a_literal_are_those_of_typing() -> None:
    assert ("a", "b") == light_typing.get_args(light_typing.Literal["a", "b"])


def test_every_name_is_one_of_typing() -> None:
    assert set(light_typing.__all__) <= set(typing.__all__)
