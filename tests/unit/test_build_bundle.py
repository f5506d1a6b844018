"""The content of the bundle, before the format's own tool checks it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pgmcp.settings import setting_specs
from pgmcp.settings.load import load_settings
from scripts.build_bundle import read_manifest, stage

ROOT = Path(__file__).parents[2]
SPEC_BY_VARIABLE = {spec.variable: spec for spec in setting_specs()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return read_manifest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    stage(folder)
    return folder


def variables(manifest: dict[str, Any]) -> dict[str, str]:
    """Return, for each environment variable of the manifest, the field of the host's form that sets it."""
    environment: dict[str, str] = manifest["server"]["mcp_config"]["env"]
    return {
        name: value.removeprefix("${user_config.").removesuffix("}") for name, value in environment.items()
    }


def test_the_bundle_has_the_project_s_name_version_and_libraries(
    folder: Path, manifest: dict[str, Any]
) -> None:
    bundled = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))

    assert manifest["name"] == bundled["project"]["name"] == PROJECT["name"]
    assert manifest["version"] == bundled["project"]["version"] == PROJECT["version"]
    assert bundled["project"]["requires-python"] == PROJECT["requires-python"]
    assert bundled["project"]["dependencies"] == PROJECT["dependencies"]


def test_nothing_that_only_developers_need_is_installed(folder: Path) -> None:
    bundled = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))

    assert "dependency-groups" not in bundled
    assert "optional-dependencies" not in bundled["project"]


def test_the_bundle_holds_what_the_server_needs_and_nothing_else(folder: Path) -> None:
    assert sorted(found.name for found in folder.iterdir()) == [
        ".python-version",
        "LICENSE",
        "manifest.json",
        "pgmcp",
        "pyproject.toml",
        "server.py",
        "worker",
    ]
    assert (folder / "pgmcp" / "validation" / "builtin_functions.tsv").is_file()
    assert not [found for found in folder.rglob("*") if found.suffix == ".pyc" or found.name == "__pycache__"]


def test_a_host_starts_the_bundle_with_arguments_of_uv_only(manifest: dict[str, Any], folder: Path) -> None:
    # With server type "uv" Claude Desktop replaces the command by its own uv.
    server = manifest["server"]

    assert server["type"] == "uv"
    assert server["mcp_config"]["command"] == "uv"
    assert server["mcp_config"]["args"] == ["run", "--directory", "${__dirname}", server["entry_point"]]
    assert (folder / server["entry_point"]).is_file()


def test_every_variable_is_a_setting_and_comes_from_a_field_of_the_form(manifest: dict[str, Any]) -> None:
    assert variables(manifest).keys() <= SPEC_BY_VARIABLE.keys()
    assert sorted(variables(manifest).values()) == sorted(manifest["user_config"])


def test_a_field_is_sensitive_exactly_if_its_setting_is_a_secret(manifest: dict[str, Any]) -> None:
    for variable, field in variables(manifest).items():
        is_sensitive = manifest["user_config"][field].get("sensitive", False)

        assert is_sensitive is SPEC_BY_VARIABLE[variable].is_secret, variable


def test_only_the_database_has_to_be_given(manifest: dict[str, Any]) -> None:
    required = [name for name, field in manifest["user_config"].items() if field["required"]]

    assert required == ["database_url"]


@pytest.mark.parametrize("unfilled", ["", "${user_config.NAME}"])
def test_a_field_that_was_left_empty_leaves_its_setting_unset(
    unfilled: str, manifest: dict[str, Any]
) -> None:
    url = "postgresql://reader@127.0.0.1/shop"
    environ = {variable: unfilled.replace("NAME", field) for variable, field in variables(manifest).items()}

    settings = load_settings({**environ, "PG_MCP_DATABASE_URL": url}, env_file=None)

    assert settings == load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)
    assert not settings.openai.is_configured


def test_no_text_of_the_form_contains_a_variable_by_accident(manifest: dict[str, Any]) -> None:
    texts = [field[key] for field in manifest["user_config"].values() for key in ("title", "description")]

    assert [text for text in texts if re.search(r"\$\{", text)] == []
