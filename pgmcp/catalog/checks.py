"""Reading check constraints: which of them list the values a column may hold."""

import re

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_TYPE = r"(?:::[a-z ]+(?:\(\d+\))?(?:\[\])?)"
_LITERAL = rf"'((?:[^']|'')*)'{_TYPE}?"
_ELEMENT = rf"\(?{_LITERAL}\)?{_TYPE}?"
# As pg_get_constraintdef() writes `status IN ('open', 'paid')`, with the casts of varchar columns or without.
_LIST = re.compile(
    rf"CHECK \(+{_NAME}\)?{_TYPE}? = ANY \(+ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)?{_TYPE}?\)+"
)


def listed_values(definition: str) -> tuple[str, ...]:
    """Return the texts a one-column check allows, in its order; empty when it is another kind of check."""
    match = _LIST.fullmatch(definition)
    if not match:
        return ()
    return tuple(text.replace("''", "'") for text in re.findall(_LITERAL, match[1]))
