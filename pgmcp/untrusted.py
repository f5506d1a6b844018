"""Makes untrusted text safe to show: no invisible characters, no line breaks, no end of a fence.

Values, column names, comments and text of a model reach the host's model and a person's terminal. Characters
that hide, reorder or control text become visible escapes (`worker.escaping`). Text between the two marks of a
fence cannot contain its end. All packages may import this module.
"""

import json
import os
import unicodedata
from collections.abc import Iterable
from typing import Final

from worker.escaping import drop_invisible as drop_invisible
from worker.escaping import escape_untrusted as escape_untrusted
from worker.escaping import escape_untrusted_block as escape_untrusted_block
from worker.escaping import is_harmless as is_harmless

_ZERO_WIDTH_JOINER: Final = "\u200d"
_EMOJI_MODIFIERS: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_REGIONAL_INDICATORS: Final = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
_MAX_SHOWN_CHARACTERS: Final = 60
_MAX_CLUSTER_CHARACTERS: Final = 32
"""Maximum code points of one visible character. The longest emoji in use have half as many; letters with more
marks may be cut.
"""


def new_fence() -> str:
    """Return a mark for one result or prompt; text that was stored before cannot contain it."""
    return os.urandom(4).hex()


def fence_lines(lines: Iterable[str], fence: str) -> str:
    """Return escaped lines between two marks that stored text cannot contain.

    Args:
        lines: text that went through `escape_untrusted`.
        fence: a mark of `new_fence`, used for one result only.
    """
    return "\n".join((f"<data-{fence}>", *lines, f"</data-{fence}>"))


def show_value(value: object) -> str:
    """Return a caller's value as JSON for a message, shortened; it is escaped with the message."""
    return shorten(json.dumps(value, ensure_ascii=False, default=str), _MAX_SHOWN_CHARACTERS)


def shorten(text: str, max_characters: int) -> str:
    """Return `text` in at most `max_characters`; a shortened one ends in "…".

    What readers see as one character (a joined emoji, a letter with its marks, a flag) is kept or left out as
    a whole.
    """
    if len(text) <= max_characters:
        return text
    end = max_characters - 1
    for place in range(end, max(end - _MAX_CLUSTER_CHARACTERS, 0), -1):
        if not _continues(text, place):
            return text[:place] + "…"
    return text[:end] + "…"


def _continues(text: str, place: int) -> bool:
    """Return whether a character is part of the one before it (Unicode Standard Annex #29, simplified)."""
    character, before = text[place], text[place - 1]
    if _ZERO_WIDTH_JOINER in (character, before) or character in _EMOJI_MODIFIERS:
        return True
    if character in _REGIONAL_INDICATORS:
        start = place
        while start and text[start - 1] in _REGIONAL_INDICATORS:
            start -= 1
        return (place - start) % 2 == 1
    is_tag = "\U000e0020" <= character <= "\U000e007f"
    return is_tag or unicodedata.category(character).startswith("M")
