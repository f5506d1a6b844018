"""What a function's definition seems to call and read: by how its text looks, and more rather than less.

A definition is as `pg_get_functiondef` prints it: what the function takes and returns, the values
it takes by default, and its body. Comments and strings are text like the rest, because what stands
in them may be run as well.
"""

import re
from dataclasses import dataclass
from functools import cached_property

_NAME = r'(?:"(?:[^"]|"")++"|[^\W\d][\w$]*+)'
_GAP = r"(?:\s|--[^\n]*+\n)*+"

_CALL = re.compile(rf"(?:({_NAME}){_GAP}\.{_GAP})?({_NAME}){_GAP}\(")
_FIELD = re.compile(rf"\.{_GAP}({_NAME})")
_ANY_NAME = re.compile(_NAME)
_OPERATORS = re.compile(r"(?<!:)[-+*/<>=~!@#%^&|`?]+")
_INNERMOST_COMMENT = re.compile(r"/\*(?:(?!/\*|\*/).)*+\*/", re.DOTALL)
_MAX_COMMENT_DEPTH = 32
# EXECUTE of anything but one plain string, which can be read here; a name in Unicode escapes.
_HIDDEN_TEXT = re.compile(
    r"""\bexecute\b(?!\s+'(?:[^']|'')*+'\s*+(?:;|into\b|using\b))|\bu&" """.strip(), re.IGNORECASE
)


@dataclass(frozen=True)
class BodyText:
    """One function's definition.

    Attributes:
        definition: its text.
        language: pg_language.lanname.
    """

    definition: str
    language: str

    @property
    def hides_calls(self) -> bool:
        """Whether it puts together SQL that its text does not show."""
        return self.language == "plpgsql" and _HIDDEN_TEXT.search(self.definition) is not None

    @cached_property
    def calls(self) -> set[tuple[str, str]]:
        """Schema and name of what looks like a call; "" without a schema."""
        written = (call for text in self._texts for call in _CALL.findall(text))
        return {
            (schema, name)
            for written_schema, written_name in written
            for schema in _meanings(written_schema)
            for name in _meanings(written_name)
        }

    @cached_property
    def fields(self) -> set[str]:
        """Names behind a dot, each of which can be a function of the value before it."""
        written = (field for text in self._texts for field in _FIELD.findall(text))
        return {name for field in written for name in _meanings(field)}

    @cached_property
    def _texts(self) -> tuple[str, str]:
        """The text with and without comments, which may part a call; what looks like one may be a string."""
        bare = self.definition
        for _ in range(_MAX_COMMENT_DEPTH):
            bare, count = _INNERMOST_COMMENT.subn(" ", bare)
            if not count:
                break
        return self.definition, bare

    @cached_property
    def names(self) -> set[str]:
        """All words and quoted names."""
        return {name for written in _ANY_NAME.findall(self.definition) for name in _meanings(written)}

    @cached_property
    def symbols(self) -> set[str]:
        """What looks like an operator, as it is written and as the server may split it."""
        written = (run.partition("--")[0].partition("/*")[0] for run in _OPERATORS.findall(self.definition))
        return {symbol for run in written for symbol in (run, run.rstrip("+-"), run[-1:])}


def _meanings(written: str) -> set[str]:
    """Return the names that one as written stands for; unquoted text may stand in quotes further out."""
    if written.startswith('"'):
        return {written[1:-1].replace('""', '"')}
    # A dollar is part of a name, or of the quotes around the body: `5::email$function$`.
    return {meaning for part in (written, *written.split("$")) for meaning in (part, part.lower())}
