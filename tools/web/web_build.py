#!/usr/bin/env python3
"""The pack on a page: build/web/, static files that any host can serve (HST-04).

    make web          makes build/web/
    make web-serve    makes it and serves it on http://127.0.0.1:8000/

The page runs the firmware of this repository, unchanged but for two things that the interpreter
of the page has not: `@micropython.native` (the line is taken out) and viper functions (their
Python twins take over). Interpreter and plots come from npm: the versions and sums are below.
"""

import argparse
import hashlib
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

WEB = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(WEB.parent))

from rooms import ROOT, TOOLS  # noqa: E402 - the path comes first

import can_dbc  # noqa: E402
from rig_fields import plant_of, profiles, said  # noqa: E402
from rig_targets import FIRMWARE, read_pins  # noqa: E402

BUILD = ROOT / "build" / "web"
CACHE = ROOT / "build" / "npm"
# MicroPython for browsers, made by its own project; plots that are small and quick
PACKAGES = {
    "@micropython/micropython-webassembly-pyscript": (
        "1.27.0", "303919763c8ebfe5923b9da66226c20dce44ad72b604b225fb39338ea15367af",
        ("micropython.mjs", "micropython.wasm")),
    # not in the page: the tests ask it whether everybody can use the page
    "axe-core": ("4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
                 ()),
    "uplot": ("1.6.32", "4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
              ("dist/uPlot.esm.js", "dist/uPlot.min.css", "LICENSE")),
}
_OTHERS = re.compile(r".*_(rp2|thumb|esp32|xtensa|viper)\.py$")     # for other machines
_BENCH = ("testbed/on_device/sim_worker.py", "testbed/rig_inverter.py", "testbed/as1_model.py",
          "testbed/fleet_wires.py", "web/page/page_bench.py")


class BuildError(Exception):
    """The page cannot be made; the text says why and what would help."""


def package(name):
    """Path of the folder of an npm package, fetched once and compared with its sum."""
    version, wanted, _ = PACKAGES[name]
    CACHE.mkdir(parents=True, exist_ok=True)
    stem = name.replace("@", "").replace("/", "-")
    path = CACHE / f"{stem}-{version}.tgz"
    if not path.exists():
        if shutil.which("npm") is None:
            raise BuildError("npm is not installed; `sudo apt install npm` brings it")
        done = subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=CACHE,
                              capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"npm could not fetch {name} {version}: {done.stderr.strip()[-300:]}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted:
        path.unlink()
        raise BuildError(f"{name} {version} is not what it was: sum {found[:12]}…, "
                         f"expected {wanted[:12]}…")
    folder = CACHE / stem
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def sources():
    """{path in the page: text} of all Python that runs there."""
    found = {}
    for base in ("firmware", "lib", "tools/models", "tools/mocks"):
        for path in sorted((ROOT / base).rglob("*.*")):
            if path.suffix in (".py", ".json") and not _OTHERS.match(path.name) and (
                    "examples" not in path.parts):
                found["/packctl/" + path.relative_to(ROOT).as_posix()] = path
    for name in _BENCH:
        found["/packctl/tools/" + name] = TOOLS / name
    return {name: re.sub(r"^( *)@micropython\.native\n", r"\1\n", path.read_text("utf-8"),
                         flags=re.M) for name, path in found.items()}


def can_tables():
    """{id: [[name, first bit, bits, big-endian, signed, factor, offset, unit]]} of the frames that
    a pack sends as delivered."""
    return {frame[0]: [[name, bit, bits, bool(big), sign == "-", float(factor), float(offset),
                        unit] for name, bit, bits, big, sign, factor, offset, unit
                       in can_dbc.signals_of(frame)]
            for frame in can_dbc.layout.VARIANTS[0][can_dbc.layout.FRAMES]}


def page_data():
    """What the page has to know of the product."""
    names = [said(path)["name"] for path in profiles(FIRMWARE[0]).values()]
    from bms.words import events    # of the firmware, which can_dbc has put on the path
    return {"pins": read_pins(), "can": can_tables(),
            "events": dict(zip(events.NAMES, events.WORDS)),
            "plants": {name: plant_of(FIRMWARE[0], name) for name in names}}


def build(folder=BUILD):
    """Make the page; returns its folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted((WEB / "page").iterdir()):
        if path.name not in ("page_bench.py", "sw.js", "__pycache__"):
            shutil.copy(path, folder / path.name)
    for name, (_, _, files) in PACKAGES.items():
        for file in files:      # none: a package of the tests
            target = "LICENSE-" + name if file == "LICENSE" else pathlib.Path(file).name
            shutil.copy(package(name) / file, folder / target)
    dump = {"ensure_ascii": False, "separators": (",", ":"), "sort_keys": True}
    (folder / "bundle.json").write_text(json.dumps({"files": sources()}, **dump), "utf-8")
    (folder / "page.json").write_text(json.dumps(page_data(), **dump), "utf-8")
    files = sorted(path.name for path in folder.iterdir())
    digest = hashlib.sha256()
    for name in files:
        digest.update((folder / name).read_bytes())
    worker = (WEB / "page" / "sw.js").read_text("utf-8")
    (folder / "sw.js").write_text(
        worker.replace("@VERSION@", digest.hexdigest()[:16])
        .replace("@FILES@", " ".join(["./"] + files)), "utf-8")
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map,
                      ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *words):
        pass


def server(folder=BUILD, port=8000):
    """A server of the page on loopback; the page isolates itself."""
    def handler(*arguments):
        return Handler(*arguments, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="serve it on this machine")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(arguments)
    try:
        folder = build()
    except BuildError as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"web: {folder.relative_to(ROOT)}, {size / 1e6:.1f} MB of static files")
    if given.serve:
        try:
            made = server(folder, given.port)
        except OSError as error:
            print(f"web: port {given.port}: {error.strerror}; choose another with PORT=",
                  file=sys.stderr)
            return 1
        print(f"web: http://127.0.0.1:{given.port}/ (Ctrl-C ends it)", flush=True)
        try:
            made.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
