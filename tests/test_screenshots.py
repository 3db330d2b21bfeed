from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.support.pictures import FOLDER, PICTURES, draw

README = FOLDER.parent / "README.md"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_the_program_draws_now(name: str) -> None:
    """Out of date? ``python -m tests.support.pictures`` draws them anew."""
    assert draw(name) == (FOLDER / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_whole_by_itself(name: str) -> None:
    svg = draw(name)
    ET.fromstring(svg)  # noqa: S314 - our own
    assert "url(http" not in svg
    assert "@import" not in svg


def test_no_picture_is_left_over() -> None:
    assert set(PICTURES) == {path.stem for path in FOLDER.glob("*.svg")}


def test_the_readme_shows_pictures_that_are_there() -> None:
    shown = {name for name in PICTURES if f"screenshots/{name}.svg" in README.read_text()}
    assert shown >= {"normal", "narrow", "near-the-limit", "problem", "no-colour"}
