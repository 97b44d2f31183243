"""`make flash`: on the emulated board's pseudo-terminal, on a drive, and when things are wrong."""

import os
import pty
import subprocess
import sys
import tty

import pytest

pytest.importorskip("mpremote", reason="flashing needs the package mpremote")

import flash
import link
import toolchain

VERSION = flash.version_of_source()


def run_flash(*arguments, timeout=20):
    done = subprocess.run([sys.executable, str(flash.ROOT / "tools" / "flash.py"), *arguments],
                          capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


# ---- on the emulated board --------------------------------------------------------------------


class Served:
    """An emulated board that goes on running while a flash program talks to it."""

    def __init__(self, image, **more):
        from emulator import EmulatedPico
        self.pico = EmulatedPico(image, **more)
        self.port = self.pico.attach_pty()
        self.pico.run_for(600_000)

    def flash(self, *arguments, limit_s=150):
        program = subprocess.Popen(
            [sys.executable, str(flash.ROOT / "tools" / "flash.py"), self.port, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            self.pico.serve(limit_s, until=lambda: program.poll() is not None)
            assert program.poll() is not None, f"flash.py still runs after {limit_s} s"
        finally:
            program.kill()
        return program.wait(), program.stdout.read()

    def hello(self):
        """What the running firmware says on its debug port."""
        heard = bytearray()
        self.pico.on_debug = lambda byte, now_us: heard.append(byte)
        self.pico.run_for(2_000_000)
        self.pico.debug_feed(link.encode(1, link.HELLO))
        self.pico.run_for(1_000_000)
        frames = [piece for piece in link.Splitter().feed(heard) if isinstance(piece, link.Frame)]
        text = frames[0].payload.decode()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.mark.slow
@pytest.mark.rp2040
def test_a_board_with_plain_micropython_gets_the_files_and_runs_them(plain_uf2):
    board = Served(plain_uf2)
    code, said = board.flash()
    assert code == 0, said
    assert f"packctl {VERSION} is running" in said
    hello = board.hello()
    assert hello["version"] == VERSION
    assert hello["hot"] == "viper"

    # A second time there is nothing to copy, and a file that was changed is put right.
    code, said = board.flash()
    assert code == 0, said
    assert "are there already" in said


@pytest.mark.slow
@pytest.mark.rp2040
def test_files_are_refused_where_the_image_has_the_application_in_it(uf2):
    board = Served(uf2)
    code, said = board.flash("--files")
    assert code == 1
    assert f"packctl {VERSION} in its image" in said
    assert "use --uf2" in said


# ---- when things are wrong --------------------------------------------------------------------


def test_a_port_that_is_missing():
    code, said = run_flash("/dev/ttyNOSUCH7")
    assert code == 1
    assert "there is no port /dev/ttyNOSUCH7" in said


@pytest.fixture
def terminal():
    """(path, master) of a pseudo-terminal with nobody behind it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave), slave
    os.close(master)
    os.close(slave)


def test_a_port_that_another_program_holds(terminal):
    import fcntl
    path, slave = terminal
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    code, said = run_flash(path)
    assert code == 1
    assert "another program holds it" in said


def test_a_port_where_nothing_answers(terminal):
    with pytest.MonkeyPatch.context():
        board = flash.Board(terminal[0], timeout_s=0.5)
        try:
            with pytest.raises(flash.FlashError, match="no MicroPython answers"):
                board.interrupt(soft_reset=True)
        finally:
            board.close()


@pytest.mark.parametrize("platform, machine", [
    ("esp32", "Generic ESP32 module with ESP32"),
    ("rp2", "Raspberry Pi Pico 2 with RP2350"),
])
def test_a_board_that_is_another(platform, machine):
    with pytest.raises(flash.FlashError, match="RP2040"):
        flash.check_board((platform, machine, "1.25.0", 0, None, 0), "port")


def test_a_pico_is_the_right_board():
    flash.check_board(("rp2", "Raspberry Pi Pico with RP2040", "1.25.0", 0, None, 0), "port")


@pytest.mark.parametrize("number, right", [
    (6 | 3 << 8 | 4 << 10, True),
    (5 | 3 << 8 | 4 << 10, False),      # another version of the format
    (6 | 2 << 8 | 4 << 10, False),      # other native code
    (6 | 3 << 8 | 10 << 10, False),     # another processor
    (0, False),                         # no .mpy at all
])
def test_mpy_files_only_for_a_micropython_that_loads_them(monkeypatch, number, right):
    monkeypatch.setattr(flash, "own_mpy_format", lambda mpy_cross: (6, 3))
    about = ("rp2", "Raspberry Pi Pico with RP2040", "1.25.0", number, None, 0)
    assert flash.takes_mpy(about, "mpy-cross") is right


# ---- drives -------------------------------------------------------------------------------------


@pytest.fixture
def image(monkeypatch, tmp_path):
    uf2 = tmp_path / "packctl-pico.uf2"
    uf2.write_bytes(b"UF2 of the test" * 100)
    made = toolchain.Firmware(uf2, True, None, None, None)
    monkeypatch.setattr(toolchain, "firmware", lambda: made)
    return uf2


def drive(folder, board="RPI-RP2"):
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text(
        f"UF2 Bootloader v2.0\nModel: Raspberry Pi RP2\nBoard-ID: {board}\n")
    return folder


def test_a_drive_gets_the_image(tmp_path, image):
    folder = drive(tmp_path / "RPI-RP2")
    assert flash.flash(str(folder)) is None
    assert (folder / image.name).read_bytes() == image.read_bytes()


def test_a_folder_that_is_no_drive_is_left_alone(tmp_path, image):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.raises(flash.FlashError, match="not the drive of a board in BOOTSEL"):
        flash.flash(str(folder))
    assert not list(folder.iterdir())


def test_the_drive_of_another_board_is_refused(tmp_path, image):
    with pytest.raises(flash.FlashError, match="RP2350"):
        flash.flash(str(drive(tmp_path / "RP2350", "RP2350")))


def test_files_do_not_go_to_a_drive(tmp_path, image):
    with pytest.raises(flash.FlashError, match="serial port"):
        flash.flash(str(drive(tmp_path / "RPI-RP2")), "files")


def test_a_running_board_is_sent_to_bootsel(tmp_path):
    class Board:
        def reset(self, how):
            self.how = how
    board = Board()
    assert flash.to_bootsel(board, drives=lambda: [tmp_path]) == tmp_path
    assert board.how == "machine.bootloader()"
    with pytest.raises(flash.FlashError, match="not mounted within"):
        flash.to_bootsel(board, wait_s=0.1, drives=list)


# ---- what is copied ----------------------------------------------------------------------


def test_everything_the_board_needs_is_copied_and_nothing_of_other_ports():
    files = flash.application()
    for name in ("main.py", "boot.py", "version.py", "bq76952.py", "port_rp2.py", "hot/protect.py",
                 "profiles/am5000.py"):
        assert name in files, name
    assert not [name for name in files if name.endswith(("_esp32.py", "_xtensa.py"))]


def test_pin_names_become_those_of_the_chip():
    names = {"AFE_CS": "GPIO17", "DO1": "GPIO26"}
    assert flash.with_gpio_names('_out("AFE_CS", 1)', names) == '_out("GPIO17", 1)'
    assert flash.with_gpio_names("for n in ('DO1', \"DO2\"):", names) == (
        "for n in ('GPIO26', \"DO2\"):")
    assert flash.with_gpio_names('"AFE_CS is low"  # AFE_CS', names) == '"AFE_CS is low"  # AFE_CS'


def test_no_functional_pin_name_is_left():
    left = set(flash.pin_names())
    for target, path in flash.application().items():
        source = flash.with_gpio_names(path.read_text(encoding="utf-8"), flash.pin_names())
        assert not [n for n in left if f'"{n}"' in source or f"'{n}'" in source], target
