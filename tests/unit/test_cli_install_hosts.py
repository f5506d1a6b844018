"""The file that each host reads on each system, and the form of its entries."""

from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest
import typer

from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.cli.install.hosts import HOST_BY_NAME, HostFolders, config_file, find_folders, list_packages
from pgmcp.cli.set_up_commands import read_host
from pgmcp.errors import SettingsError

LINUX = find_folders({"HOME": "/home/ada"}, "linux")
MAC = find_folders({"HOME": "/Users/ada"}, "darwin")
WINDOWS = find_folders({"USERPROFILE": r"C:\Users\ada"}, "win32")
PROJECT = PurePosixPath("/work/shop")


def file_of(host: HostName, scope: Scope, folders: HostFolders, packages: tuple[str, ...] = ()) -> PurePath:
    return config_file(host, scope, folders, project=PROJECT, packages=packages)


@pytest.mark.parametrize(
    ("host", "folders", "expected"),
    [
        (HostName.CLAUDE_DESKTOP, LINUX, "/home/ada/.config/Claude/claude_desktop_config.json"),
        (
            HostName.CLAUDE_DESKTOP,
            MAC,
            "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        (
            HostName.CLAUDE_DESKTOP,
            WINDOWS,
            r"C:\Users\ada\AppData\Roaming\Claude\claude_desktop_config.json",
        ),
        (HostName.CLAUDE_CODE, LINUX, "/home/ada/.claude.json"),
        (HostName.CLAUDE_CODE, WINDOWS, r"C:\Users\ada\.claude.json"),
        (HostName.CURSOR, MAC, "/Users/ada/.cursor/mcp.json"),
        (HostName.CURSOR, WINDOWS, r"C:\Users\ada\.cursor\mcp.json"),
        (HostName.VSCODE, LINUX, "/home/ada/.config/Code/User/mcp.json"),
        (HostName.VSCODE, MAC, "/Users/ada/Library/Application Support/Code/User/mcp.json"),
        (HostName.VSCODE, WINDOWS, r"C:\Users\ada\AppData\Roaming\Code\User\mcp.json"),
    ],
)
def test_the_users_file_is_where_the_host_reads_it(
    host: HostName, folders: HostFolders, expected: str
) -> None:
    assert str(file_of(host, Scope.USER, folders)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HostName.CLAUDE_CODE, "/work/shop/.mcp.json"),
        (HostName.CURSOR, "/work/shop/.cursor/mcp.json"),
        (HostName.VSCODE, "/work/shop/.vscode/mcp.json"),
    ],
)
def test_the_file_of_a_project_is_in_its_folder(host: HostName, expected: str) -> None:
    assert str(file_of(host, Scope.PROJECT, LINUX)) == expected


def test_claude_desktop_knows_no_projects() -> None:
    with pytest.raises(SettingsError, match="Claude Desktop has no project configuration"):
        file_of(HostName.CLAUDE_DESKTOP, Scope.PROJECT, LINUX)


def test_claude_code_keeps_its_file_in_the_configured_folder() -> None:
    folders = find_folders({"HOME": "/home/ada", "CLAUDE_CONFIG_DIR": "/srv/claude"}, "linux")

    assert str(file_of(HostName.CLAUDE_CODE, Scope.USER, folders)) == "/srv/claude/.claude.json"


def test_the_windows_package_of_claude_desktop_reads_another_file() -> None:
    packages = ("Microsoft.Paint_8wekyb3d8bbwe", "Claude_pzs8sxrjxfjjc")

    found = file_of(HostName.CLAUDE_DESKTOP, Scope.USER, WINDOWS, packages)

    assert found == PureWindowsPath(
        r"C:\Users\ada\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude"
        r"\claude_desktop_config.json"
    )


def test_two_windows_packages_of_claude_desktop_are_refused_with_both_names() -> None:
    with pytest.raises(SettingsError, match="Claude_a, Claude_b") as refusal:
        file_of(HostName.CLAUDE_DESKTOP, Scope.USER, WINDOWS, ("Claude_b", "Claude_a"))

    assert "--file" in refusal.value.hint


def test_packages_are_only_listed_on_windows() -> None:
    assert list_packages(LINUX) == []
    assert list_packages(WINDOWS) == []


def test_only_vs_code_calls_the_member_servers() -> None:
    containers = {name: host.container for name, host in HOST_BY_NAME.items()}

    assert containers.pop(HostName.VSCODE) == "servers"
    assert set(containers.values()) == {"mcpServers"}


def test_a_similar_host_is_suggested_for_a_misspelt_one() -> None:
    assert read_host("cursor") is HostName.CURSOR
    with pytest.raises(typer.BadParameter, match=r"'cursr' is not one of .*; did you mean cursor\?"):
        read_host("cursr")


def test_on_linux_the_configuration_folder_is_that_of_xdg() -> None:
    folders = find_folders({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/etc/ada"}, "linux")

    assert folders.home == PurePosixPath("/home/ada")
    assert folders.programs == PurePosixPath("/etc/ada")


def test_without_xdg_the_configuration_folder_is_the_hidden_one_at_home() -> None:
    assert find_folders({"HOME": "/home/ada"}, "linux").programs == PurePosixPath("/home/ada/.config")


def test_on_macos_the_configuration_folder_is_application_support() -> None:
    folders = find_folders({"HOME": "/Users/ada"}, "darwin")

    assert folders.programs == PurePosixPath("/Users/ada/Library/Application Support")
    assert folders.packages is None


def test_on_windows_variables_name_the_configuration_folders() -> None:
    environ = {
        "USERPROFILE": r"C:\Users\ada",
        "APPDATA": r"D:\Roaming",
        "LOCALAPPDATA": r"C:\Users\ada\AppData\Local",
    }

    folders = find_folders(environ, "win32")

    assert folders.home == PureWindowsPath(r"C:\Users\ada")
    assert folders.programs == PureWindowsPath(r"D:\Roaming")
    assert folders.packages == PureWindowsPath(r"C:\Users\ada\AppData\Local\Packages")


def test_on_windows_without_the_variables_the_usual_folders_are_used() -> None:
    folders = find_folders({"USERPROFILE": r"C:\Users\ada"}, "win32")

    assert folders.programs == PureWindowsPath(r"C:\Users\ada\AppData\Roaming")


def test_the_folder_of_claude_code_can_be_configured() -> None:
    folders = find_folders({"HOME": "/home/ada", "CLAUDE_CONFIG_DIR": "/srv/claude"}, "linux")

    assert folders.claude_code == PurePosixPath("/srv/claude")
