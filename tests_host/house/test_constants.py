"""boards/constants.py: what a board freezes is the source with values in the place of names."""

import ast
import importlib
import pathlib
import re
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "boards"))
import constants                                                # noqa: E402

TEXTS = constants.sources()
APPLICATION = constants.Application(TEXTS)
# Nothing but a board can import these: what is put in there is read, not run.
ON_A_BOARD = {"dead_man_rp2", "idle_rp2", "memory_rp2", "pio_uart", "port_esp32", "port_rp2",
              "prompt_rp2", "usb_rp2"}
CHANGED = sorted(name for name, module in APPLICATION.modules.items()
                 if APPLICATION.text(module) != module.source)
NEW = {name: APPLICATION.text(module) for name, module in APPLICATION.modules.items()}


def _value(module, node):
    """What the running module has for *node*; *module* may be one that only a board can import."""
    where = APPLICATION.modules[module]
    if isinstance(node, ast.Name):
        if node.id in where.given:
            source, name = where.given[node.id]
            return _value(source, ast.Name(name))
        return getattr(importlib.import_module(module), node.id)
    return _value(where.aliases[node.value.id], ast.Name(node.attr))


def _differences(old, new):
    """Pairs of nodes at which two trees part."""
    if type(old) is not type(new):
        yield old, new
        return
    if isinstance(old, ast.Constant):
        if (type(old.value), old.value) != (type(new.value), new.value):
            yield old, new
        return
    for field in old._fields:
        a, b = getattr(old, field, None), getattr(new, field, None)
        if isinstance(a, list):
            assert len(a) == len(b), ast.dump(old)
            for x, y in zip(a, b):
                if isinstance(x, ast.AST):
                    yield from _differences(x, y)
                else:
                    assert x == y
        elif isinstance(a, ast.AST) and isinstance(b, ast.AST):
            yield from _differences(a, b)
        elif a != b:
            yield old, new


