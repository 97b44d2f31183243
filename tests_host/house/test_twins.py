"""The fast functions call their columns by the same names with the same numbers as their twins.

Viper knows a number by name only where the module itself defines it, so the names stand twice.
"""

import ast
import pathlib

import pytest

import bq76952_map
from bms.words import readings
from hot import protect_py, scan_values_py

HOT = pathlib.Path(__file__).resolve().parents[2] / "firmware" / "hot"
SOURCES = {"protect_viper": (protect_py,),
           "scan_values_viper": (readings, scan_values_py, bq76952_map)}


def constants(name):
    """{name: number} of the module's const()s."""
    tree = ast.parse((HOT / f"{name}.py").read_text("utf-8"))
    return {node.targets[0].id: ast.literal_eval(node.value.args[0]) for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)}


@pytest.mark.req("PRO-26")
@pytest.mark.parametrize("name", SOURCES)
def test_each_name_has_the_number_that_the_twin_means(name):
    found = constants(name)
    assert len(found) > 20
    for own, number in found.items():
        meant = [getattr(module, own[1:]) for module in SOURCES[name] if hasattr(module, own[1:])]
        assert set(meant) == {number}, own


@pytest.mark.req("PRO-26")
@pytest.mark.parametrize("name", [module[:-6] + kind for module in SOURCES
                                  for kind in ("_py", "_viper")])
def test_no_column_is_a_bare_number(name):
    """rows[], state[], out[], cal[] and regs[] are indexed by names and running variables."""
    for node in ast.walk(ast.parse((HOT / f"{name}.py").read_text("utf-8"))):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") in (
                "rows", "state", "out", "cal", "regs"):
            index = node.slice.left if isinstance(node.slice, ast.BinOp) else node.slice
            assert not isinstance(index, ast.Constant), ast.unparse(node)
