"""What `pgmcp doctor` reports about the settings."""

from pathlib import Path

import pytest

from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.cli.doctor.settings import examine_settings

URL = "postgresql://me:Quagga@db/shop"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which pgmcp looks for `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failures(results: list[CheckResult]) -> list[CheckResult]:
    return [result for result in results if result.status is Status.FAIL]


def test_valid_settings_are_listed_with_their_origins_and_without_secrets() -> None:
    settings, results = examine_settings({"PG_MCP_DATABASE_URL": URL})

    assert settings is not None
    assert results[-1].text == "PG_MCP_DATABASE_URL = postgresql://me:***@db/shop (environment)"
    assert failures(results) == []


def test_a_missing_env_file_is_reported_but_not_a_failure(folder: Path) -> None:
    _, results = examine_settings({"PG_MCP_DATABASE_URL": URL})

    assert results[0].status is Status.OK
    assert results[0].text.startswith(f"{folder / '.env'} does not exist")


def test_an_env_file_is_reported_with_its_path(folder: Path) -> None:
    (folder / ".env").write_text(f"PG_MCP_DATABASE_URL={URL}\n")

    _, results = examine_settings({})

    assert results[0].text == f"{folder / '.env'} is used"
    assert results[1].text.endswith(f"({folder / '.env'})")


def test_overridden_settings_are_reported(folder: Path) -> None:
    (folder / ".env").write_text("PG_MCP_SERVER_MAX_QUEUE=1\n")

    _, results = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_SERVER_MAX_QUEUE": "2"})

    assert "not used" in results[-1].text


def test_every_invalid_setting_is_a_separate_failure_with_a_hint() -> None:
    settings, results = examine_settings({"PG_MCP_DATABSE_URL": URL, "PG_MCP_SERVER_QUERY_TIMEOUT": "soon"})

    texts = "\n".join(result.text for result in failures(results))
    assert settings is None
    assert len(failures(results)) == 3  # no database is configured, either
    assert "PG_MCP_DATABSE_URL is not a setting, did you mean PG_MCP_DATABASE_URL?" in texts
    assert "PG_MCP_SERVER_QUERY_TIMEOUT is 'soon'" in texts
    assert all(result.hint for result in failures(results))
    assert "Quagga" not in str(results)


@pytest.mark.parametrize("variable", ["PG_MCP_CONFIG_FILE", "PG_MCP_CONTEXT_FILE", "PG_MCP_ENV_FILE"])
def test_a_missing_file_of_a_setting_is_named(variable: str) -> None:
    settings, results = examine_settings({"PG_MCP_DATABASE_URL": URL, variable: "/nowhere/file"})

    (failure,) = failures(results)
    assert settings is None
    assert variable in failure.text
    assert "/nowhere/file" in failure.text


def test_with_a_broken_context_file_everything_else_is_still_examined(folder: Path) -> None:
    context = folder / "context.yaml"
    context.write_text("databases: [")

    settings, results = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": str(context)})

    (failure,) = failures(results)
    assert failure.check == "settings: context file"
    assert f"{context}:1: not YAML" in failure.text
    assert settings is not None
    assert settings.context_file is None


def test_a_context_for_a_database_that_is_not_configured_is_a_failure(folder: Path) -> None:
    context = folder / "context.yaml"
    context.write_text("databases: {mian: {terms: {user: a row of users}}}")

    _, results = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": str(context)})

    (failure,) = failures(results)
    assert failure.check == "settings: context file"
    assert "'mian' (did you mean 'main'?)" in failure.text
    assert failure.hint


@pytest.mark.parametrize("text", ["", "databases: {main: }"])
def test_a_context_file_without_entries_is_a_warning(text: str, folder: Path) -> None:
    context = folder / "context.yaml"
    context.write_text(text)

    settings, results = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": str(context)})

    (warning,) = (result for result in results if result.status is Status.WARN)
    assert warning.check == "settings: context file"
    assert "the context file has no entries for " in warning.text
    assert settings is not None
    assert settings.context_file == context
