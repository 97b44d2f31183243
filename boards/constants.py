#!/usr/bin/env python3
"""Whole numbers by value: what a board freezes has the number where the source has its name.

    constants.py FOLDER             writes each module of firmware/ and lib/ into FOLDER
    constants.py FOLDER --names     ... with the names of numbers that tests ask for

A name of another module, or of the own one, costs a look-up in a hash table each time the program
comes by, and 8 bytes of RAM in each module that imports it. MicroPython's compiler knows the
values of const() only within one module. So this step puts values in: `values[rd.MAX_CELL_MV]`
becomes `values[0]`, and a table that then holds nothing but numbers and texts stays in flash.
An import, or the name of a number, that no module needs any more is left out: 5 kB of RAM and
17 kB of flash. Only an image with tests frozen into it keeps them. Lines stay where they are.

Tables that are worked out at the start (TABLES) are worked out here
instead, and lie in flash as well.

A name counts as a number only if a module binds it once, at its top level, to a whole number
below 2**30 that follows from numbers alone. Where any function, class or comprehension of a module
binds a name for itself, that name is left alone in the whole module. Code of viper is left alone.
tests_host/house/test_constants.py compares each module with its source.
"""

import ast
import builtins
import hashlib
import importlib
import os
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
LARGEST = 1 << 30
RULES = "bms.words.rules"
_CALCULATED = "mask_of", "_fault", "faults_with"    # of RULES: follow from its tables alone
TABLES = ("bms.panel.indication", "bms.words.parameters", "protocols.as1_codes",
          "protocols.ascii.pace", "protocols.can.layout", "protocols.debug.report_rows",
          "protocols.debug.words", RULES)
# The map is asked for by modules of the board as well (boards/PACKCTL_PICO/modules).
_AS_THEY_ARE = ("boot.py", "flash_map_rp2.py", "version.py")
_OPERATORS = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b,
    ast.LShift: lambda a, b: a << b, ast.RShift: lambda a, b: a >> b,
    ast.BitOr: lambda a, b: a | b, ast.BitAnd: lambda a, b: a & b, ast.BitXor: lambda a, b: a ^ b,
}


def sources():
    """{path in the image: source} of the application."""
    found = {}
    for base in ("firmware", "lib"):
        for path in sorted(p for p in (ROOT / base).rglob("*.py") if "examples" not in p.parts):
            found[path.relative_to(ROOT / base).as_posix()] = path.read_text("utf-8")
    return found


class Module:
    """One module of the application.

    numbers   {name: whole number} bound once at the top
    aliases   {name: module} that stand for a module
    given     {name: (module, its name there)} from another module
    uses      nodes whose value is to stand in their place: {node: (number, name at the top)}
    kept      names at the top that are used in another way
    """

    def __init__(self, path, source):
        self.path = path
        self.name = path[:-3].replace("/__init__", "").replace("/", ".")
        self.source = source
        self.tree = ast.parse(source)
        self.changes = not (path in _AS_THEY_ARE or path.startswith("profiles/")
                            or path.endswith(("_viper.py", "_thumb.py", "_xtensa.py")))
        self.numbers, self.aliases, self.given = {}, {}, {}
        self.uses, self.kept = {}, set()
        self.local = set()
        self._top = {}              # name: how often it is bound at the top
        self._bindings(self.tree, True)

    def _bind(self, name, top):
        if top:
            self._top[name] = self._top.get(name, 0) + 1
        else:
            self.local.add(name)

    def _bindings(self, node, top):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
                self._bind(child.id, top)
            elif isinstance(child, ast.arg):
                self._bind(child.arg, False)
            elif isinstance(child, ast.alias):
                self._bind(child.asname or child.name.split(".")[0], top)
            elif isinstance(child, ast.ExceptHandler) and child.name:
                self._bind(child.name, top)
            elif isinstance(child, (ast.Global, ast.Nonlocal)):
                self.local.update(child.names)
            elif isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                self._bind(child.name, top)
            inner = isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp,
                                       ast.GeneratorExp, ast.SetComp, ast.DictComp))
            self._bindings(child, top and not inner)

    def once(self, name):
        return self._top.get(name) == 1 and name not in self.local


