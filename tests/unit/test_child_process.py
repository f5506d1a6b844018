from pgmcp.child_process import bare_environment, environment_without_secrets


def test_the_environment_of_charts_and_exports_has_no_setting_and_no_secret() -> None:
    environ = {
        "PATH": "/bin",
        "PYTHONPATH": "/src",
        "PG_MCP_OPENAI_API_KEY": "sk-secret",
        "PGPASSWORD": "secret",
        "OPENAI_API_KEY": "sk-secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTPS_PROXY": "http://user:secret@proxy",
    }

    assert bare_environment(environ) == {"PATH": "/bin", "PYTHONPATH": "/src"}


def test_the_environment_of_the_operators_programs_has_no_secret_of_pgmcp() -> None:
    environ = {
        "PATH": "/bin",
        "VAULT_TOKEN": "secret",
        "SSH_AUTH_SOCK": "/run/agent",
        "PG_MCP_OPENAI_API_KEY": "sk-secret",
        "pg_mcp_database_url": "postgresql://user:secret@host",
        "PGPASSWORD": "secret",
    }

    assert set(environment_without_secrets(environ)) == {"PATH", "VAULT_TOKEN", "SSH_AUTH_SOCK"}
