"""Describes a question that has several readings, each with its SQL, before one of them is chosen."""

import msgspec

from pgmcp.generation.reply import Reading, SqlReply

NONE_OF_THESE = "None of these"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The readings that a person may choose from, and the cost of the model's reply; can be stored as JSON.

    Attributes:
        readings: two or more readings, the usual one first.
        assumptions: assumptions of the usual reading.
        model: the model that found the readings.
    """

    question: str
    readings: tuple[Reading, ...]
    assumptions: tuple[str, ...] = ()
    model: str | None = None
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles that a person sees: the readings, the usual one first, and "None of these"."""
        return (*(reading.title for reading in self.readings), NONE_OF_THESE)

    def reply_for(self, title: str | None) -> SqlReply:
        """Return the model's reply for the chosen reading.

        Args:
            title: the title of a reading; any other text, or None, chooses the usual reading.
        """
        chosen = next((reading for reading in self.readings if reading.title == title), None)
        if chosen is None:
            return SqlReply(self.readings[0].sql, self.assumptions, readings=self.readings)
        return SqlReply(chosen.sql, (f"you chose: {chosen.title}",))
