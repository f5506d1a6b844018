"""Untrusted text, made safe to show: nothing invisible, nothing that breaks a line or closes our fence.

Values, column names, comments and a model's own words reach the host's model
and a person's terminal. Whatever they hold is shown as data: characters that
hide, reorder or control text become visible escapes (`worker.escaping`), and the
text between two marks of a fence cannot end it. Every room can use this.
"""

import os
from collections.abc import Iterable

from worker.escaping import drop_invisible as drop_invisible
from worker.escaping import escape_untrusted as escape_untrusted
from worker.escaping import escape_untrusted_block as escape_untrusted_block
from worker.escaping import is_harmless as is_harmless


def new_fence() -> str:
    """Return a mark for one result or prompt; text that was stored before cannot know it."""
    return os.urandom(4).hex()


def fence_lines(lines: Iterable[str], fence: str) -> str:
    """Return escaped lines between two marks that only we can write.

    Args:
        lines: text that went through `escape_untrusted`.
        fence: from `new_fence`, used for one result only.
    """
    return "\n".join((f"<data-{fence}>", *lines, f"</data-{fence}>"))


def shorten(text: str, max_characters: int) -> str:
    """Return `text` in at most `max_characters`; a shortened one ends in "…"."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
