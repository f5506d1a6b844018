"""What `pgmcp doctor` finds of the settings."""

from pathlib import Path

import pytest

from pgmcp.cli.doctor.report import Finding, Outcome
from pgmcp.cli.doctor.settings import examine_settings

URL = "postgresql://me:Quagga@db/shop"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a `.env` is looked for in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.outcome is Outcome.FAIL]


def test_sound_settings_are_listed_with_their_places_and_without_secrets() -> None:
    settings, findings = examine_settings({"PG_MCP_DATABASE_URL": URL})

    assert settings is not None
    assert findings[-1].text == "PG_MCP_DATABASE_URL = postgresql://me:***@db/shop (environment)"
    assert failures(findings) == []


def test_a_missing_env_file_is_told_and_no_failure(folder: Path) -> None:
    _, findings = examine_settings({"PG_MCP_DATABASE_URL": URL})

    assert findings[0].outcome is Outcome.OK
    assert findings[0].text.startswith(f"there is no {folder / '.env'}")


def test_an_env_file_is_told_with_its_path(folder: Path) -> None:
    (folder / ".env").write_text(f"PG_MCP_DATABASE_URL={URL}\n")

    _, findings = examine_settings({})

    assert findings[0].text == f"{folder / '.env'} is read"
    assert findings[1].text.endswith(f"({folder / '.env'})")


def test_what_another_place_overrides_is_told(folder: Path) -> None:
    (folder / ".env").write_text("PG_MCP_SERVER_MAX_QUEUE=1\n")

    _, findings = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_SERVER_MAX_QUEUE": "2"})

    assert "not used" in findings[-1].text


def test_every_mistake_is_a_failure_of_its_own_with_a_cure() -> None:
    settings, findings = examine_settings({"PG_MCP_DATABSE_URL": URL, "PG_MCP_SERVER_QUERY_TIMEOUT": "soon"})

    texts = "\n".join(finding.text for finding in failures(findings))
    assert settings is None
    assert len(failures(findings)) == 3  # no database is configured, either
    assert "PG_MCP_DATABSE_URL is no setting, did you mean PG_MCP_DATABASE_URL?" in texts
    assert "PG_MCP_SERVER_QUERY_TIMEOUT is 'soon'" in texts
    assert all(finding.cure for finding in failures(findings))
    assert "Quagga" not in str(findings)


@pytest.mark.parametrize("variable", ["PG_MCP_CONFIG_FILE", "PG_MCP_CONTEXT_FILE", "PG_MCP_ENV_FILE"])
def test_a_file_that_is_not_there_is_named(variable: str) -> None:
    settings, findings = examine_settings({"PG_MCP_DATABASE_URL": URL, variable: "/nowhere/file"})

    (failure,) = failures(findings)
    assert settings is None
    assert variable in failure.text
    assert "/nowhere/file" in failure.text


def test_a_broken_context_file_keeps_nothing_else_from_being_examined(folder: Path) -> None:
    context = folder / "context.yaml"
    context.write_text("databases: [")

    settings, findings = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": str(context)})

    (failure,) = failures(findings)
    assert failure.check == "settings: context file"
    assert f"{context}:1: not YAML" in failure.text
    assert settings is not None
    assert settings.context_file is None


def test_a_context_for_a_database_that_is_not_configured_is_a_failure(folder: Path) -> None:
    context = folder / "context.yaml"
    context.write_text("databases: {mian: {terms: {user: a row of users}}}")

    _, findings = examine_settings({"PG_MCP_DATABASE_URL": URL, "PG_MCP_CONTEXT_FILE": str(context)})

    (failure,) = failures(findings)
    assert failure.check == "settings: context file"
    assert "'mian' (did you mean 'main'?)" in failure.text
    assert failure.cure
