"""The house: every room imports only what stands below it, and no file stands outside a room."""

import ast
import pathlib

import pytest

FIRMWARE = pathlib.Path(__file__).resolve().parents[2] / "firmware"

# from the ground up; README of bms/ says the same
FLOORS = ("bms.words", "bms.measure", "bms.protect", "bms.limits", "bms.charge", "bms.power",
          "bms.fleet", "bms.records", "bms.panel", "bms.host", "bms.update", "bms.pack",
          "protocols", "tasks", "main")
BESIDE = ("hot", "profiles", "version", "boot")     # anybody may use these; they use the words


def room_of(module):
    """The floor that a dotted module belongs to."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "bms" else parts[0]


def imports_of(path):
    """Dotted names of the firmware's modules that the file *path* imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        found |= {n for n in names if (FIRMWARE / (n.replace(".", "/") + ".py")).exists()}
    return found


def modules():
    """{dotted name: path} of the firmware."""
    return {".".join(p.relative_to(FIRMWARE).with_suffix("").parts): p
            for p in sorted(FIRMWARE.rglob("*.py"))}


def test_nothing_imports_upwards():
    for module, path in modules().items():
        room = room_of(module)
        if room in BESIDE:
            continue
        for other in imports_of(path):
            above = room_of(other)
            if above in BESIDE:
                continue
            assert FLOORS.index(above) <= FLOORS.index(room), f"{module} imports {other}"


def test_every_module_has_a_room():
    for module in modules():
        assert room_of(module) in FLOORS + BESIDE, module


def test_there_are_no_circles():
    graph = {module: imports_of(path) for module, path in modules().items()}
    done = set()

    def walk(module, way):
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for other in graph[module]:
                walk(other, (*way, module))
            done.add(module)

    for module in graph:
        walk(module, ())


@pytest.mark.parametrize("folder", sorted(
    str(p.relative_to(FIRMWARE)) for p in (FIRMWARE / "bms").iterdir()
    if p.is_dir() and p.name != "__pycache__"))
def test_each_room_says_what_may_live_in_it(folder):
    room = FIRMWARE / folder
    if list(room.glob("*.py")):         # not one that git has left behind, empty
        assert (room / "README.md").exists()
        assert f"`{room.name}/`" in (FIRMWARE / "bms" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("module", ["bms", "protocols"])
def test_logic_knows_no_machine_and_no_waiting(module):
    for path in sorted((FIRMWARE / module).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) else [])
            assert not {"machine", "time", "asyncio"} & set(names), path
