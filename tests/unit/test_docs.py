"""The documentation, checked against the code: settings, errors, links, the code map, examples."""

import json
import os
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from typer.testing import CliRunner

from pgmcp.cli.app import app
from pgmcp.errors import ErrorCode
from pgmcp.generation.context_file import load_context
from pgmcp.settings import load_settings, setting_specs
from scripts.write_settings_reference import write_example, write_reference

_ROOT = Path(__file__).parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")])
_PROSE = [page for page in _PAGES if page.name != "CHANGELOG.md"]
_README = (_ROOT / "README.md").read_text("utf-8")
_ARCHITECTURE = (_ROOT / "ARCHITECTURE.md").read_text("utf-8")
_SETTINGS = (_ROOT / "docs/settings.md").read_text("utf-8")
_ERRORS = (_ROOT / "docs/errors.md").read_text("utf-8")
_DEVELOPER = (_ROOT / "docs/developer.md").read_text("utf-8")

# A default is in code marks; a dash stands for none.
_SETTING_ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (?:\u2013|`([^`]+)`) \|", re.MULTILINE)
_ERROR_ROW = re.compile(r"^\| `([a-z_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[&|] |[\w=]+ )(?:\.venv/bin/)?pgmcp ([^#|>&\n]*)", re.MULTILINE)
_CONFLICT_MARKER = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

_DEFAULT_BY_VARIABLE = {spec.variable: spec.default for spec in setting_specs()}


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that forges derive from headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_settings_reference_is_what_its_generator_writes() -> None:
    assert write_reference(_SETTINGS) == _SETTINGS


@pytest.mark.parametrize(("language", "example"), [("nginx", "nginx.conf"), ("haproxy", "haproxy.cfg")])
def test_a_proxys_configuration_is_the_one_that_the_tests_run(language: str, example: str) -> None:
    (shown,) = _blocks((_ROOT / "docs/http.md").read_text("utf-8"), language)

    text = (_ROOT / "scripts/compose" / example).read_text("utf-8")
    assert text.endswith(f"\n\n{shown}")
    assert all(line.startswith("#") for line in text.removesuffix(shown).split("\n") if line)


def test_an_ini_file_has_its_comments_on_lines_of_their_own() -> None:
    blocks = [block for page in _PAGES for block in _blocks(page.read_text("utf-8"), "ini")]

    assert blocks
    assert [line for block in blocks for line in block.splitlines() if re.search(r"[^\s;].*;", line)] == []


def test_the_example_env_file_is_what_its_generator_writes() -> None:
    assert write_example() == (_ROOT / ".env.example").read_text("utf-8")


def test_the_settings_reference_names_every_setting_once_with_its_default() -> None:
    rows = _SETTING_ROW.findall(_SETTINGS)

    assert sorted(rows) == sorted(_DEFAULT_BY_VARIABLE.items())


def test_the_readme_repeats_settings_with_their_defaults() -> None:
    rows = _SETTING_ROW.findall(_README)

    assert rows
    assert set(rows) <= _DEFAULT_BY_VARIABLE.items()


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_a_page_names_no_setting_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:PG_MCP_[A-Z][A-Z0-9_]*[A-Z0-9])\b(?!_?…|_\*)", page.read_text("utf-8")))
    with_a_name = {name for name in named if name.startswith("PG_MCP_DATABASES__")}

    files_of_secrets = {f"{spec.variable}_FILE" for spec in setting_specs() if spec.is_secret}
    assert named - with_a_name <= _DEFAULT_BY_VARIABLE.keys() | files_of_secrets


def test_every_error_code_has_a_cause_and_a_hint() -> None:
    codes = [code for code, _, _ in _ERROR_ROW.findall(_ERRORS)]

    assert sorted(codes) == sorted(code.value for code in ErrorCode)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text("utf-8")):
        file = page.parent / unquote(target) if target else page

        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", _PROSE, ids=lambda page: page.name)
def test_prose_is_wrapped(page: Path) -> None:
    prose = _FENCED.sub("", page.read_text("utf-8")).splitlines()

    # Tables, HTML and addresses cannot be wrapped.
    assert [line for line in prose if len(line) > 120 and not re.match(r" *[|<]|.*https?://", line)] == []


def test_no_page_has_conflict_markers() -> None:
    assert [page.name for page in _PAGES if _CONFLICT_MARKER.search(page.read_text("utf-8"))] == []


def test_every_finding_can_be_run() -> None:
    findings = sorted((_ROOT / "findings").iterdir())

    assert findings
    assert [file.name for file in findings if file.suffix != ".sh" or not os.access(file, os.X_OK)] == []


def test_the_code_map_names_what_exists() -> None:
    for path in _paths_in(_ARCHITECTURE):
        assert (_ROOT / path).exists(), path


def test_the_code_map_names_every_package_and_every_top_level_module() -> None:
    packages = {
        f"{file.parent.relative_to(_ROOT).as_posix()}/"
        for room in ("pgmcp", "worker")
        for file in (_ROOT / room).rglob("__init__.py")
    }
    modules = {f"pgmcp/{file.name}" for file in (_ROOT / "pgmcp").glob("*.py")}

    assert (packages | modules) - {"pgmcp/", "pgmcp/__init__.py"} <= _code_map()


def _code_map() -> set[str]:
    """Return the paths in the first column of the table of packages."""
    _, _, section = _ARCHITECTURE.partition("## Packages\n")
    section, _, _ = section.partition("\n## ")
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    return {path for row in rows for path in _paths_in(row)}


def _paths_in(text: str) -> set[str]:
    return set(re.findall(r"`((?:pgmcp|worker|tests|scripts|docs)/[\w/.]*)`", text))


def _commands() -> list[str]:
    """Return the arguments of every `pgmcp …` in a block of commands."""
    blocks = [block for page in _PAGES for block in _blocks(page.read_text("utf-8"), "sh")]
    return sorted({found.strip() for block in blocks for found in _COMMAND.findall(block)})


@pytest.mark.parametrize("command", _commands())
def test_a_command_of_a_page_takes_the_arguments_it_is_shown_with(command: str) -> None:
    arguments = shlex.split(command.partition(" < ")[0])

    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


@pytest.mark.parametrize("block", _blocks(_README + _DEVELOPER, "json"))
def test_a_host_configuration_is_json_that_starts_pgmcp(block: str) -> None:
    configuration = json.loads(block)
    servers = configuration.get("mcpServers") or configuration["servers"]

    assert servers["pgmcp"]["command"].endswith("/.venv/bin/pgmcp")
    assert servers["pgmcp"]["env"].keys() <= _DEFAULT_BY_VARIABLE.keys()


def test_the_context_file_of_the_readme_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "context.yaml"
    (block,) = _blocks(_README, "yaml")
    file.write_text(block, "utf-8")

    context = load_context(file)["main"]

    assert context.terms
    assert context.notes
    assert context.match("how many ACTIVE users are there") is not None


def test_the_yaml_of_several_databases_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    (block,) = _blocks(_SETTINGS, "yaml")
    file.write_text(block, "utf-8")
    environ = {
        "PG_MCP_CONFIG_FILE": str(file),
        "SHOP_DATABASE_URL": "postgresql://127.0.0.1/shop",
        "SALES_PASSWORD": "secret",
    }

    settings = load_settings(environ, env_file=None)

    assert list(settings.databases) == list(yaml.safe_load(block)["databases"])


def test_the_variables_of_several_databases_can_be_read() -> None:
    (block,) = _blocks(_SETTINGS, "sh")
    environ = dict(line.split("=", maxsplit=1) for line in block.splitlines())

    settings = load_settings(environ, env_file=None)

    assert list(settings.databases) == ["shop", "sales"]


@pytest.mark.parametrize("reader", ["analyst", "developer", "dba"])
def test_a_readers_page_stays_a_page(reader: str) -> None:
    assert len((_ROOT / f"docs/{reader}.md").read_text("utf-8").splitlines()) <= 140


def test_the_readme_stays_short_enough_to_be_read() -> None:
    assert len(_README.splitlines()) <= 380
