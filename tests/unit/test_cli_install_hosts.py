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
def test_a_person_s_file_is_where_the_host_looks_for_it(
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
def test_a_project_s_file_is_in_the_project(host: HostName, expected: str) -> None:
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


def test_two_windows_packages_are_for_the_person_to_choose_from() -> None:
    with pytest.raises(SettingsError, match="Claude_a, Claude_b") as refusal:
        file_of(HostName.CLAUDE_DESKTOP, Scope.USER, WINDOWS, ("Claude_b", "Claude_a"))

    assert "--file" in refusal.value.hint


def test_no_packages_are_looked_for_where_there_are_none() -> None:
    assert list_packages(LINUX) == []
    assert list_packages(WINDOWS) == []


def test_only_vs_code_calls_them_servers() -> None:
    containers = {name: host.container for name, host in HOST_BY_NAME.items()}

    assert containers.pop(HostName.VSCODE) == "servers"
    assert set(containers.values()) == {"mcpServers"}


def test_a_misspelt_host_is_guessed() -> None:
    assert read_host("cursor") is HostName.CURSOR
    with pytest.raises(typer.BadParameter, match=r"'cursr' is not one of .*; did you mean cursor\?"):
        read_host("cursr")


def test_linux_programs_keep_it_below_the_xdg_folder() -> None:
    folders = find_folders({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/etc/ada"}, "linux")

    assert folders.home == PurePosixPath("/home/ada")
    assert folders.programs == PurePosixPath("/etc/ada")


def test_without_an_xdg_folder_it_is_the_hidden_one_at_home() -> None:
    assert find_folders({"HOME": "/home/ada"}, "linux").programs == PurePosixPath("/home/ada/.config")


def test_a_mac_has_a_folder_for_it() -> None:
    folders = find_folders({"HOME": "/Users/ada"}, "darwin")

    assert folders.programs == PurePosixPath("/Users/ada/Library/Application Support")
    assert folders.packages is None


def test_windows_says_in_variables_where_they_are() -> None:
    environ = {
        "USERPROFILE": r"C:\Users\ada",
        "APPDATA": r"D:\Roaming",
        "LOCALAPPDATA": r"C:\Users\ada\AppData\Local",
    }

    folders = find_folders(environ, "win32")

    assert folders.home == PureWindowsPath(r"C:\Users\ada")
    assert folders.programs == PureWindowsPath(r"D:\Roaming")
    assert folders.packages == PureWindowsPath(r"C:\Users\ada\AppData\Local\Packages")


def test_windows_without_these_variables_keeps_its_usual_folders() -> None:
    folders = find_folders({"USERPROFILE": r"C:\Users\ada"}, "win32")

    assert folders.programs == PureWindowsPath(r"C:\Users\ada\AppData\Roaming")


def test_claude_code_can_use_another_folder() -> None:
    folders = find_folders({"HOME": "/home/ada", "CLAUDE_CONFIG_DIR": "/srv/claude"}, "linux")

    assert folders.claude_code == PurePosixPath("/srv/claude")