class Application:
    """All modules.

    texts   {path in the image: source}
    names   True: keep names of numbers that only somebody from outside can ask for
    """

    def __init__(self, texts, names=False):
        self.modules = {}
        self.names = names
        for path, text in texts.items():
            module = Module(path, text)
            self.modules[module.name] = module
        self._assigned = {node.attr for module in self.modules.values()
                          for node in ast.walk(module.tree)
                          if isinstance(node, ast.Attribute)
                          and not isinstance(node.ctx, ast.Load) and node.attr.isupper()}
        self._ran = {}              # module: what is in it
        self._find_numbers()
        for module in self.modules.values():
            self._find_uses(module)
        self.needed = self._find_needed()

    # -- numbers ---------------------------------------------------------------------------

    def _find_numbers(self):
        for module in self.modules.values():
            for node in module.tree.body:
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        self._import(module, node.module, alias)
                elif isinstance(node, ast.Import):
                    for alias in node.names:
                        name = alias.asname or alias.name
                        if alias.name in self.modules and module.once(name):
                            module.aliases[name] = alias.name
        found = -1
        while found != (now := sum(len(m.numbers) for m in self.modules.values())):
            found = now
            for module in self.modules.values():
                for name, (source, there) in module.given.items():
                    if there in self.modules[source].numbers:
                        module.numbers[name] = self.modules[source].numbers[there]
                for node in module.tree.body:
                    self._assign(module, node)

    def _import(self, module, source, alias):
        name = alias.asname or alias.name
        if not module.once(name):
            return
        whole = f"{source}.{alias.name}"
        if whole in self.modules:
            module.aliases[name] = whole
        elif source in self.modules:
            module.given[name] = (source, alias.name)

    def _assign(self, module, node):
        pairs = []
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    pairs.append((target, self.value(module, node.value)))
                elif isinstance(target, ast.Tuple):
                    values = self._values(module, node.value)
                    if values is not None and len(values) == len(target.elts):
                        pairs += zip(target.elts, values)
        for target, value in pairs:
            if (isinstance(target, ast.Name) and value is not None and module.once(target.id)
                    and target.id not in self._assigned and -LARGEST < value < LARGEST):
                module.numbers[target.id] = value

    def _values(self, module, node):
        if isinstance(node, ast.Tuple):
            return [self.value(module, part) for part in node.elts]
        if isinstance(node, ast.Call) and not node.keywords:
            if isinstance(node.func, ast.Name) and node.func.id == "range":
                ends = [self.value(module, part) for part in node.args]
                return None if None in ends else list(range(*ends))
            return self._calculated(module, node)
        return None

    def value(self, module, node):
        """The whole number that *node* is at the top of *module*, or None."""
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int else None
        if isinstance(node, ast.Name):
            return module.numbers.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source = module.aliases.get(node.value.id)
            return self.modules[source].numbers.get(node.attr) if source else None
        if isinstance(node, ast.UnaryOp):
            value = self.value(module, node.operand)
            if value is not None and isinstance(node.op, (ast.USub, ast.Invert)):
                return -value if isinstance(node.op, ast.USub) else ~value
            return None
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = self.value(module, node.left), self.value(module, node.right)
            if left is None or right is None:
                return None
            return _OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.Call) and not node.keywords:
            if (isinstance(node.func, ast.Name) and node.func.id == "const"
                    and len(node.args) == 1):
                return self.value(module, node.args[0])
            value = self._calculated(module, node)
            return value if type(value) is int else None
        return None

    def _calculated(self, module, node):
        """What a function of the protection table gives for texts and numbers."""
        if isinstance(node.func, ast.Name):
            name = node.func.id
            source, name = module.given.get(name, (module.name, name))
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            source, name = module.aliases.get(node.func.value.id), node.func.attr
        else:
            return None
        if source != RULES or name not in _CALCULATED:
            return None
        arguments = []
        for part in node.args:
            if isinstance(part, ast.Constant):
                arguments.append(part.value)
            elif (value := self.value(module, part)) is not None:
                arguments.append(value)
            else:
                return None
        return getattr(self._run(RULES), name)(*arguments)

    def _run(self, name):
        """A module, run by itself once; the interpreter's own modules stay as they are."""
        if name in self._ran:
            return self._ran[name]
        space = {"__name__": name, "__builtins__": dict(vars(builtins), __import__=self._given)}
        exec(compile(self.modules[name].source, name, "exec"), space)
        self._ran[name] = types.SimpleNamespace(**space)
        return self._ran[name]

    def _given(self, name, _globals=None, _locals=None, names=(), _level=0):
        if name in self.modules:
            return self._run(name)
        if name == "micropython":
            def same(it):
                return it
            return types.SimpleNamespace(const=same, native=same, viper=same)
        if any(other.startswith(name + ".") for other in self.modules):
            return types.SimpleNamespace(**{part: self._run(f"{name}.{part}") for part in names})
        return importlib.import_module(name)        # one of Python's own

    # -- where they are used ---------------------------------------------------------------

    def _find_uses(self, module):
        self._look(module, module.tree, module.changes)

    def _look(self, module, node, may):
        for child in ast.iter_child_nodes(node):
            inner = may and not isinstance(child, ast.JoinedStr)
            if isinstance(child, ast.FunctionDef) and any(
                    "viper" in ast.dump(d) or "asm_" in ast.dump(d) for d in child.decorator_list):
                inner = False
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                value = module.numbers.get(child.id) if inner else None
                if value is None:
                    module.kept.add(child.id)
                else:
                    module.uses[child] = (value, child.id)
                continue
            if (inner and isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Load)
                    and isinstance(child.value, ast.Name)):
                value = self.value(module, child)
                if value is not None:
                    module.uses[child] = (value, child.value.id)
                    continue
            self._look(module, child, inner)

    def _find_needed(self):
        """{module: names at its top that something needs}."""
        needed = {name: set(module.kept) for name, module in self.modules.items()}
        asked = set()               # of whatever object: which module it may be is not known
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and node not in module.uses:
                    asked.add(node.attr)
                elif (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                        and node.func.id in ("getattr", "hasattr")):
                    asked.update(part.value for part in node.args
                                 if isinstance(part, ast.Constant))
        for name, module in self.modules.items():
            needed[name] |= asked & set(module._top)
        for module in self.modules.values():
            if not module.changes:
                needed[module.name] |= set(module._top)
            for node in ast.walk(module.tree):      # imports within functions, or under a try
                if isinstance(node, ast.ImportFrom) and node not in module.tree.body:
                    needed.setdefault(node.module, set()).update(a.name for a in node.names)
                elif (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                        and node not in module.uses and node.value.id in module.aliases):
                    needed[module.aliases[node.value.id]].add(node.attr)
        before = -1
        while before != (now := sum(map(len, needed.values()))):
            before = now
            for module in self.modules.values():
                for name, (source, there) in module.given.items():
                    if not self.may_go(module, name, needed):
                        needed[source].add(there)
        return needed

    def may_go(self, module, name, needed=None):
        """True if the name at the top of *module* can be left out."""
        needed = self.needed if needed is None else needed
        if not module.changes or name in needed[module.name] or not module.once(name):
            return False
        if name in module.given:
            return name in module.numbers
        if name in module.aliases:
            return any(of == name for _, of in module.uses.values())
        return name in module.numbers and (not self.names or name.startswith("_"))

    # -- the new text ----------------------------------------------------------------------

    def text(self, module):
        """The source of *module* with numbers in place, line for line."""
        lines = [line.encode() for line in module.source.split("\n")]
        edits = []
        parents = {child: node for node in ast.walk(module.tree)
                   for child in ast.iter_child_nodes(node)}
        for node, (value, _) in module.uses.items():
            text = str(value)
            if value < 0 or isinstance(parents[node], ast.Attribute):
                text = f"({text})"
            edits.append((node, text))
        for node in module.tree.body:
            text = self._statement(module, node)
            if text is not None:
                edits = [edit for edit in edits if not (
                    node.lineno <= edit[0].lineno and edit[0].end_lineno <= node.end_lineno)]
                edits.append((node, text))
        for node, text in sorted(edits, key=lambda e: (e[0].lineno, e[0].col_offset),
                                 reverse=True):
            first, last = node.lineno - 1, node.end_lineno - 1
            after = lines[last][node.end_col_offset:]
            lines[first:last + 1] = [lines[first][:node.col_offset] + text.encode() + after
                                     ] + [b""] * (last - first)
        return b"\n".join(lines).decode()

    def _statement(self, module, node):
        """What stands in the place of a statement at the top, None: the statement."""
        if isinstance(node, ast.ImportFrom):
            kept = [alias for alias in node.names
                    if not self.may_go(module, alias.asname or alias.name)]
            if len(kept) == len(node.names):
                return None
            names = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "")
                              for alias in kept)
            return f"from {node.module} import {names}" if kept else "pass"
        if isinstance(node, ast.Import):
            gone = [self.may_go(module, alias.asname or alias.name) for alias in node.names]
            return "pass" if all(gone) else None
        if isinstance(node, ast.Assign):
            names = [part for target in node.targets for part in (
                target.elts if isinstance(target, ast.Tuple) else [target])]
            if all(isinstance(part, ast.Name) and self.may_go(module, part.id)
                   for part in names):
                return "pass"
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and module.name in TABLES:
            return self._table(module, node)
        return None

    def _table(self, module, node):
        """A statement that names a table, with the table as it comes out; None: it names none."""
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        if not all(isinstance(part, ast.Name) and module.once(part.id) for part in parts):
            return None
        values = [getattr(self._run(module.name), part.id) for part in parts]
        if not all(isinstance(value, tuple) and _is_plain(value) for value in values):
            return None
        return "%s = %s" % (", ".join(part.id for part in parts), ", ".join(map(repr, values)))


def _is_plain(value):
    """Texts, bytes, whole numbers, truths and None, and tuples of these."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, bytes, bool) or (
        type(value) is int and -LARGEST < value < LARGEST)


def main(folder, *options):
    texts = sources()
    folder = pathlib.Path(folder)
    stamp = folder.with_name(folder.name + ".stamp")
    state = hashlib.sha256(repr((pathlib.Path(__file__).read_text("utf-8"), texts)).encode())
    if stamp.exists() and stamp.read_text() == state.hexdigest():
        return
    application = Application(texts, "--names" in options)
    for module in application.modules.values():
        text = application.text(module) if module.changes else module.source
        path = folder / module.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            part = path.with_name(f"{path.name}.{os.getpid()}")
            part.write_text(text, "utf-8")
            os.replace(part, path)
    stamp.write_text(state.hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])
