"""The documentation, checked against the code: settings, errors, links, the code map, examples, figures."""

import json
import os
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from typer.testing import CliRunner

from pgmcp.catalog import queries, sampling
from pgmcp.charts import draw
from pgmcp.cli.app import app
from pgmcp.cli.catalog_commands import COMMANDS
from pgmcp.cli.errors import ExitCode, exit_code_for
from pgmcp.errors import ErrorCode
from pgmcp.execution import credentials, plan, worker_starts
from pgmcp.execution.catalog_access import USE_BY_PART
from pgmcp.features import make_extensions
from pgmcp.generation import prompt_writer
from pgmcp.generation.context_file import load_context
from pgmcp.lookup import fan_out, value_check, value_hints
from pgmcp.observability.audit import AuditFile
from pgmcp.pipeline import Call, Operation, identities, repair_loop, writing
from pgmcp.settings import setting_specs
from pgmcp.settings.load import load_settings
from pgmcp.surface import asking, resources, verified_tools
from pgmcp.surface.schema_tools import RefreshSchema, SearchSchema
from pgmcp.surface.tools import ExecuteSql, Query
from pgmcp.transport import progress
from pgmcp.transport.http import direct_calls, questions, request_checks
from pgmcp.transport.http.authentication import introspection, jwks
from pgmcp.transport.http.health import DatabaseState
from pgmcp.transport.http.limits import HttpLimits
from pgmcp.tunnel import tunnel
from scripts.load.scenarios import SCENARIOS
from scripts.write_settings_reference import write_example, write_reference
from testing.statements import attacks_by_category

_ROOT = Path(__file__).parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")])
_PROSE = [page for page in _PAGES if page.name != "CHANGELOG.md"]
_README = (_ROOT / "README.md").read_text("utf-8")
_ARCHITECTURE = (_ROOT / "ARCHITECTURE.md").read_text("utf-8")
_SETTINGS = (_ROOT / "docs/settings.md").read_text("utf-8")
_ERRORS = (_ROOT / "docs/errors.md").read_text("utf-8")
_DEVELOPER = (_ROOT / "docs/developer.md").read_text("utf-8")
_PERFORMANCE = (_ROOT / "docs/performance.md").read_text("utf-8")
_SHELL = (_ROOT / "docs/shell.md").read_text("utf-8")
_HTTP = HttpLimits()

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


def test_the_code_map_names_only_existing_files() -> None:
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
def test_commands_in_pages_accept_their_arguments(command: str) -> None:
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
def test_a_readers_page_stays_short(reader: str) -> None:
    assert len((_ROOT / f"docs/{reader}.md").read_text("utf-8").splitlines()) <= 140


def test_the_readme_stays_short_enough_to_be_read() -> None:
    assert len(_README.splitlines()) <= 380


