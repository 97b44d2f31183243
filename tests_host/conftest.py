"""What the host tests share: where modules are found, and on what the firmware runs."""

import pathlib
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ("host", "unix", "rp2040")
# the scenarios that rp2040 runs, on benches with a box (tools/packbox); only where they are named
BOXED = {"rp2040+box": "box", "serial": "serial"}
UNITS = ("rv32",)               # unit tests alone run there (test_on_target.py)
SAMPLE = "sample"               # on rp2040 and rv32 those tests alone that are marked so

# The mocks' machine, micropython and port_sim stand in for the device's.
sys.path[:0] = [str(ROOT / folder) for folder in
                ("firmware", "lib", "tools/mocks", "tools/models", "tools")]
# A room's tests may use what is written in another one.
sys.path += [str(path) for path in sorted((ROOT / "tests_host").iterdir()) if path.is_dir()]

import rooms                    # noqa: E402, F401 - puts the rooms of tools/ on the path


try:
    from hypothesis import settings
    settings.register_profile("packctl", deadline=None)     # a busy machine is no finding
    settings.load_profile("packctl")
except ImportError:
    pass


def pytest_addoption(parser):
    parser.addoption("--targets", default=",".join((*TARGETS, *UNITS)), metavar="NAMES",
                     help="what tests with a `target` run the firmware on, by commas: "
                          "host, unix, rp2040, rv32 (default: all), sample (on rp2040 and rv32, "
                          "but only the tests that are marked so), rp2040+box, serial (board and "
                          "box at the ports PACKCTL_PORT and PACKCTL_BOX)")


@pytest.hookimpl(tryfirst=True)         # the page's style is read by the plugin that writes it
def pytest_configure(config):
    config.addinivalue_line("markers", "targets(name, ...): the targets that a test is for")
    config.addinivalue_line("markers", "sample(text, ...): part of what always runs on rp2040; "
                            "with texts only the cases whose id has one of them")
    for name in config.getoption("--targets").split(","):
        if name not in (*TARGETS, *UNITS, SAMPLE, *BOXED):
            raise pytest.UsageError(f"--targets: {name!r} is none of "
                                    f"{', '.join((*TARGETS, *UNITS, SAMPLE, *BOXED))}")
    if config.getoption("htmlpath", None):
        import scenario_report
        scenario_report.load(config)


def pytest_generate_tests(metafunc):
    """A test with an argument `target` runs once on each chosen one.

    @pytest.mark.targets("host", "unix") on a test leaves the others out.
    """
    if "target" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--targets").split(",")
        if SAMPLE in chosen and metafunc.definition.get_closest_marker("sample"):
            chosen = [*chosen, "rp2040"]
        own = metafunc.definition.get_closest_marker("targets")
        names = [name for name in TARGETS
                 if name in chosen and (own is None or name in own.args)]
        names += [name for name in BOXED
                  if name in chosen and (own is None or "rp2040" in own.args
                                         or name in own.args)]
        metafunc.parametrize("target", [
            pytest.param(name, marks=getattr(pytest.mark, BOXED.get(name, name)))
            for name in names])


def pytest_collection_modifyitems(config, items):
    """Of a sampled test the cases that are named run on rp2040, all where none is."""
    if "rp2040" in config.getoption("--targets").split(","):
        return

    def is_left_out(item):
        mark = item.get_closest_marker("sample")
        return (mark and mark.args and item.callspec.params.get("target") == "rp2040"
                and not any(text in item.callspec.id for text in mark.args))

    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _found(find):
    """A path, or a failed test that says what is missing: nothing is skipped in silence."""
    from rig_targets import TargetError
    try:
        return find()
    except TargetError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def unix_micropython():
    """Path of the MicroPython interpreter for this computer."""
    from rig_targets import find_unix
    return _found(find_unix)


@pytest.fixture(scope="session")
def uf2():
    """Path of the image for the RP2040 with the firmware frozen in."""
    from rig_targets import find_uf2
    return _found(find_uf2)


@pytest.fixture
def rig(request):
    """A rig, closed at the end. With a `target`, what that one needs is there."""
    if "target" in request.fixturenames:
        target = request.getfixturevalue("target")
        needs = {"unix": "unix_micropython", "rp2040": "uf2", "rp2040+box": "uf2"}.get(target)
        if needs:
            request.getfixturevalue(needs)
    report = request.config.pluginmanager.get_plugin("scenario_report")
    if report:
        make = report.bench
    else:
        from rig import Rig as make
    if "target" in request.fixturenames and target in BOXED:
        from boxed import Boxed
        make = type("BoxedRig", (Boxed, make), {})
    with make() as bench:
        yield bench


@pytest.fixture(scope="session")
def plain_uf2(tmp_path_factory):
    """The board's image as MicroPython makes it, without the application."""
    import toolchain
    root = tmp_path_factory.mktemp("plain")
    board = root / "boards" / toolchain.BOARD
    shutil.copytree(toolchain.ROOT / "boards" / toolchain.BOARD, board)
    (board / "manifest.py").write_text('freeze("$(PORT_DIR)/modules")\n')
    shutil.rmtree(board / "boot_stage")     # without it the image is at the start of the flash
    header = board / "mpconfigboard.h"
    header.write_text("".join(
        line for line in header.read_text("utf-8").splitlines(True) if "FLASH_STORAGE" not in line)
        + "#define MICROPY_HW_FLASH_STORAGE_BYTES (1024 * 1024)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "ROOT", root)
        patch.delenv("MICROPY_UF2", raising=False)
        return toolchain.firmware(out=root / "plain.uf2").uf2
