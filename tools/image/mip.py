#!/usr/bin/env python3
"""Makes packages for `mpremote mip` of the drivers in lib/, in build/mip/.

    .venv/bin/python tools/image/mip.py [FOLDER]        make mip
    mpremote mip install build/mip/bq76952/package.json

On the board every module of them lives in one folder, `packctl_drivers`, so that names such as
`clock` or `crc16` collide with nothing: `from packctl_drivers.bq76952 import BQ76952`. Each
package has its example as packctl_drivers/example_<package>.py, from lib/examples/
"""

import ast
import json
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
EXAMPLES = LIB / "examples"
FOLDER = "packctl_drivers"
# package: (its modules; what they import comes along, what it is)
PACKAGES = {
    "bq76952": (("bq76952",), "battery monitor BQ76952 on SPI with CRC"),
    "mcp2515": (("mcp2515",), "CAN controller MCP2515 on SPI"),
    "hc595": (("hc595",), "two shift registers 74HC595 in a row"),
    "tca9534": (("tca9534",), "eight inputs on I2C"),
    "ds3231": (("ds3231", "clock", "civil"), "real-time clock DS3231, and wall time from it"),
    "pcf8563": (("pcf8563", "clock", "civil"), "real-time clock PCF8563, and wall time from it"),
    "flash_ring": (("flash_ring", "region"), "numbered records in flash, safe against power cuts"),
    "slots": (("slots",), "a small record in two copies"),
    "scheduler": (("scheduler",), "time-triggered tasks with deadlines"),
}
_IMPORT = re.compile(r"^(\s*)(?:from (\w+) import|import (\w+)( as \w+)?$)")


def imports_of(source):
    """Names of the modules of lib/ that *source* imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if (LIB / f"{name}.py").exists()}


def modules_of(roots):
    """*roots* and all that they import, in alphabetical order."""
    found, waiting = set(), list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports_of((LIB / f"{name}.py").read_text("utf-8"))
    return sorted(found)


def moved(source):
    """*source* with its imports of lib/ pointing into FOLDER."""
    lines = []
    for line in source.splitlines():
        match = _IMPORT.match(line)
        name = match and (match[2] or match[3])
        if name and (LIB / f"{name}.py").exists():
            if match[2]:
                line = line.replace(f"from {name} import", f"from {FOLDER}.{name} import", 1)
            else:
                line = f"{match[1]}from {FOLDER} import {name}{match[4] or ''}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def version():
    """VERSION of firmware/version.py."""
    return re.search(r'^VERSION = "([^"]+)"', (ROOT / "firmware/version.py").read_text(), re.M)[1]


def build(out):
    """Write all packages into *out*, made anew; returns the paths of their package.json."""
    shutil.rmtree(out, ignore_errors=True)
    (out / FOLDER).mkdir(parents=True)
    (out / FOLDER / "__init__.py").write_text("")
    paths = []
    for package, (roots, words) in PACKAGES.items():
        files = ["__init__.py"]
        for name in modules_of(roots):
            files.append(f"{name}.py")
            (out / FOLDER / files[-1]).write_text(
                moved((LIB / files[-1]).read_text("utf-8")), "utf-8")
        files.append(f"example_{package}.py")
        (out / FOLDER / files[-1]).write_text(
            (EXAMPLES / f"{package}.py").read_text("utf-8"), "utf-8")
        path = out / package / "package.json"
        path.parent.mkdir()
        path.write_text(json.dumps({
            "version": version(), "description": words,
            "urls": [[f"{FOLDER}/{file}", f"../{FOLDER}/{file}"] for file in files], "deps": []},
            indent=1) + "\n")
        paths.append(path)
    return paths


def main(arguments):
    out = pathlib.Path(arguments[0]) if arguments else ROOT / "build" / "mip"
    for path in build(out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
