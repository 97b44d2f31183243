"""The rooms of tools/ and tests_host/: each says what it is for, and imports only downwards."""

import ast
import collections
import pathlib
import re

import pytest

import rooms

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests_host"

# from the ground up
FLOORS = ("", "mocks", "models", "packbox", "pico", "testbed", "image", "load", "proof", "trials",
          "studies", "generate", "report", "screen", "web")
# What others start by its path, and the room it belongs to.
DOORS = {"rig": "testbed", "as1": "testbed", "toolchain": "", "pico_image": "", "rooms": ""}


def tools():
    """{name: path} of the tools' modules."""
    return {path.stem: path for path in sorted(rooms.TOOLS.rglob("*.py"))
            if rooms.TOOLS / "packctl" not in path.parents}


def room_of(path):
    parts = path.relative_to(rooms.TOOLS).parts
    return DOORS.get(path.stem, parts[0] if len(parts) > 1 else "")


def imports_of(path, known):
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[-1])
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in known} - {path.stem}


def files_of(top):
    return [path for path in sorted(top.rglob("*")) if path.is_file()
            and path.suffix in (".py", ".c") and "__pycache__" not in path.parts]


def test_a_name_is_unique_over_all_rooms():
    for top in (rooms.TOOLS, TESTS):
        names = collections.Counter(
            path.name for path in files_of(top) if path.suffix == ".py"
            and not path.name.startswith("__") and rooms.TOOLS / "packctl" not in path.parents)
        assert [name for name, count in names.items() if count > 1] == []


def test_no_tool_imports_upwards():
    known = tools()
    for path in known.values():
        for other in imports_of(path, known):
            floor, below = (FLOORS.index(room_of(p)) for p in (path, known[other]))
            assert below <= floor, f"{path.relative_to(ROOT)} imports {other}"


def test_each_room_of_tools_is_on_the_path():
    folders = {path.name for path in rooms.TOOLS.iterdir() if path.is_dir() and files_of(path)}
    assert folders - {"packctl"} == set(rooms.ROOMS) | {"models", "mocks"}
    assert set(FLOORS) == folders - {"packctl"} | {""}


@pytest.mark.parametrize("top", [rooms.TOOLS, TESTS], ids=["tools", "tests_host"])
def test_each_room_says_what_may_live_in_it(top):
    index = (top / "README.md").read_text("utf-8")
    for room in top.iterdir():
        if room.is_dir() and files_of(room):
            assert (room / "README.md").exists(), room
            assert f"`{room.name}/`" in index, room


def test_only_doors_stand_outside_a_room():
    assert {path.stem for path in rooms.TOOLS.glob("*.py")} == set(DOORS)
    assert {path.name for path in TESTS.glob("*.py")} == {
        "conftest.py", "fakes.py", "test_on_target.py"}


def test_what_runs_on_the_device_says_so():
    for path in files_of(rooms.TOOLS):
        if path.name.endswith(("_device.py", "_driver.py", "_worker.py", "_thumb.py")):
            assert path.parent.name == "on_device", path


# Say what was so: these are not rewritten when a file moves. And a path of MicroPython's own.
_DATED = ("CHANGELOG.md", "docs/mutants.md", "docs/campaign.md", "docs/hunt.md")
_NOT_OURS = ("tools/manifestfile.py",)
_PATH = re.compile(
    r"(?<![\w/.])(?:tools|tests_host|firmware|lib|boards)/[\w/]*\w\.(?:py|c|md|txt)\b")


def test_each_path_that_is_named_is_there():
    for path in sorted(ROOT.rglob("*")):
        name = str(path.relative_to(ROOT))
        if (name.startswith(("build/", ".")) or name in _DATED or "__pycache__" in path.parts
                or path.suffix not in (".py", ".md", ".c")):
            continue
        for named in _PATH.findall(path.read_text("utf-8")):
            assert (ROOT / named).exists() or named in _NOT_OURS, f"{name}: {named}"
