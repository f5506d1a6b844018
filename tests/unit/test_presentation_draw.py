import sys

from pgmcp.presentation.draw import drawing_command, drawing_environment


def test_the_drawing_process_sees_no_setting_and_no_secret() -> None:
    environ = {
        "PATH": "/bin",
        "PYTHONPATH": "/src",
        "PG_MCP_OPENAI_API_KEY": "sk-secret",
        "PGPASSWORD": "secret",
        "OPENAI_API_KEY": "sk-secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTPS_PROXY": "http://user:secret@proxy",
    }

    assert drawing_environment(environ) == {"PATH": "/bin", "PYTHONPATH": "/src"}


def test_the_drawing_process_does_not_look_for_modules_in_its_folder() -> None:
    assert drawing_command()[:2] == [sys.executable, "-P"]
