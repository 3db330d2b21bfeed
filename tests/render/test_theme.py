"""The contrast of every theme on its own backgrounds, by the formula of WCAG 2."""

from __future__ import annotations

import pytest
from rich.color import Color
from rich.style import Style

from claude_usage_monitor.render.theme import (
    Background,
    Theme,
    ThemeName,
    depends_on_background,
    theme_for,
)

BACKGROUNDS: dict[Background, tuple[str, ...]] = {
    "dark": ("#000000", "#1e1e1e", "#002b36"),  # black, a usual gray, Solarized dark
    "light": ("#ffffff", "#fdf6e3"),  # white, Solarized light
}
MIN_TEXT, MIN_BAR = 4.5, 3.0
THEMES: tuple[tuple[ThemeName, Background | None, Background], ...] = (
    ("auto", "dark", "dark"),
    ("auto", "light", "light"),
    ("dark", None, "dark"),
    ("dark", "light", "dark"),
    ("light", None, "light"),
    ("colorblind", "dark", "dark"),
    ("colorblind", "light", "light"),
    ("high-contrast", "dark", "dark"),
    ("high-contrast", "light", "light"),
)


def luminance(color: tuple[int, ...]) -> float:
    parts = [value / 255 for value in color]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(style: str, background: str) -> float:
    color = Style.parse(style).color
    assert color is not None, "the terminal's own color, on a background that is known"
    assert color.number is not None
    assert color.number >= 16, "a color that the user's palette changes"
    shades = [
        luminance(tuple(color.get_truecolor())),
        luminance(tuple(Color.parse(background).get_truecolor())),
    ]
    return (max(shades) + 0.05) / (min(shades) + 0.05)


def texts(theme: Theme) -> set[str]:
    return {
        theme.text,
        *theme.figures,
        theme.good,
        theme.warning,
        theme.strong_warning,
        theme.problem,
        theme.target,
    }


@pytest.mark.parametrize(("name", "known", "background"), THEMES)
def test_all_text_is_readable(
    name: ThemeName, known: Background | None, background: Background
) -> None:
    theme = theme_for(name, known)
    minimum = 7.0 if name == "high-contrast" else MIN_TEXT
    for style in texts(theme):
        for shade in BACKGROUNDS[background]:
            assert contrast(style, shade) >= minimum, (style, shade)


@pytest.mark.parametrize("name", ["auto", "colorblind", "high-contrast"])
def test_on_an_unknown_background_text_has_the_terminals_color_and_bars_are_visible(
    name: ThemeName,
) -> None:
    theme = theme_for(name)
    for style in texts(theme) - {theme.target}:
        assert Style.parse(style).color is None
        assert not Style.parse(style).dim
    for style in (*theme.bars, theme.amount, theme.target):
        if Style.parse(style).color is not None:
            shades = [*BACKGROUNDS["dark"], *BACKGROUNDS["light"]]
            assert min(contrast(style, shade) for shade in shades) >= MIN_BAR, style


def test_only_these_themes_need_to_know_the_background() -> None:
    assert [depends_on_background(name) for name in ("auto", "colorblind", "high-contrast")] == [
        True
    ] * 3
    assert not depends_on_background("dark")
    assert not depends_on_background("light")


@pytest.mark.parametrize(("name", "known", "background"), THEMES)
def test_severities_have_different_styles(
    name: ThemeName, known: Background | None, background: Background
) -> None:
    del background
    assert 4 == len(set(theme_for(name, known).figures))
