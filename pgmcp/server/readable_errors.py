"""Failures as a host's model can read them: what happened, where, and what to do.

The SDK hides the text of every exception that is not its own, and logs the text
of those that are, SQL included; so a failed call is answered with a result that
says so, not raised.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    InputRequiredResult,
    TextContent,
    Tool,
)
from pydantic import ValidationError

from pgmcp.errors import (
    MAX_NAME_CHARACTERS,
    InvalidArgumentError,
    PgmcpError,
    ResultGoneError,
    SqlRejectedError,
    StatementFailedError,
    UnknownDatabaseError,
)
from pgmcp.presentation.failure import render_error
from pgmcp.presentation.neutral import shorten


class ReadableErrorsServer(MCPServer[Any]):
    """An MCPServer whose failures say what to do about them."""

    def __init__(self, *args: Any, not_offered: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        """Prepare the server.

        Args:
            not_offered: arguments that tools have but do not take here, and what it would need.
        """
        super().__init__(*args, **kwargs)
        self._not_offered = not_offered or {}
        self._listed: list[Tool] = []

    async def list_tools(self) -> list[Tool]:
        """List the tools with schemas that say no more than a model needs: it pays for every word."""
        if not self._listed:
            self._listed = [
                tool.model_copy(
                    update={
                        "input_schema": self._offered(_without_noise(tool.input_schema)),
                        "output_schema": _without_noise(tool.output_schema),
                    }
                )
                for tool in await super().list_tools()
            ]
        return self._listed

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; an anticipated failure is a result that a model can read.

        Raises:
            MCPError: there is no such tool.
            ToolError: something failed that nobody anticipated.
        """
        tool = next((tool for tool in await self.list_tools() if tool.name == name), None)
        if tool is None:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {shorten(name, MAX_NAME_CHARACTERS)}")
        try:
            self._check_offered(arguments)
            _check_names(arguments, tool.input_schema["properties"])
            return await super().call_tool(name, arguments, context)
        except (PgmcpError, ToolError) as error:
            anticipated = _anticipated(error)
            if anticipated is None:
                raise
            return _failure(anticipated)

    def _offered(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = {
            name: part for name, part in schema["properties"].items() if name not in self._not_offered
        }
        return schema | {"properties": properties}

    def _check_offered(self, arguments: Iterable[str]) -> None:
        for name in arguments:
            if name in self._not_offered:
                raise InvalidArgumentError(f"{name} is not offered here", hint=self._not_offered[name])

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[Any, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """Get a prompt.

        Raises:
            MCPError: there is no such prompt, or it does not take these arguments.
        """
        prompt = next((prompt for prompt in await self.list_prompts() if prompt.name == name), None)
        if prompt is None:
            raise MCPError(
                code=INVALID_PARAMS, message=f"Unknown prompt: {shorten(name, MAX_NAME_CHARACTERS)}"
            )
        try:
            _check_names(arguments or {}, [argument.name for argument in prompt.arguments or ()], "prompt")
        except InvalidArgumentError as error:
            raise MCPError(code=INVALID_PARAMS, message=render_error(error)) from error
        return await super().get_prompt(name, arguments, context)

    async def read_resource(self, uri: Any, context: Context[Any, Any] | None = None) -> Any:
        """Read a resource; an anticipated failure keeps its text."""
        try:
            return await super().read_resource(uri, context)
        except ResourceError as error:
            cause = error.__cause__
            if isinstance(cause, UnknownDatabaseError | InvalidArgumentError | ResultGoneError):
                raise ResourceNotFoundError(render_error(cause)) from cause
            if isinstance(cause, PgmcpError):
                raise ResourceError(render_error(cause)) from cause
            raise


def _without_noise(schema: Any) -> Any:
    """Return a JSON schema without the titles pydantic makes of names, and with optional as just left out."""
    if isinstance(schema, list):
        return [_without_noise(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _without_noise(part) for key, part in schema.items() if not _is_made_up_title(key, part)}
    match parts:
        case {"anyOf": [dict(some), {"type": "null"}], "default": None}:
            return some | {key: part for key, part in parts.items() if key not in ("anyOf", "default")}
        case _:
            return parts


def _is_made_up_title(key: str, part: object) -> bool:
    # Below "properties" a key is a name and its part a schema; a title is a text.
    return key == "title" and isinstance(part, str)


def _anticipated(error: PgmcpError | ToolError) -> PgmcpError | None:
    if isinstance(error, PgmcpError):
        return error
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return _wrong_arguments(cause)
    return cause if isinstance(cause, PgmcpError) else None


def _wrong_arguments(error: ValidationError) -> InvalidArgumentError:
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidArgumentError("; ".join(problems), hint="the tool's input schema says what it takes")


def _check_names(arguments: dict[str, Any], allowed: Iterable[str], taker: str = "tool") -> None:
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        raise InvalidArgumentError(
            f"unknown argument {shorten(unknown[0], MAX_NAME_CHARACTERS)!r}",
            hint=f"this {taker} takes {', '.join(allowed)}",
        )


def _failure(error: PgmcpError) -> CallToolResult:
    sql = error.sql if isinstance(error, SqlRejectedError | StatementFailedError) else ""
    return CallToolResult(
        content=[TextContent(type="text", text=render_error(error, sql=sql))], is_error=True
    )
