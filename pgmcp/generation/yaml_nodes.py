"""Reads YAML nodes rather than values, because nodes have line numbers and show repeated keys."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from pgmcp.errors import SettingsError

if TYPE_CHECKING:
    import yaml

EXAMPLE_HINT: Final = "the README shows the format of the file under PG_MCP_CONTEXT_FILE"


class NodeReader:
    """Reads the nodes of one file.

    Every method that reads raises SettingsError for a mistake, with the line and the place (`where`) in the
    file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def texts(self, node: "yaml.Node | None", where: str) -> tuple[str, ...]:
        """Return a list of texts."""
        items = self.items(node, where)
        return tuple(self.text(item, f"{where}[{index}]") for index, item in enumerate(items))

    def texts_by_name(self, node: "yaml.Node | None", where: str) -> dict[str, str]:
        """Return a mapping of names to texts."""
        return {name: self.text(value, f"{where}.{name}") for name, value in self.entries(node, where)}

    def known_fields(
        self, node: "yaml.Node | None", where: str, known: tuple[str, ...]
    ) -> dict[str, "yaml.Node"]:
        """Return the values of a mapping by name; fail if it has other names."""
        return dict(self.entries(node, where, known))

    def entries(
        self, node: "yaml.Node | None", where: str, known: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, "yaml.Node"]]:
        """Yield names and values; if `known` is given, only these names are allowed."""
        import yaml

        if is_nothing(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, where, "expected a mapping (name: value)")
        seen = set()
        for key, value in node.value:
            name = self.text(key, where)
            if name in seen:
                self.fail(key, where, f"the key {name!r} is repeated")
            if known and name not in known:
                self.fail(key, where, f"unknown key {name!r}; {hint_for_name(name, known)}")
            seen.add(name)
            yield name, value

    def items(self, node: "yaml.Node | None", where: str) -> "list[yaml.Node]":
        """Return the items of a list."""
        import yaml

        if is_nothing(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, where, "expected a list (lines that begin with '- ')")
        items: list[yaml.Node] = node.value
        return items

    def text(self, node: "yaml.Node", where: str) -> str:
        """Return a text as written, even if YAML would read it as a number, a date or a boolean."""
        import yaml

        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self.fail(node, where, "expected text")
        return str(node.value).strip()

    def text_or_nothing(self, node: "yaml.Node", where: str) -> str:
        """Return a text as written, which may be empty."""
        import yaml

        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, where, "expected text, a number or null")
        return str(node.value)

    def boolean(self, node: "yaml.Node | None", where: str) -> bool | None:
        """Return true or false; None if it is left out."""
        if node is None:
            return None
        text = self.text(node, where).lower()
        if text not in ("true", "false"):
            self.fail(node, where, f"expected true or false, got {text!r}")
        return text == "true"

    @staticmethod
    def has_key(node: "yaml.Node", name: str) -> bool:
        """Return whether a node is a mapping with this name."""
        import yaml

        return isinstance(node, yaml.MappingNode) and any(key.value == name for key, _ in node.value)

    def fail(self, node: "yaml.Node | None", where: str, problem: str) -> NoReturn:
        """Raise SettingsError with the line of the node, its place and the problem."""
        line = 1 if node is None else node.start_mark.line + 1
        place = f"{self._path}:{line}: {where}: " if where else f"{self._path}:{line}: "
        raise SettingsError(place + problem, hint=EXAMPLE_HINT)


def hint_for_name(name: str, known: tuple[str, ...]) -> str:
    """Return a hint for an unknown name: the known name that it resembles, or all known names."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def describe_yaml_error(path: Path, error: "yaml.YAMLError", text: str) -> str:
    """Return why a file is not YAML, with the line."""
    import yaml

    line, problem = 1, "it cannot be read"
    if isinstance(error, yaml.reader.ReaderError):
        line += text.count("\n", 0, error.position)
        problem = f"the character U+{error.character:04X} is not allowed"
    elif isinstance(error, yaml.MarkedYAMLError):
        line += error.problem_mark.line if error.problem_mark else 0
        problem = error.problem or problem
    return f"{path}:{line}: not YAML: {problem}"


def is_nothing(node: "yaml.Node | None") -> bool:
    """Return whether a value is left out or null."""
    return node is None or node.tag == "tag:yaml.org,2002:null"
