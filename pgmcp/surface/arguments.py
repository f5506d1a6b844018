"""Reads arguments of tools into structs, which define the JSON schema, the validation and the error messages.

Hosts and models often send values of types that differ from the schema's, so these are accepted:

    "", "null", null, []  counts as left out, for every optional argument
    "5", 5.0              an integer
    "true", "no", 1       a boolean
    '["a", "b"]', "a, b"  a list of texts
    an unknown argument   ignored with a note, unless its name is similar to a known one
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from pgmcp.errors import MAX_NAME_CHARACTERS, InvalidArgumentError
from pgmcp.untrusted import shorten, show_value

MAX_NOTED_ARGUMENTS: Final = 5
"""Maximum number of unknown arguments in a note; a call can contain thousands."""

MAX_INTEGER: Final = 2**63 - 1
"""Larger integers are refused: PostgreSQL has none, and a message would repeat all their digits."""

_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_HINT: Final = "the tool's input schema describes its arguments"
_ANY: Final[Mapping[str, tuple[int, int]]] = {}

Arguments = TypeVar("Arguments", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class _Field:
    """One argument: its name, the reader of its value, and whether it may be left out."""

    name: str
    read: Callable[[str, Any], Any]
    is_required: bool


class ArgumentReader(Generic[Arguments]):
    """Reads the arguments of one tool into its struct.

    Args:
        kind: the struct; a field with a default is an optional argument.
        withheld: fields that these settings do not offer, with a hint on how to enable each.
        ranges: the least and the greatest value of integer arguments, by name, for hints. The pipeline checks
            the values.

    Attributes:
        offered: the names of the fields that are not withheld.
    """

    def __init__(
        self, kind: type[Arguments], withheld: Mapping[str, str], ranges: Mapping[str, tuple[int, int]] = _ANY
    ) -> None:
        self._kind = kind
        self._ranges = ranges
        self._withheld = withheld
        choices = {name: _choices(hint) for name, hint in get_type_hints(kind).items()}
        described = inspect.multi_type_info([kind])[0]
        fields = described.fields if isinstance(described, inspect.StructType) else ()
        self._fields = {
            field.name: _Field(
                field.name, _reader_of(field.type, choices.get(field.name, ())), field.required
            )
            for field in fields
        }
        self._required = [name for name, field in self._fields.items() if field.is_required]
        self._choices = choices
        self.offered = [name for name in self._fields if name not in withheld]

    def read(self, raw: Mapping[str, Any]) -> tuple[Arguments, tuple[str, ...]]:
        """Return the arguments, and notes on ignored arguments.

        Raises:
            InvalidArgumentError: an argument is missing, invalid or not offered, or an unknown name is
                similar to that of an argument.
        """
        values: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in raw.items():
            field = self._fields.get(name)
            if field is None:
                unknown.append(name)
            elif field.is_required or not _is_left_out(value):
                values[name] = self._value(field, value)
        notes = note_unknown(unknown, values, self.offered) if unknown else ()
        for name in self._required:
            if name not in values:
                raise InvalidArgumentError(f"{name}: field required", hint=notes[0] if notes else _HINT)
        return self._kind(**values), notes

    def schema(self, additions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the JSON schema of the offered arguments.

        Args:
            additions: keywords of JSON schema to add, by argument.
        """
        (_, *_), components = msgspec.json.schema_components([self._kind])
        described = components[self._kind.__name__]
        properties = {
            name: {**_flat(described["properties"][name]), **self._enum(name), **additions.get(name, {})}
            for name in self.offered
        }
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if described.get("required"):
            schema["required"] = list(described["required"])
        return schema

    def _enum(self, name: str) -> dict[str, Any]:
        return {"type": "string", "enum": list(self._choices[name])} if self._choices[name] else {}

    def _value(self, field: _Field, value: Any) -> Any:
        if field.name in self._withheld:
            raise InvalidArgumentError(f"{field.name} is not offered here", hint=self._withheld[field.name])
        try:
            read = field.read(field.name, value)
        except InvalidArgumentError as error:
            if field.name in self._ranges:
                least, greatest = self._ranges[field.name]
                error.hint = f"{field.name} takes a whole number from {least} to {greatest}"
            raise
        if read is None:
            raise InvalidArgumentError(f"{field.name}: expected a value, got null", hint=_HINT)
        return read


