"""The base class of all groups of settings, and functions that make their fields."""

from collections.abc import Callable
from typing import Any

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


def unset(description: str) -> Any:
    """Return a field that is None if unset."""
    return Field(default=None, description=description)


def number(
    default: float | Callable[..., float] | None, unit: str, least: float, most: float, meaning: str
) -> Any:
    """Return a field for a number in a range.

    Args:
        unit: "" for a number without one.
    """
    start: Any = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**start, ge=least, le=most, description=meaning, json_schema_extra={"unit": unit})


class Section(BaseModel):
    """A group of settings; frozen."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(validation_alias=lambda name: name.removesuffix("_s")),
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


def reject(setting: str, reason: str) -> PydanticCustomError:
    """Return an error for one of several settings that contradict each other."""
    return PydanticCustomError("pair", "{reason}", {"setting": setting, "reason": reason})
