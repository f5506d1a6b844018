"""Finds the files to import, reads them within bounds, and recognises their format by its keys.

YAML is parsed to plain texts, lists and mappings. Tags and merges are not supported, and aliases count like
copies, so that no file can expand without limit or run code. JSON is parsed by the standard library.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgmcp.errors import SettingsError
from pgmcp.generation.yaml_nodes import describe_yaml_error
from pgmcp.knowledge.entries import LeftOut, items_of, mapping_of, text_of
from pgmcp.untrusted import escape_untrusted

if TYPE_CHECKING:
    import yaml

MAX_JSON_BYTES: Final = 128 << 20
"""A manifest of a thousand dbt models has 30 MB."""

MAX_YAML_BYTES: Final = 2 << 20
MAX_YAML_NODES: Final = 200_000
MAX_FILES: Final = 500

_YAML_SUFFIXES: Final = (".yml", ".yaml")
_DBT_FILES: Final = ("semantic_manifest.json", "manifest.json")
_HINT: Final = (
    "name dbt's target/manifest.json or semantic_manifest.json, an Apache Ossie model, YAML files of Cube, "
    "or a folder of these"
)


class Format(Enum):
    """The formats that import reads."""

    DBT_MANIFEST = auto()
    DBT_SEMANTICS = auto()
    OSSIE = auto()
    CUBE = auto()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file."""

    path: Path
    format: Format
    data: dict[str, Any]


def read_documents(paths: Sequence[Path]) -> tuple[list[Document], list[LeftOut]]:
    """Return the documents of files and folders, and the files of folders that were left out.

    Raises:
        SettingsError: a file cannot be read or is of no known format; a folder has nothing to import.
    """
    documents: list[Document] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if path.is_dir():
            documents += _read_folder(path, left_out)
        else:
            documents.append(read_document(path))
    return documents, left_out


def read_document(path: Path) -> Document:
    """Return a parsed file.

    Raises:
        SettingsError: it cannot be read or is of no known format.
    """
    data = _read(path)
    return Document(path, _recognise(path, data), data)


def _read_folder(folder: Path, left_out: list[LeftOut]) -> list[Document]:
    for place in (folder / "target", folder):
        manifests = [place / name for name in _DBT_FILES if (place / name).is_file()]
        if manifests:
            return [read_document(path) for path in manifests]
    if (folder / "dbt_project.yml").is_file():
        raise SettingsError(
            f"{folder}: dbt's manifests are missing",
            hint="run `dbt parse`, which writes target/manifest.json and target/semantic_manifest.json",
        )
    documents = []
    for path in _files_below(folder):
        if path.suffix == ".js":
            left_out.append(LeftOut(str(path), "it is JavaScript, and import runs no code"))
            continue
        try:
            documents.append(read_document(path))
        except SettingsError as error:
            left_out.append(LeftOut(str(path), str(error).removeprefix(f"{path}: ")))
    if not documents:
        raise SettingsError(f"{folder}: there is no file that import reads", hint=_HINT)
    return documents


def _files_below(folder: Path) -> list[Path]:
    wanted = (*_YAML_SUFFIXES, ".js")
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in wanted and path.is_file()]
    if len(found) > MAX_FILES:
        raise SettingsError(
            f"{folder}: it has {len(found)} files, more than {MAX_FILES}", hint="name a folder below it"
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    is_json = path.suffix == ".json"
    limit_bytes = MAX_JSON_BYTES if is_json else MAX_YAML_BYTES
    try:
        with path.open("rb") as file:
            contents = file.read(limit_bytes + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    if len(contents) > limit_bytes:
        raise SettingsError(f"{path}: it is larger than {limit_bytes >> 20} MB")
    try:
        text = contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: it is not UTF-8 text") from error
    data = _parse_json(path, text) if is_json else _parse_yaml(path, text)
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: its top level is not a mapping of names to values", hint=_HINT)
    return data


def _parse_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{path}: it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path}:{error.lineno}: not JSON from column {error.colno} on") from error
    except ValueError as error:
        raise SettingsError(f"{path}: it has a number with too many digits") from error


def _parse_yaml(path: Path, text: str) -> Any:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if root is None else _PlainYaml(path).read(root)
    except RecursionError as error:
        raise SettingsError(f"{path}: it is nested too deeply") from error
    except yaml.YAMLError as error:
        is_template = "{%" in text or "{{" in text
        hint = "it has a template, which import does not render: use the rendered file" if is_template else ""
        raise SettingsError(escape_untrusted(describe_yaml_error(path, error, text)), hint=hint) from error


class _PlainYaml:
    """Turns nodes into texts, lists and mappings, at most `MAX_YAML_NODES` with aliases written out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_YAML_NODES

    def read(self, node: "yaml.Node") -> Any:
        import yaml

        self._left -= 1
        if self._left < 0:
            raise SettingsError(f"{self._path}: it has more than {MAX_YAML_NODES} values, aliases included")
        match node:
            case yaml.MappingNode():
                return {text_of(self.read(key)): self.read(value) for key, value in node.value}
            case yaml.SequenceNode():
                return [self.read(item) for item in node.value]
            case _:
                return _scalar(node)


def _scalar(node: "yaml.Node") -> str | bool | None:
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return str(node.value).lower() in ("true", "yes", "on")
        case _:
            return str(node.value)


def _recognise(path: Path, data: dict[str, Any]) -> Format:
    kinds = list(_formats(path, data))
    if not kinds:
        raise SettingsError(f"{path}: it is not in a format that import reads", hint=_HINT)
    return kinds[0]


def _formats(path: Path, data: dict[str, Any]) -> Iterator[Format]:
    if isinstance(data.get("nodes"), dict) and isinstance(data.get("metadata"), dict):
        yield Format.DBT_MANIFEST
    if isinstance(data.get("semantic_models"), list) and "project_configuration" in data:
        yield Format.DBT_SEMANTICS
    if models := items_of(data.get("semantic_model")):
        if any(text_of(model.get("name")) == "semantic_model" for model in models):
            raise SettingsError(
                f"{path}: dbt's osi_document.json loses filters and offsets of metrics",
                hint="name target/semantic_manifest.json and target/manifest.json of the same project",
            )
        yield Format.OSSIE
    if "ontology" in data:
        raise SettingsError(f"{path}: it is an Ossie ontology, which import does not read", hint=_HINT)
    if items_of(data.get("datasets")):
        yield Format.OSSIE
    if items_of(data.get("cubes")) or items_of(data.get("views")):
        yield Format.CUBE


def models_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models of an Ossie document: a list under `semantic_model`, or the document itself."""
    return items_of(data.get("semantic_model")) or [mapping_of(data)]
