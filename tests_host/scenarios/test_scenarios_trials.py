"""The emulated Pico with a new image in slot B: it proves itself, or the one before comes back.

The image is the same one, linked for slot B, with something wrong with it or provoked in it.
"""

import pathlib
import struct

import pytest

import image_slots
import pico_image
from test_scenarios_self_tests import provoke

pytestmark = [pytest.mark.req("SAF-06"), pytest.mark.targets("rp2040")]
LAYOUT = pico_image.flash_map()
RESET, SELF_TEST, TASK = 1, 4, 3


@pytest.fixture(scope="session")
def slot_b(uf2):
    """What slot B is to hold."""
    beside = pathlib.Path(uf2).with_name(pathlib.Path(uf2).stem + "-b.bin")
    return beside.read_bytes()


def entry(state, flags, number, reason=0):
    page = bytearray(256)
    image_slots.pack_entry(page, state, flags, number, reason)
    return bytes(page)


class Trial:
    """A pack that ran from slot A and has *data* in slot B, on trial from the next power-on."""

    def __init__(self, rig, data):
        rig.open(board="rp2040")
        rig.power(False)
        self.rig = rig
        self.pico = rig._target._pico
        flash = bytearray(self.pico.flash_image())
        flash[LAYOUT.SLOT_B:LAYOUT.SLOT_B + len(data)] = data
        flash[LAYOUT.JOURNAL:LAYOUT.JOURNAL + 256] = entry(image_slots.TRIAL, 0, 1)
        self.pico.set_flash_image(bytes(flash))
        self.boots = self.pico.reset_count
        rig.power(True)

    def running(self):
        """The slot whose code runs."""
        while True:
            at = self.pico._core.where()[0] - LAYOUT.XIP
            if LAYOUT.SLOT_A <= at < LAYOUT.FILES:
                return int(at >= LAYOUT.SLOT_B)
            self.rig.run(1)

    def journal(self):
        """(state, flags, reason) of the newest entry."""
        flash = self.pico.flash_image()

        class Flash:
            def read(self, at, buffer):
                buffer[:] = flash[at:at + len(buffer)]
        newest = image_slots.Journal(Flash(), LAYOUT.JOURNAL, 4096)
        return newest.state, newest.flags & 7, newest.reason

    def updates(self):
        """(item, value) of the records of updates."""
        return [(e["item"], e["value"]) for e in self.rig.events()["events"]
                if e["event"] == "update"]

    def fets(self):
        wire = self.rig.get()["wire"]["fets"]
        return [wire["chg"], wire["dsg"]]

    def back(self, reason, limit_s=90):
        """The image before runs again within *limit_s*, closes its FETs and tells why."""
        begun_ms = self.rig.get()["t_ms"]
        while self.pico.reset_count < self.boots + 2:
            self.rig.run(1000)
            assert self.rig.get()["t_ms"] - begun_ms <= limit_s * 1000
        self.rig.run(8000)
        assert self.running() == 0 and self.fets() == [1, 1]
        assert self.updates() == [(6, reason)]
        state, flags, told = self.journal()
        assert (state, flags & 5, told) == (image_slots.REFUSED, 4, reason)
        self.rig.power(False)
        self.rig.power(True)
        self.rig.run(4000)
        assert self.running() == 0 and self.updates() == [(6, reason)]      # once


def with_hang(data):
    """The image does nothing from its first instruction on; its sums are right."""
    data = bytearray(data)
    head = LAYOUT.IMAGE + 0x100
    (first,) = struct.unpack_from("<I", data, head + 4)
    at = (first & ~1) - LAYOUT.XIP - LAYOUT.SLOT_B
    data[at:at + 2] = b"\xfe\xe7"                   # b .
    return pico_image.slot(bytes(data[LAYOUT.IMAGE:]), LAYOUT, "PACKCTL_PICO", "9.9.9")


@pytest.mark.sample
def test_an_image_that_hangs_at_its_first_instruction(rig, target, slot_b):
    Trial(rig, with_hang(slot_b)).back(RESET, 10)


def test_an_image_that_hangs_later(rig, target, slot_b):
    trial = Trial(rig, slot_b)
    rig.run(5000)
    assert trial.running() == 1 and trial.fets() == [1, 1]
    rig.set(fault={"task_hang": "control"})
    trial.back(RESET, 15)


@pytest.mark.slow
def test_an_image_whose_control_task_raises(rig, target, slot_b):
    trial = Trial(rig, slot_b)
    rig.run(5000)
    rig.set(fault={"task_storm": "control"})
    trial.back(TASK)


@pytest.mark.slow
def test_an_image_that_fails_its_self_test(rig, target, slot_b):
    trial = Trial(rig, slot_b)
    rig.run(5000)
    provoke(rig, "ram")
    trial.back(SELF_TEST)


@pytest.mark.slow
def test_a_good_image_is_confirmed_after_a_minute(rig, target, slot_b):
    """And stays, and so do parameters; then a bit of it rots, and the one before runs."""
    trial = Trial(rig, slot_b)
    rig.run(5000)
    assert trial.running() == 1 and trial.fets() == [1, 1]
    rig.param("cell_ov_trip_mv", 3620)
    rig.run(53_000)
    assert trial.journal()[0] == image_slots.TRIAL
    rig.run(10_000)
    assert trial.journal() == (image_slots.GOOD, 3, 0)
    assert trial.updates() == [(5, 0)]
    for _ in range(2):
        rig.power(False)
        rig.power(True)
        rig.run(4000)
        assert trial.running() == 1 and trial.fets() == [1, 1]
        assert rig.param("cell_ov_trip_mv")["value"] == 3620
    rig.power(False)
    flash = bytearray(trial.pico.flash_image())
    flash[LAYOUT.SLOT_B + 0x40000] ^= 1
    trial.pico.set_flash_image(bytes(flash))
    rig.power(True)
    rig.run(6000)
    assert trial.running() == 0 and trial.fets() == [1, 1]
    assert trial.updates() == [(5, 0), (6, image_slots.FELL_BACK)]
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
