"""Determines the role of a result's column in a chart, and converts cells to numbers, times and labels.

PostgreSQL's type, the column's name and a sample of its cells decide. A number is converted for drawing only:
the table keeps its exact text.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from pgmcp.execution.result import Column, JsonScalar
from pgmcp.untrusted import escape_untrusted, shorten

Row = Sequence[JsonScalar]

_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_SAMPLE_ROWS = 200
_MAX_NAME_CHARACTERS = 60
_MAX_LABEL_CHARACTERS = 80
_MAX_EMOJI = 11  # this many fit into the width of a label
_MAX_CATEGORY_CHARACTERS = 200  # longer text is prose, not a category


class Role(Enum):
    """Roles of a column in a chart."""

    TIME = "time"
    """A date or time, as a type or as ISO text."""
    STEP = "step"
    """A part of the calendar: a year, a quarter, a month or an hour as a number or short text."""
    MEASURE = "measure"
    """A quantity."""
    KEY = "key"
    """An identifier such as `id` or `customer_id`; drawn only as a label."""
    CATEGORY = "category"
    """A short text, an enum or a boolean."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ChartColumn:
    """A column of a result and its role in a chart.

    Attributes:
        index: the column's position in the result, from 0.
        name: the column's name, or a replacement if it has none; escaped and unique in the result.
        step: the unit of a calendar part, such as "month"; "" for other roles.
    """

    index: int
    name: str
    role: Role
    step: str = ""


def read_columns(columns: Sequence[Column], rows: Sequence[Row]) -> list[ChartColumn]:
    """Return the role of each column, judged by at most 200 rows."""
    sample = rows[:_SAMPLE_ROWS]
    chart_columns = []
    names: set[str] = set()
    for index, column in enumerate(columns):
        cells = [row[index] for row in sample if row[index] is not None]
        role, step = _judge(column, cells)
        name = _show_name(column.name, index)
        # A result may repeat a name, a legend may not.
        name = _to_label(f"column {index + 1}: {name}", _MAX_NAME_CHARACTERS) if name in names else name
        names.add(name)
        chart_columns.append(ChartColumn(index, name, role, step))
    return chart_columns


