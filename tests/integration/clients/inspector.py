"""The MCP Inspector's command line as a host. Every step of a conversation starts a process and a server."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.clients.conversation import NotOfferedError, OnProgress

STEP_TIMEOUT_S = 60.0


class InspectorHost:
    """Runs the Inspector for each request."""

    def __init__(
        self,
        program: Sequence[str],
        server: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        era: str = "legacy",
    ) -> None:
        """Prepare the command.

        Args:
            program: the command of the Inspector, up to `--cli`.
            server: the command of the server, which the Inspector starts.
            environment: the environment of the server and of the Inspector.
            folder: the folder in which both run, and in which the Inspector may store files.
            era: the Inspector's name of the protocol era: "legacy" or "modern".
        """
        given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        self._command = [*program, "--quiet", "--format", "json", "--protocol-era", era, *given, *server]
        self._environment = {**environment, "HOME": str(folder)}
        self._folder = folder

    async def tools(self) -> list[str]:
        return [tool["name"] for tool in self._ask("tools/list")["tools"]]

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        if on_progress is not None:
            raise NotOfferedError
        given = json.dumps(dict(arguments))
        result = self._ask("tools/call", "--tool-name", tool, "--tool-args-json", given)
        return {
            "text": "\n".join(block["text"] for block in result["content"]),
            "structured": result.get("structuredContent"),
            "is_error": result["isError"],
        }

    async def resources(self) -> list[str]:
        return [resource["uri"] for resource in self._ask("resources/list")["resources"]]

    async def read(self, uri: str) -> str:
        text: str = self._ask("resources/read", "--uri", uri)["contents"][0]["text"]
        return text

    async def complete(
        self, template: str, argument: str, typed: str, chosen: Mapping[str, str]
    ) -> list[str]:
        raise NotOfferedError

    async def prompts(self) -> list[str]:
        return [prompt["name"] for prompt in self._ask("prompts/list")["prompts"]]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        given = [f"{argument}={value}" for argument, value in arguments.items()]
        found = self._ask("prompts/get", "--prompt-name", name, "--prompt-args", *given)
        return "\n".join(message["content"]["text"] for message in found["messages"])

    def _ask(self, method: str, *options: str) -> dict[str, Any]:
        done = subprocess.run(
            [*self._command, "--method", method, *options],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
        assert done.stdout, f"{method}: {done.stderr}"
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result