def note_unknown(unknown: Sequence[str], given: Mapping[str, Any], offered: Sequence[str]) -> tuple[str, ...]:
    """Return a note on unknown arguments, which are ignored.

    Raises:
        InvalidArgumentError: one has a name similar to that of an argument that is not given.
    """
    takes = f"this tool takes {', '.join(offered) or 'no arguments'}"
    check_near_names(unknown, [name for name in offered if name not in given], takes)
    named = ", ".join(repr(shorten(name, MAX_NAME_CHARACTERS)) for name in unknown[:MAX_NOTED_ARGUMENTS])
    more = f" and {len(unknown) - MAX_NOTED_ARGUMENTS} more" if len(unknown) > MAX_NOTED_ARGUMENTS else ""
    plural = "s" if len(unknown) > 1 else ""
    return (f"ignored the unknown argument{plural} {named}{more}: {takes}",)


def check_near_names(unknown: Iterable[str], free: Sequence[str], takes: str) -> None:
    """Refuse an unknown argument whose name is similar to that of a missing one.

    Raises:
        InvalidArgumentError: its hint names the similar argument.
    """
    import difflib

    plain = {_folded(name): name for name in free}
    for name in unknown:
        near = difflib.get_close_matches(_folded(name[:MAX_NAME_CHARACTERS]), plain, n=1, cutoff=0.75)
        if near:
            raise InvalidArgumentError(
                f"unknown argument {shorten(name, MAX_NAME_CHARACTERS)!r}",
                hint=f"did you mean {plain[near[0]]}? {takes}",
            )


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _is_left_out(value: Any) -> bool:
    return value is None or value in ("", "null") or value == []


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional argument without null, to save tokens."""
    parts = dict(schema)
    some = [part for part in parts.pop("anyOf", ()) if part != {"type": "null"}]
    if parts.get("default") in (None, ""):
        parts.pop("default", None)
    return {**(some[0] if some else {}), **parts}


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the values of a `Literal` in the order of the source, in which msgspec does not keep them."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((found for part in get_args(hint) if (found := _choices(part))), ())


def _reader_of(kind: inspect.Type, choices: Sequence[Any]) -> Callable[[str, Any], Any]:
    if isinstance(kind, inspect.Metadata):
        return _reader_of(kind.type, choices)
    if isinstance(kind, inspect.UnionType):
        return _reader_of(
            next(each for each in kind.types if not isinstance(each, inspect.NoneType)), choices
        )
    match kind:
        case inspect.IntType():
            return _read_integer
        case inspect.BoolType():
            return _read_boolean
        case inspect.ListType():
            return _read_texts
        case inspect.LiteralType():
            return _one_of(choices)
        case _:
            return _read_text


def _invalid(name: str, expected: str, value: Any) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {show_value(value)}", hint=_HINT)


def _read_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(name, "a string", value)
    return value


def _read_integer(name: str, value: Any) -> int:
    number = value
    if isinstance(value, str):
        try:
            number = float(value) if len(value) <= 40 else None
        except ValueError:
            number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise _invalid(name, "an integer", value)
    if abs(number) > MAX_INTEGER:
        raise _invalid(name, "an integer of 64 bits", value)
    return number


def _read_boolean(name: str, value: Any) -> bool:
    word = str(value).strip().lower()
    if isinstance(value, bool | int | str) and word in _TRUE | _FALSE:
        return word in _TRUE
    raise _invalid(name, "true or false", value)


def _one_of(choices: Sequence[Any]) -> Callable[[str, Any], Any]:
    by_word = {str(each).lower(): each for each in choices}

    def read(name: str, value: Any) -> Any:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in by_word:
            raise _invalid(name, _alternatives([show_value(each) for each in choices]), value)
        return by_word[word]

    return read


def _alternatives(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]])


def _read_texts(name: str, value: Any) -> list[str]:
    given = _split_list(value) if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(each, str | int | None) for each in given):
        raise _invalid(name, "a list of strings", value)
    return [str(each) for each in given if each not in ("", None)]


def _split_list(text: str) -> Any:
    """Return the list in a text: JSON, or names separated by commas."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return [text.strip()] if '"' in text else [part.strip() for part in text.split(",")]
