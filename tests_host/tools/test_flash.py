"""`make flash`: on the emulated board's pseudo-terminal, on a drive, and when things are wrong."""

import os
import pty
import struct
import subprocess
import sys
import tty

import pytest

pytest.importorskip("mpremote", reason="flashing needs the package mpremote")

import flash
from packctl import link
import toolchain

VERSION = flash.version_of_source()


def run_flash(*arguments):
    done = subprocess.run([sys.executable, flash.__file__, *arguments],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


# ---- on the emulated board --------------------------------------------------------------------


class Served:
    """An emulated board that goes on running while a flash program talks to it."""

    def __init__(self, image, **more):
        from emulator import EmulatedPico
        self.pico = EmulatedPico(image, **more)
        self.port = self.pico.attach_pty()
        self.pico.run_for(600_000)

    def flash(self, *arguments, limit_s=300):
        """*limit_s* is emulated time: the machine may be as busy as it likes."""
        program = subprocess.Popen(
            [sys.executable, flash.__file__, self.port, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(os.environ, PACKCTL_PATIENCE="20"))
        end_us = self.pico.now_us + limit_s * 1_000_000
        try:
            self.pico.serve(until=lambda: program.poll() is not None
                            or self.pico.now_us > end_us)
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
@pytest.mark.req("HST-01")
def test_a_board_with_plain_micropython_gets_the_image_and_runs_it(plain_uf2, uf2):
    board = Served(plain_uf2)
    code, said = board.flash()
    assert code == 0, said
    assert f"packctl {VERSION} is running" in said
    hello = board.hello()
    assert hello["version"] == VERSION
    assert hello["hot"] == "viper"
    with open(uf2, "rb") as image:
        sectors = flash.sectors_of(image.read())
    there = board.pico.flash_image()
    for offset, data in sectors.items():
        assert there[offset:offset + len(data)] == data, hex(offset)

    # A second time it is a board of ours, whose records shall stay: BOOTSEL.
    code, said = board.flash()
    assert code == 1
    assert f"packctl {VERSION} in its image" in said and "sending the board to BOOTSEL" in said


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


def test_an_image_that_is_no_uf2():
    with pytest.raises(flash.FlashError, match="block 0 does not begin"):
        flash.sectors_of(bytes(512))


def test_sectors_of_a_uf2():
    def block(address, data):
        head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0, address, len(data), 0, 1, 0)
        return (head + data).ljust(508, b"\0") + struct.pack("<I", 0x0AB16F30)
    found = flash.sectors_of(block(0x10002F00, b"\x11" * 256) + block(0x10000000, b"\x22" * 256))
    assert list(found) == [0, 0x2000]
    assert found[0] == b"\x22" * 256 + b"\xff" * 3840
    assert found[0x2000] == b"\xff" * 3840 + b"\x11" * 256


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


def test_a_running_board_is_sent_to_bootsel(tmp_path):
    class Board:
        def reset(self, how):
            self.how = how
    board = Board()
    assert flash.to_bootsel(board, drives=lambda: [tmp_path]) == tmp_path
    assert board.how == "machine.bootloader()"
    with pytest.raises(flash.FlashError, match="not mounted within"):
        flash.to_bootsel(board, wait_s=0.1, drives=list)


def test_native_code_in_a_module_of_too_many_names_is_found():
    head = b"M\x06\x00\x1f"
    for count, many in ((b"\x05", False), (b"\x82\x1f", False), (b"\x82\x20", True)):   # 287, 288
        assert toolchain.too_many_names(head + count + b"\x00") is many