_FIGURES = (
    ("README.md", f"every {progress.INTERVAL_S:g} s during a longer stage"),
    ("docs/answers.md", f"for at most {value_hints.MAX_HINTS} values"),
    ("docs/answers.md", f"at most {value_hints.MAX_COLUMNS} such columns"),
    ("docs/answers.md", f"in the {value_hints._MAX_SEARCHED_TABLES} tables that fit the question best"),
    ("docs/answers.md", f"one statement of at most {writing.INDEX_LOOKUP_TIMEOUT_S:g} s"),
    ("docs/answers.md", f"up to {prompt_writer.MAX_EXAMPLES} examples from the context file"),
    ("docs/answers.md", f"the first {value_check._MAX_SCANNED_ROWS:,} rows"),
    ("docs/answers.md", f"up to {value_check._MAX_SHOWN_VALUES} similar values"),
    ("docs/answers.md", f"its table has at most {repair_loop.SMALL_TABLE_ROWS:,} rows"),
    ("docs/answers.md", f"At most {fan_out._MAX_PROBES} such queries"),
    ("docs/answers.md", f"up to {queries.MAX_LISTED_VALUES} short texts"),
    ("docs/answers.md", f"for at most {queries.MAX_SAMPLED_TABLES} tables"),
    ("docs/answers.md", f"and {sampling.TOTAL_TIMEOUT_S:g} seconds in total"),
    ("docs/answers.md", f"at most {verified_tools.MAX_TOKENS} estimated tokens"),
    ("docs/answers.md", f"not asked again for {asking.PAUSE_S / 60:g} minutes"),
    ("docs/answers.md", f"within {asking.STATE_LIFETIME_S / 60:g} minutes, with your answer"),
    ("docs/bastion.md", f"attempts grow to {worker_starts.MAX_DELAY_S:g} seconds"),
    ("docs/bastion.md", f"after about {3 * tunnel._ALIVE_INTERVAL_S} seconds"),
    ("docs/dba.md", f"stopped after {plan.BRIEF_S:g} s"),
    ("docs/developer.md", f"each database with at most {resources.MAX_LISTED_TABLES}"),
    ("docs/errors.md", f"drawing took longer than {draw.TIMEOUT_S:g} s"),
    ("docs/http.md", f"a comment line every {direct_calls.KEEP_ALIVE_S:g} s"),
    ("docs/http.md", f"at most every {jwks.COOLDOWN_S:g} s"),
    ("docs/http.md", f"the first token after {jwks.REFRESH_AFTER_S:g} s starts"),
    ("docs/http.md", f"cached for at most {introspection.CACHED_S:g} s"),
    ("docs/http.md", f"`PG_MCP_HTTP_MAX_BODY_BYTES`, {_HTTP.body_timeout_s:g} s"),
    (
        "docs/http.md",
        f"{request_checks.MAX_HEADERS} headers, {request_checks.MAX_HEADER_BYTES >> 10} KB, "
        f"{_HTTP.header_timeout_s:g} s",
    ),
    ("docs/http.md", f"address of a request | {request_checks.MAX_TARGET_BYTES >> 10} KB"),
    ("docs/http.md", f"does not read | {_HTTP.write_timeout_s:g} s without progress"),
    ("docs/http.md", f"an idle connection | {_HTTP.keep_alive_s} s"),
    ("docs/passwords.md", f"After {credentials.COMMAND_TIMEOUT_S:g} seconds it is killed"),
    ("docs/passwords.md", f"until {credentials.EXPIRY_MARGIN_S:g} seconds before `expires`"),
    ("docs/roles.md", f"the schemas of up to {identities.MAX_ROLES} roles"),
    ("docs/scaling.md", f"wait for {questions.MAX_RELAYED} such answers"),
)


@pytest.mark.parametrize(("page", "figure"), _FIGURES, ids=[figure for _, figure in _FIGURES])
def test_figures_in_pages_are_those_of_the_code(page: str, figure: str) -> None:
    assert figure in " ".join((_ROOT / page).read_text("utf-8").split())


def test_the_map_of_the_code_names_functions_and_classes_that_exist() -> None:
    folders = ("pgmcp", "worker", "scripts", "testing", "tests")
    code = "\n".join(file.read_text("utf-8") for each in folders for file in (_ROOT / each).rglob("*.py"))
    names = re.findall(r"`((?:_\w+|[A-Z]\w*[a-z]\w*(?:\.\w+)?|[A-Z]+(?:_[A-Z]+)+))`", _ARCHITECTURE)

    assert len(names) > 20
    parts = {part for name in names if not name.startswith("PG_MCP_") for part in name.split(".")}
    assert sorted(part for part in parts if not re.search(rf"\b{part}\b", code)) == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            "query",
            (*Query.__struct_fields__, *(each.argument.name for each in make_extensions() if each.argument)),
        ),
        (
            "execute_sql",
            (
                *ExecuteSql.__struct_fields__,
                *(each.argument.name for each in make_extensions() if each.argument),
            ),
        ),
        ("search_schema", SearchSchema.__struct_fields__),
        ("refresh_schema", RefreshSchema.__struct_fields__),
    ],
)
def test_the_readme_lists_the_arguments_of_a_tool(tool: str, arguments: tuple[str, ...]) -> None:
    _, _, description = _README.partition(f"**`{tool}`**")
    listed = re.search(r"Arguments?: ([^.;]*)", re.sub(r"\([^)]*\)", "", description))

    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(arguments)


