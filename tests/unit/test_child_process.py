from pgmcp.child_process import bare_environment


def test_a_short_lived_process_sees_no_setting_and_no_secret() -> None:
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
