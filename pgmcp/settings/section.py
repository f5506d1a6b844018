"""The parts from which the groups of settings are declared.

A group is a frozen dataclass, which can be imported and used without pydantic. `load` has pydantic build it
from the texts of the sources; pydantic calls the methods `__get_pydantic_core_schema__` below.
"""

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

DOCUMENTED_DEFAULT: Final = "documented_default"
"""Key of a field's metadata: the default as documents show it, if it differs from the field's."""


def setting(default: object, description: str, *, is_in_repr: bool = True) -> Any:
    """Return a field for a setting.

    Args:
        is_in_repr: whether `repr` shows its value.
    """
    return field(default=default, repr=is_in_repr, metadata={"description": description})


def unset(description: str, *, default: str = "") -> Any:
    """Return a field that is None if unset.

    Args:
        default: the default as documents show it, which libpq then uses; "" if there is none.
    """
    return field(default=None, metadata={"description": description, DOCUMENTED_DEFAULT: default})


def number(
    default: float | None,
    unit: str,
    least: float,
    most: float,
    meaning: str,
    *,
    documented: float | None = None,
) -> Any:
    """Return a field for a number in a range.

    Args:
        unit: "" for a number without one.
        documented: the default as documents show it, if it differs from `default`.
    """
    metadata = {"description": meaning, "unit": unit, "ge": least, "le": most}  # pydantic reads ge and le
    if documented is not None:
        metadata[DOCUMENTED_DEFAULT] = documented
    return field(default=default, metadata=metadata)


def key_of(field_name: str) -> str:
    """Return the key of a field in a YAML file, which omits the unit of seconds."""
    return field_name.removesuffix("_s")


class Section:
    """A group of settings; subclasses are frozen dataclasses."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "alias_generator": key_of,
        "hide_input_in_errors": True,
    }


class Secret:
    """A text that `repr` and `str` do not show."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        """Return the same text for every secret that is not empty."""
        return "Secret('**********')" if self._text else "Secret('')"

    __str__ = __repr__

    def __len__(self) -> int:
        """Return the length of the text."""
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        """Return the hash of the text."""
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Return the schema by which pydantic builds a secret from a text."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Check:
    """Marks a type in `Annotated`: the function checks or changes a value of the type."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        """Note the function, which raises ValueError with a message for the operator."""
        self._function = function

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Return a schema that calls the function after the type's own validation."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._function, handler(source))


class Convert:
    """Marks a type in `Annotated`: the function makes a value of the type from the operator's text."""

    def __init__(self, function: Callable[[object], object]) -> None:
        """Note the function, which raises ValueError with a message for the operator."""
        self._function = function

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Return a schema that calls the function before the type's own validation."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self._function, handler(source))


class ContradictionError(ValueError):
    """Settings of a group contradict each other.

    Attributes:
        setting: the field to report; "" reports the first field that is set.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(reason)
        self.setting = setting