def _bound(statement):
    """Names that a statement at the top of a module binds."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name for alias in statement.names}
    return {node.id for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _targets(statement):
    target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
    return [part.id for part in (target.elts if isinstance(target, ast.Tuple) else [target])]


@pytest.mark.parametrize("name", CHANGED)
def test_only_names_of_whole_numbers_have_become_their_values(name):
    old, new = ast.parse(APPLICATION.modules[name].source), ast.parse(NEW[name])
    assert len(old.body) == len(new.body)
    gone = set()
    for before, after in zip(old.body, new.body):
        assert getattr(before, "lineno", 0) == getattr(after, "lineno", 0)
        if isinstance(after, ast.Pass):
            assert isinstance(before, (ast.Import, ast.ImportFrom, ast.Assign))
            gone |= _bound(before)
            continue
        if isinstance(before, ast.ImportFrom):
            assert before.module == after.module and _bound(after) <= _bound(before)
            gone |= _bound(before) - _bound(after)
            continue
        if name in constants.TABLES and isinstance(before, (ast.Assign, ast.AnnAssign)):
            targets = _targets(before)
            assert targets == _targets(after)
            values = [getattr(importlib.import_module(name), target) for target in targets]
            if all(isinstance(value, tuple) for value in values) and (
                    ast.dump(before) != ast.dump(after)):
                made = ast.literal_eval(after.value)
                assert made == (values[0] if len(targets) == 1 else tuple(values))
                assert repr(made) == repr(values[0] if len(targets) == 1 else tuple(values))
                continue
        for one, other in _differences(before, after):
            value = ast.literal_eval(other)
            assert type(value) is int
            if name not in ON_A_BOARD:
                assert _value(name, one) == value, ast.dump(one)
    left = {node.id for node in ast.walk(new) if isinstance(node, ast.Name)}
    assert not gone & left, "left out, and used"


def test_what_other_modules_import_is_there():
    tops = {}
    for name, text in NEW.items():
        tops[name] = set()
        for statement in ast.parse(text).body:
            for node in ast.walk(statement):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    tops[name] |= _bound(node)
                elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    tops[name].add(node.name)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    tops[name].add(node.id)
    for name, text in NEW.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module in tops:
                for alias in node.names:
                    assert (alias.name in tops[node.module]
                            or f"{node.module}.{alias.name}" in NEW), (name, alias.name)


def test_what_the_modules_of_a_board_ask_for_is_there():
    for path in sorted((ROOT / "boards").glob("*/modules/**/*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        aliases = {alias.asname or alias.name: alias.name for node in ast.walk(tree)
                   if isinstance(node, ast.Import) for alias in node.names}
        asked = [(node.module, alias.name) for node in ast.walk(tree)
                 if isinstance(node, ast.ImportFrom) for alias in node.names]
        asked += [(aliases.get(node.value.id), node.attr) for node in ast.walk(tree)
                  if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
        for module, name in asked:
            if module in NEW:
                assert re.search(rf"^(def|class) {name}\b|^[\w, ]*\b{name}\b[\w, ]*=", NEW[module],
                                 re.M), (path.name, module, name)


def test_the_lines_stay_where_they_are():
    for name in CHANGED:
        assert NEW[name].count("\n") == APPLICATION.modules[name].source.count("\n")


def _made(names=False, **texts):
    application = constants.Application(
        {name.replace("__", "/") + ".py": text for name, text in texts.items()}, names)
    return types.SimpleNamespace(**{
        name: application.text(application.modules[name.replace("__", ".")]) for name in texts})


@pytest.mark.parametrize("names", (False, True))
def test_a_name_becomes_its_value_and_its_import_goes(names):
    made = _made(names, a="from micropython import const\nLIMIT = const(-3)\nOTHER = LIMIT * 2\n",
                 b="import a\nfrom a import LIMIT, OTHER\n\n"
                   "def f(x):\n    return x[a.OTHER] - LIMIT\n")
    assert made.b == "pass\npass\n\ndef f(x):\n    return x[(-6)] - (-3)\n"
    assert ("LIMIT = const(-3)" in made.a) is names     # only a test asks for it


def test_a_name_stays_that_may_be_asked_of_any_module():
    text = "BUS = 1\nRATE = 2\n"
    made = _made(a=text, b="import sys\n\nif sys:\n    import a as port\n\n"
                           "def f():\n    return port.BUS, getattr(port, 'RATE', 0)\n")
    assert made.a == text


def test_what_is_bound_twice_or_by_a_function_stays():
    text = ("A = 1\nA = 2\nB = 3\nC = 4\nD = 5\n\ndef f(B):\n    global C\n    C = A + B\n"
            "    return [D for D in range(3)]\n")
    assert _made(a=text).a == text


def test_what_another_module_sets_stays():
    text = "LEVEL = 3\n\ndef f():\n    return LEVEL\n"
    assert _made(a=text, b="import a\n\ndef g():\n    a.LEVEL = 4\n").a == text


def test_large_numbers_texts_floats_and_truths_stay():
    text = "A = 1 << 30\nB = 'x'\nC = 0.5\nD = True\n\ndef f():\n    return A, B, C, D\n"
    assert _made(a=text).a == text


def test_viper_code_stays():
    text = "A = 1\n\n@micropython.viper\ndef f():\n    return A\n"
    assert _made(a=text).a == text


def test_what_a_boards_own_modules_ask_of_the_map_is_in_the_image():
    """They are frozen as they are, so constants.py does not see what they use."""
    module = APPLICATION.modules["flash_map_rp2"]
    space = {}
    exec(APPLICATION.text(module) if module.changes else module.source, space)
    asked = set()
    for path in (ROOT / "boards" / "PACKCTL_PICO" / "modules").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                    and node.value.id == "flash_map"):
                asked.add(node.attr)
    assert asked == {"FILES", "RECORDS", "STORAGE", "SLOT_B"}
    assert asked <= set(space)
