"""Light and dark themes of charts, as Vega-Lite's `config`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LABEL_LIMIT_PX: Final = 180
"""Longer labels are cut and end in "…"; tooltip and table have up to 80 characters."""


class Theme(StrEnum):
    """The background of a chart."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class _Colours:
    """Colours of a theme: contrast to the background at least 4.5 to 1 for text, 3 to 1 for marks (WCAG 2.2).

    Attributes:
        marks: colours of the series in order, distinguishable with any colour blindness.
    """

    ground: str
    ink: str
    soft_ink: str
    line: str
    marks: tuple[str, ...]


_COLOURS_BY_THEME: Final = {
    Theme.LIGHT: _Colours(
        ground="#ffffff",
        ink="#1f2430",
        soft_ink="#4a5262",
        line="#dde1e7",
        marks=("#0b6bcb", "#ef395d", "#14315d", "#83a00d", "#c4649e", "#602430", "#6a13ec", "#8e0b0b"),
    ),
    Theme.DARK: _Colours(
        ground="#16191d",
        ink="#e8eaed",
        soft_ink="#b3bac5",
        line="#343a43",
        marks=("#58a6ff", "#e8751a", "#d9d9f7", "#55d66f", "#c935ab", "#9b6238", "#8d55f2", "#e3b7aa"),
    ),
}


def theme_config(theme: Theme) -> dict[str, Any]:
    """Return the `config` of Vega-Lite for all charts."""
    colours = _COLOURS_BY_THEME[theme]
    ink, line = colours.ink, colours.line
    texts = {"labelColor": colours.soft_ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": colours.ground,
        "font": "Liberation Sans, Arial, Helvetica, sans-serif",
        "padding": 12,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "title": {"color": ink, "anchor": "start", "fontSize": 15, "fontWeight": 600, "offset": 14},
        "axis": {
            **texts,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelPadding": 6,
            "labelFlush": False,
        },
        "legend": {**texts, "titleFontWeight": "normal", "labelLimit": LABEL_LIMIT_PX, "symbolSize": 90},
        "view": {"stroke": None},
        "mark": {"color": colours.marks[0]},
        "text": {"color": ink},
        "range": {"category": list(colours.marks)},
    }