def read_number(cell: JsonScalar) -> float | None:
    """Return a cell as a finite number, or None."""
    if cell is None or isinstance(cell, bool):
        return None
    try:
        number = float(cell)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def read_moment(cell: JsonScalar) -> float | None:
    """Return a date, a month or a timestamp as milliseconds since 1970, or None.

    The offset of a timestamptz is dropped, so that the chart shows the same local time as the table.
    Infinity, and years before 1 or after 9999, give None.
    """
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    try:
        moment = datetime.fromisoformat(f"{text}-01" if len(text) == len("2026-11") else text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.replace(tzinfo=None)
    return (moment - _EPOCH) / _MILLISECOND


def read_label(cell: JsonScalar) -> str:
    """Return a cell as a short text on one line that is safe to draw."""
    match cell:
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case str():
            return _to_label(cell, _MAX_LABEL_CHARACTERS) or "(empty)"
        case _:
            return str(cell)


def read_step(cell: JsonScalar, step: str) -> str | None:
    """Return the label of a calendar part: the name of a month, otherwise the number."""
    number = read_number(cell)
    if number is None:
        return None if cell is None else read_label(cell)
    return _MONTHS[int(number) - 1] if step == "month" and 1 <= number <= 12 else f"{number:.0f}"


def split_words(text: str) -> list[str]:
    """Return the words of a name or sentence in lower case: "order" and "id" of `orderId`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", spaced.lower())


def step_rank(step: str) -> int:
    """Return a sort key by the length of steps; longer steps come first: a year before a month."""
    return _STEPS.index(step)


def to_line(text: str, max_characters: int) -> str:
    """Return untrusted text as one line that can be drawn: escaped, cut, and safe for Vega."""
    # Cut before escaping to limit the work, and again because escapes are longer than their characters.
    line = shorten(
        escape_untrusted(shorten(text[: 2 * max_characters].strip(), max_characters)), max_characters
    )
    return f"{line}\u00a0" if line in _PROPERTIES_OF_EVERY_OBJECT else line


def _to_label(text: str, max_characters: int) -> str:
    # Vega cuts wide labels by UTF-16 units, which can split an emoji; then the drawing fails.
    line = to_line(text, max_characters)
    return line if line.isascii() or max(line) <= "\uffff" else shorten(line, _MAX_EMOJI)


def _show_name(name: str, index: int) -> str:
    shown = _to_label(name, _MAX_NAME_CHARACTERS)
    return f"column {index + 1}" if shown in ("", "?column?") else shown


def _judge(column: Column, cells: list[JsonScalar]) -> tuple[Role, str]:
    base_type = column.type.partition("(")[0].strip()
    if not cells:
        return Role.OTHER, ""
    if base_type in _NUMBER_TYPES:
        return _judge_numbers(column.name, cells)
    if base_type in _TIME_TYPES:
        return Role.TIME, ""
    if base_type in _TYPES_WITHOUT_LABELS or column.type.endswith(("]", "range")):
        return Role.OTHER, ""
    return _judge_texts(cells)


def _judge_numbers(name: str, cells: list[JsonScalar]) -> tuple[Role, str]:
    words = split_words(name[:_MAX_NAME_CHARACTERS])
    step = _find_step(words)
    if step is not None:
        lowest, highest = _STEP_RANGES[step]
        if _are_integers_between(cells, lowest, highest):
            return Role.STEP, step
    if words and (words[-1] in _KEY_WORDS or words[0] == "id"):
        return Role.KEY, ""
    return Role.MEASURE, ""


def _judge_texts(cells: list[JsonScalar]) -> tuple[Role, str]:
    if all(isinstance(cell, bool) for cell in cells):
        return Role.CATEGORY, ""
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells) or max(map(len, texts)) > _MAX_CATEGORY_CHARACTERS:
        return Role.OTHER, ""
    if _all_match(_ISO_DATE, texts):
        return Role.TIME, ""
    if _all_match(_ISO_PERIOD, texts):
        return Role.STEP, "period"
    return Role.CATEGORY, ""


def _all_match(pattern: re.Pattern[str], texts: Iterable[str]) -> bool:
    return all(pattern.fullmatch(text) for text in texts)


def _find_step(words: list[str]) -> str | None:
    """Return the calendar part in a name: `order_year`, `day_of_week`, `month_number`."""
    if not words or not _NOT_STEP_WORDS.isdisjoint(words):
        return None
    if words[-1] in ("number", "num", "no") and len(words) > 1:
        words = words[:-1]
    return words[-1] if words[-1] in _STEP_RANGES else None


def _are_integers_between(cells: Iterable[JsonScalar], lowest: int, highest: int) -> bool:
    numbers = (read_number(cell) for cell in cells)
    return all(
        number is not None and number.is_integer() and lowest <= number <= highest for number in numbers
    )


_NUMBER_TYPES: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_TIME_TYPES: Final = frozenset(
    {"date", "timestamp", "timestamp without time zone", "timestamp with time zone"}
)
# Types whose values are not useful as labels.
_TYPES_WITHOUT_LABELS: Final = frozenset(
    {
        "bit", "bit varying", "box", "bytea", "circle", "geography", "geometry", "hstore", "interval", "json",
        "jsonb", "jsonpath", "line", "lseg", "money", "oid", "path", "pg_lsn", "pg_snapshot", "point",
        "polygon", "record", "tid", "tsquery", "tsvector", "txid_snapshot", "uuid", "vector", "xid",
        "xid8", "xml",
    }
)  # fmt: skip
_KEY_WORDS: Final = frozenset({"id", "ids", "key", "oid", "pk", "fk", "zip", "zipcode", "postcode", "phone"})
_NOT_STEP_WORDS: Final = frozenset({"avg", "average", "count", "max", "mean", "min", "per", "sum", "total"})
_ISO_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?)?\s*")
_ISO_PERIOD: Final = re.compile(r"\d{4}[- ]?[QW]\d{1,2}\s*")
_STEP_RANGES: Final = {
    "year": (1000, 2999),
    "extract": (1, 2999),  # PostgreSQL's column name for `extract(year from …)`
    "quarter": (1, 4),
    "period": (0, 0),
    "month": (1, 12),
    "week": (0, 53),
    "day": (1, 31),
    "doy": (1, 366),
    "dow": (0, 6),
    "isodow": (1, 7),
    "weekday": (0, 7),
    "hour": (0, 23),
}
# Vega looks up texts in plain JavaScript objects, which always have these properties; the drawing would fail.
_PROPERTIES_OF_EVERY_OBJECT: Final = frozenset(
    {
        "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__",
        "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
        "toString", "valueOf",
    }
)  # fmt: skip
_STEPS: Final = tuple(_STEP_RANGES)  # longest first
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
