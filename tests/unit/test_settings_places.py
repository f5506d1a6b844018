"""Configuration folders of programs on every system."""

from pathlib import PurePosixPath, PureWindowsPath

from pgmcp.settings.places import find_places


def test_linux_programs_keep_it_below_the_xdg_folder() -> None:
    places = find_places({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/etc/ada"}, "linux")

    assert places.home == PurePosixPath("/home/ada")
    assert places.programs == PurePosixPath("/etc/ada")


def test_without_an_xdg_folder_it_is_the_hidden_one_at_home() -> None:
    assert find_places({"HOME": "/home/ada"}, "linux").programs == PurePosixPath("/home/ada/.config")


def test_a_mac_has_a_folder_for_it() -> None:
    places = find_places({"HOME": "/Users/ada"}, "darwin")

    assert places.programs == PurePosixPath("/Users/ada/Library/Application Support")
    assert places.packages is None


def test_windows_says_in_variables_where_they_are() -> None:
    environ = {
        "USERPROFILE": r"C:\Users\ada",
        "APPDATA": r"D:\Roaming",
        "LOCALAPPDATA": r"C:\Users\ada\AppData\Local",
    }

    places = find_places(environ, "win32")

    assert places.home == PureWindowsPath(r"C:\Users\ada")
    assert places.programs == PureWindowsPath(r"D:\Roaming")
    assert places.packages == PureWindowsPath(r"C:\Users\ada\AppData\Local\Packages")


def test_windows_without_these_variables_keeps_its_usual_folders() -> None:
    places = find_places({"USERPROFILE": r"C:\Users\ada"}, "win32")

    assert places.programs == PureWindowsPath(r"C:\Users\ada\AppData\Roaming")


def test_claude_code_can_use_another_folder() -> None:
    places = find_places({"HOME": "/home/ada", "CLAUDE_CONFIG_DIR": "/srv/claude"}, "linux")

    assert places.claude_code == PurePosixPath("/srv/claude")