def test_the_shell_page_lists_every_command() -> None:
    _, _, section = _SHELL.partition("## Commands\n")
    rows = re.findall(r"^\| (`\\.+?) \|", section.partition("\n## ")[0], re.MULTILINE)

    listed = {name for row in rows for name in re.findall(r"`\\(\w+|\?)", row)}
    assert listed == {name for command in COMMANDS for name in command.names}


def test_the_errors_page_lists_the_exit_code_of_each_error() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", _ERRORS, re.MULTILINE)

    listed = {code: int(number) for number, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    others = {code for code in ErrorCode if exit_code_for(code) is ExitCode.FAILED}
    assert listed == {code: exit_code_for(code) for code in ErrorCode if code not in others}


def test_the_threat_model_lists_each_part_of_the_catalog_that_pgmcp_can_do_without() -> None:
    page = (_ROOT / "docs/threat-model.md").read_text("utf-8")
    _, _, section = page.partition("### Parts of the catalog that may not be read\n")
    rows = re.findall(r"^\| (`.+?) \|", section.partition("\n## ")[0], re.MULTILINE)

    listed = {name for row in rows for name in re.findall(r"`(\w+)(?:\(\))?`", row)}
    assert listed == USE_BY_PART.keys()


def test_the_table_of_refusals_names_every_error_code() -> None:
    section = _ARCHITECTURE.partition("## Where a request can be refused\n")[2].partition("\n## ")[0]
    cells = re.findall(r"\|([^|]*)\|$", section, re.MULTILINE)
    codes = {code for cell in cells for code in re.findall(r"`(\w+)", cell)}

    assert "model_" in codes
    assert codes - {"model_"} == {code for code in ErrorCode if not code.startswith("model_")}


def test_the_threat_model_counts_the_attacks_that_the_tests_have() -> None:
    page = (_ROOT / "docs/threat-model.md").read_text("utf-8")
    _, _, section = page.partition("### Each layer alone\n")
    counts = re.findall(r"^\| [^|]+ \| (\d+) \|", section, re.MULTILINE)

    # `uv run python -m scripts.layers` prints the whole table.
    assert [int(count) for count in counts] == [len(attacks) for attacks in attacks_by_category().values()]


def test_the_page_about_http_lists_the_states_of_a_database() -> None:
    page = " ".join((_ROOT / "docs/http.md").read_text("utf-8").split())

    assert [state for state in DatabaseState if f"`{state}`" not in page] == []


def test_the_audit_page_shows_a_line_as_it_is_written(tmp_path: Path) -> None:
    (shown,) = map(json.loads, _blocks((_ROOT / "docs/audit.md").read_text("utf-8"), "json"))
    call = Call(id=1, operation=Operation(shown["operation"]), question=shown["question"], sql=shown["sql"])
    file = AuditFile(tmp_path / "audit.jsonl", with_sql=True, max_bytes=1 << 20, kept_files=1)
    with file.observe_call(call):
        pass
    file.close()

    written = json.loads((tmp_path / "audit.jsonl").read_text("utf-8"))
    assert list(shown) == list(written)
    digests = ("question_sha256", "sql_sha256")
    assert [shown[key] for key in digests] == [written[key] for key in digests]


def test_the_shop_has_as_many_verified_questions_as_the_analysts_page_says() -> None:
    context = yaml.safe_load((_ROOT / "pgmcp/demo/shop_context.yaml").read_text("utf-8"))

    assert len(context["databases"]["shop"]["verified"]) == 12
    assert "The shop has twelve verified questions." in (_ROOT / "docs/analyst.md").read_text("utf-8")


def test_the_performance_page_has_the_limits_of_the_load_test() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)`[^|]*\|(?:[^|]+\|){2}([^|]+)\|[^|]+\|([^|]+)\|$", _PERFORMANCE, re.MULTILINE
    )
    bounds = [(name, float(cell.split()[0])) for name, *cells in rows for cell in cells if "\u00d7" in cell]

    assert len(bounds) == 9
    names = {name for name, _ in bounds}
    assert bounds == [
        (scenario.name, gate.at_most)
        for scenario in SCENARIOS
        for gate in scenario.gates
        if scenario.name in names and gate.at_most is not None
    ]
