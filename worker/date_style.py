"""Converts dates from the role's DateStyle to ISO style.

A statement keeps the role's DateStyle, because `day::text`, `to_date` and the like depend on it. Columns of
the types date, timestamp and timestamptz are shown in ISO style all the same. Dates inside arrays, ranges and
rows stay as PostgreSQL writes them.

Styles: PostgreSQL manual, "Date/Time Output", and EncodeDateTime() in src/backend/utils/adt/datetime.c.

    German    17.12.1997 07:37:16.00 PST
    SQL       12/17/1997 07:37:16.00 PST          17/12/1997 with the order DMY
    Postgres  Wed Dec 17 07:37:16 1997 PST        Wed 17 Dec 07:37:16 1997 PST with the order DMY
              12-17-1997 for a date               17-12-1997 with the order DMY
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DATE_OIDS: Final = frozenset({1082, 1114, 1184})
"""date, timestamp, timestamptz; the OIDs are fixed by PostgreSQL's pg_type.dat."""

_TIME: Final = r"(?P<time>\d\d:\d\d:\d\d(?:\.\d+)?)"
_END: Final = r"(?: ?(?P<zone>(?!BC\b)[-+\w:]+))?(?P<era> BC)?"
_AFTER_DATE: Final = rf"(?: {_TIME})?{_END}"
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_NUMERIC_ZONE: Final = re.compile(r"([-+])(\d\d)(?::?(\d\d))?(?::?(\d\d))?")


def _dates(first: str, second: str, mark: str) -> str:
    return rf"(?P<{first}>\d\d){mark}(?P<{second}>\d\d){mark}(?P<year>\d{{4,}}){_AFTER_DATE}"


def _written_out(day_and_month: str) -> str:
    return rf"[A-Z][a-z]{{2}} {day_and_month} {_TIME} (?P<year>\d{{4,}}){_END}"


_PATTERNS_BY_STYLE: Final = {
    ("GERMAN", False): (_dates("day", "month", r"\."),),
    ("GERMAN", True): (_dates("day", "month", r"\."),),
    ("SQL", False): (_dates("month", "day", "/"),),
    ("SQL", True): (_dates("day", "month", "/"),),
    ("POSTGRES", False): (
        _dates("month", "day", "-"),
        _written_out(r"(?P<name>[A-Z][a-z]{2}) (?P<day>\d\d)"),
    ),
    ("POSTGRES", True): (_dates("day", "month", "-"), _written_out(r"(?P<day>\d\d) (?P<name>[A-Z][a-z]{2})")),
}
"""The patterns by style, and by whether the day comes before the month."""


@dataclass(frozen=True, slots=True)
class DateOutput:
    """How a session writes dates, if it does not write them in ISO style.

    Attributes:
        style: "German", "SQL" or "Postgres".
        is_day_first: whether the order is DMY.
        time_zone: the session's time zone, as PostgreSQL names it.
    """

    style: str
    is_day_first: bool
    time_zone: str

    def to_iso(self, text: str) -> str:
        """Return a date or timestamp in ISO style.

        A text in another form, such as "infinity", is returned unchanged. So is a timestamp whose zone has an
        abbreviation without a certain offset.
        """
        patterns = _PATTERNS_BY_STYLE.get((self.style.upper(), self.is_day_first), ())
        match = next(filter(None, (re.fullmatch(pattern, text) for pattern in patterns)), None)
        if match is None:
            return text
        parts = match.groupdict()
        month = parts.get("month") or f"{_MONTHS.index(parts['name']) + 1:02}"
        day = f"{parts['year']}-{month}-{parts['day']}"
        iso = f"{day} {parts['time']}" if parts["time"] else day
        if parts["zone"]:
            offset = self._offset(parts["zone"], "" if parts["era"] else iso)
            if offset is None:
                return text
            iso += offset
        return iso + (parts["era"] or "")

    def _offset(self, zone: str, local: str) -> str | None:
        """Return the UTC offset of a zone, written as a number or an abbreviation; None if it is not certain.

        Args:
            zone: such as "PST" or "+05:30".
            local: the local time, in ISO style; "" if it is BC, which Python lacks.
        """
        if zone in ("UTC", "GMT", "-00"):  # RFC 3339: -00 is UTC if the local offset is not known
            return "+00"
        if numeric := _NUMERIC_ZONE.fullmatch(zone):
            sign, *parts = numeric.groups()
            return sign + ":".join(part for part in parts if part and (part != "00" or part is parts[0]))
        try:
            when = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(self.time_zone))
        except (ValueError, OSError, LookupError):  # a year or a zone that Python lacks
            return None
        folds = (when.replace(fold=0), when.replace(fold=1))
        offsets = {each.utcoffset() for each in folds if each.tzname() == zone}
        return _format_offset(offset) if len(offsets) == 1 and (offset := offsets.pop()) is not None else None


def choose_date_output(date_style: str, time_zone: str) -> DateOutput | None:
    """Return how dates are written in this DateStyle, "SQL, DMY" for instance; None for ISO style."""
    style, _, order = (part.strip() for part in date_style.partition(","))
    if style.upper() not in {name for name, _ in _PATTERNS_BY_STYLE}:
        return None
    return DateOutput(style, order.upper() == "DMY", time_zone)


def _format_offset(offset: timedelta) -> str:
    seconds = round(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{hours:02}", *(f"{part:02}" for part in divmod(rest, 60))]
    while len(parts) > 1 and parts[-1] == "00":
        parts.pop()
    return ("-" if seconds < 0 else "+") + ":".join(parts)
