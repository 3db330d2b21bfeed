from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tests.support.pictures import FOLDER, PICTURES, draw

ROOT = FOLDER.parent


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_the_program_draws_now(name: str) -> None:
    """If it fails, run ``python -m tests.support.pictures``."""
    assert draw(name) == (FOLDER / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_loads_nothing_from_elsewhere(name: str) -> None:
    svg = draw(name)
    ET.fromstring(svg)  # noqa: S314 - written by us
    assert "url(http" not in svg
    assert "@import" not in svg


def test_every_picture_file_has_a_row_in_the_table() -> None:
    assert set(PICTURES) == {path.stem for path in FOLDER.glob("*.svg")}


def test_documents_show_pictures_that_exist() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        name
        for document in documents
        for name in re.findall(r"screenshots/([\w-]+)\.svg", document.read_text(encoding="utf-8"))
    }
    assert shown >= {"normal", "narrow", "near-the-limit", "problem", "no-color"}
    assert shown <= set(PICTURES)
