from itertools import combinations
from typing import Any

import pytest

from pgmcp.charts.theme import Theme, theme_config

READABLE_TEXT = 4.5
VISIBLE_MARK = 3.0
"""Contrast by WCAG 2.2, success criteria 1.4.3 and 1.4.11."""


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb", as WCAG 2.2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(params=list(Theme))
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return theme_config(request.param)


def test_text_is_readable(config: dict[str, Any]) -> None:
    colours = [config["title"]["color"], config["text"]["color"]]
    colours += [config[part][key] for part in ("axis", "legend") for key in ("labelColor", "titleColor")]

    assert min(contrast(colour, config["background"]) for colour in colours) >= READABLE_TEXT


def test_marks_stand_out_from_the_ground(config: dict[str, Any]) -> None:
    marks = [config["mark"]["color"], *config["range"]["category"]]

    assert min(contrast(colour, config["background"]) for colour in marks) >= VISIBLE_MARK


def test_there_is_a_colour_for_each_of_eight_series(config: dict[str, Any]) -> None:
    colours = config["range"]["category"]

    assert len(colours) == 8
    assert all(one != other for one, other in combinations(colours, 2))
