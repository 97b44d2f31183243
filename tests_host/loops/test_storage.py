"""What is kept and when it is written: parameters and their migration, records, counters."""

import unittest

from bms.words import events as ev
from bms.records import kept
from bms.words import rules
from bms.records.counters import Counters
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.records.records import Records
from clock import Clock
from fakes import LATE, scan_regs
from flash_ring import PAYLOAD
from profiles import am5000, b1_5_1_48
from slots import Slots
from tasks.storage import PERIOD_MS, Storage

NOT_ON = ("rp2040",)


class Files:
    """A file system in a dict; full on demand."""

    def __init__(self):
        self.all = {}
        self.full = False
        self.writes = []

    def read(self, name):
        return self.all.get(name)

    def write(self, name, data):
        if self.full:
            raise OSError(28)
        self.writes.append(name)
        self.all[name] = bytes(data)


class Ring:
    """Stands for FlashRing: records in a dict that outlives it."""

    def __init__(self, held):
        self.held = held
        self.newest = 0
        self.wants_erase = self.must_erase = False
        self.erased = 0

    def open(self):
        self.newest = max(self.held) if self.held else 0

    @property
    def oldest(self):
        return min(self.held) if self.held else 0

    def following(self, number):
        return number

    def read(self, number, out):
        if number not in self.held:
            return False
        for i in range(PAYLOAD):
            out[i] = self.held[number][i]
        return True

    def append(self, number, payload):
        self.held[number] = bytes(payload)
        self.newest = number
        return True

    def commit(self):
        return True

    def erase_ahead(self):
        self.wants_erase = self.must_erase = False
        self.erased += 1


class FakePort:
    def __init__(self):
        self.received = self.sent = 0
        self.asked = self.busy = False

    def is_busy(self):
        return self.busy


class TestCase(unittest.TestCase):
    profile = am5000

    def setUp(self):
        self.files = Files()
        self.held = {}
        self.start()

    def start(self, profile=am5000):
        """A controller starts from what is kept."""
        self.now = LATE
        self.params = Parameters(profile.DEFAULTS)
        self.pack = Pack(profile, self.params, 100)
        self.ring = Ring(self.held)
        self.storage = Storage(self.pack, self.files, profile.NAME, self.ring, Clock([]))
        self.storage.keep("soc", self.pack.soc)
        self.keep_more()
        self.storage.open(self.now)
        self.pack.events.add(self.now, ev.BOOT)
        self.storage.start(self.now)
        self.port = FakePort()
        self.storage.ports.append(self.port)
        return self.storage

    def keep_more(self):
        pass

    def run_steps(self, count):
        for _ in range(count):
            self.now += PERIOD_MS
            self.storage.step(self.now)

    def events(self, kind):
        log = self.pack.events
        return [seq for seq in range(max(1, log.oldest()), log.newest + 1)
                if log.get(seq, ev.EVENT) == kind]


class TestParameters(TestCase):
    def keep_set(self, pairs):
        Slots(self.files, "params-am5000").save(kept.pack_set(pairs))

    def test_a_set_value_is_kept_by_itself(self):               # req: PAR-02 RST-02
        self.params.set("cell_ov_trip_mv", 3610)
        self.run_steps(40)
        self.start()
        self.assertEqual(self.params["cell_ov_trip_mv"], 3610)

    def test_several_sets_are_written_once(self):               # req: PAR-02
        self.run_steps(40)
        del self.files.writes[:]
        for value in range(10):
            self.params.set("cell_ov_trip_mv", 3610 + value)
            self.port.received += 20
            self.run_steps(1)
        self.run_steps(40)
        self.assertEqual([name[:6] for name in self.files.writes if name[:6] != "stored"],
                         ["params"])

    def test_an_erase_waits_for_what_sends_by_the_clock(self):  # req: COM-02
        sender = FakePort()
        sender.busy = True
        self.storage.senders.append(sender)
        self.run_steps(40)
        del self.files.writes[:]
        self.params.set("cell_ov_trip_mv", 3610)
        self.run_steps(250)
        self.assertEqual(self.files.writes, [])
        sender.busy = False
        self.run_steps(2)
        self.assertEqual(len(self.files.writes), 1)
        sender.busy = True
        self.params.set("cell_ov_trip_mv", 3620)
        self.run_steps(320)                     # and not for ever
        self.assertEqual(len(self.files.writes), 2)

    def test_restored_defaults_are_kept_and_records_stay(self):     # req: RST-02
        self.params.set("cell_ov_trip_mv", 3610)
        self.pack.events.add(self.now, ev.TRIP, 3)
        self.run_steps(40)
        self.start()
        self.params.restore()
        self.run_steps(40)
        self.start()
        self.assertEqual(self.params["cell_ov_trip_mv"], 3600)
        self.assertEqual(self.storage.counters.trips[3], 1)
        self.assertTrue(min(self.held) == 1 and len(self.held) >= 2)

    def test_save_says_whether_it_did(self):                    # req: PAR-02 HST-02
        self.params.set("cell_ov_trip_mv", 3610)
        self.assertTrue(self.storage.save_params(self.now))
        self.files.full = True
        self.assertFalse(self.storage.save_params(self.now))
        self.assertEqual(len(self.events(ev.STORE_ERROR)), 1)

    def test_an_upgrade_keeps_what_still_exists(self):          # req: PAR-02
        self.keep_set([(2, 3610), (9999, 5), (4, 2500), (12345, -1)])
        self.start()
        self.assertEqual((self.params["cell_ov_trip_mv"], self.params["cell_ov_delay_ms"]),
                         (3610, 2500))
        self.assertEqual(len(self.events(ev.PARAM_DROPPED)), 2)

    def test_what_is_out_of_range_falls_to_its_default(self):   # req: PAR-02
        self.keep_set([(2, 9000), (4, 2500), (6, 10)])
        self.start()
        self.assertEqual([self.params[name] for name in (
            "cell_ov_trip_mv", "cell_ov_delay_ms", "cell_uv_trip_mv")], [3600, 2500, 2700])
        log = self.pack.events
        self.assertEqual([(log.get(seq, ev.ITEM), log.get(seq, ev.VALUE))
                          for seq in self.events(ev.PARAM_DROPPED)], [(2, 9000), (6, 10)])
        self.run_steps(40)                      # what it has become is kept: said once
        self.start()
        self.assertEqual((self.events(ev.PARAM_DROPPED), self.params["cell_ov_delay_ms"]),
                         ([], 2500))

    def test_what_contradicts_itself_falls_to_its_defaults(self):   # req: PAR-02 PAR-03
        self.keep_set([(1, 3590), (2, 3550), (4, 2500)])    # the alarm above the protection
        self.start()
        self.assertEqual([self.params[name] for name in (
            "cell_ov_alarm_mv", "cell_ov_trip_mv", "cell_ov_delay_ms")], [3500, 3600, 2500])
        self.assertEqual(len(self.events(ev.PARAM_DROPPED)), 2)

    def test_a_later_version_of_the_set_is_read_by_its_ids(self):   # req: PAR-02
        data = bytearray(kept.pack_set([(4, 2500)]))
        data[0] = 2
        Slots(self.files, "params-am5000").save(bytes(data) + b"more")
        self.start()
        self.assertEqual(self.params["cell_ov_delay_ms"], 2500)

    def test_what_is_no_set_leaves_the_defaults(self):          # req: PAR-02
        for data in (b"", b"\x00\x00\x00", b"\x01\xff\x00abc"):
            Slots(self.files, "params-am5000").save(data)
            self.start()
            self.assertEqual(self.params.pairs(), [])
            self.assertTrue(self.storage.errors > 0)

    def test_another_products_parameters_are_not_taken(self):   # req: PAR-02 PRF-03
        self.params.set("cell_ov_trip_mv", 3610)
        self.run_steps(40)
        self.start(b1_5_1_48)
        self.assertEqual(self.params.pairs(), [])
        self.start(am5000)
        self.assertEqual(self.params["cell_ov_trip_mv"], 3610)

    def test_a_file_system_that_refuses_is_tried_again(self):   # req: PAR-02
        self.files.full = True
        self.params.set("cell_ov_trip_mv", 3610)
        self.run_steps(100)
        self.assertEqual(len(self.events(ev.STORE_ERROR)), 1)
        self.files.full = False
        self.run_steps(700)
        self.start()
        self.assertEqual(self.params["cell_ov_trip_mv"], 3610)


class TestWindows(TestCase):
    def test_records_wait_while_a_byte_is_on_its_way(self):     # req: REC-02 COM-06
        self.run_steps(5)
        self.port.busy = True
        self.pack.events.add(self.now, ev.DIP)
        self.run_steps(50)
        self.assertEqual(self.storage.records.waiting, 1)
        self.port.busy = False
        self.run_steps(1)
        self.assertEqual(self.storage.records.waiting, 0)

    def test_records_do_not_wait_until_the_ring_overflows(self):    # req: REC-02
        self.port.busy = True
        for _ in range(100):
            self.pack.events.add(self.now, ev.DIP)
        self.run_steps(20)
        self.assertTrue(self.storage.records.waiting < 90)

    def test_what_may_erase_waits_for_an_answer_or_silence(self):   # req: REC-02 COM-06
        self.run_steps(60)
        for answered, bytes_before in ((True, 0), (False, 20)):
            self.params.set("cell_ov_trip_mv", 3610 + bytes_before)
            del self.files.writes[:]
            for _ in range(15):                 # someone asks every 200 ms
                self.port.received += 20
                self.port.asked = not answered
                self.run_steps(2)
            self.assertEqual(len(self.files.writes) > 0, answered)
        self.run_steps(25)                      # nobody any more
        self.assertEqual(len(self.files.writes), 1)

    def test_what_has_waited_half_a_minute_is_written(self):    # req: PAR-02
        self.run_steps(60)
        self.port.asked = True
        self.params.set("cell_ov_trip_mv", 3610)
        del self.files.writes[:]
        for _ in range(320):
            self.port.received += 20
            self.run_steps(1)
        self.assertEqual(len(self.files.writes), 1)

    def test_a_step_erases_or_writes_but_not_both(self):        # req: REC-02
        self.run_steps(60)
        self.ring.wants_erase = True
        self.params.set("cell_ov_trip_mv", 3610)
        del self.files.writes[:]
        self.run_steps(1)
        self.assertEqual((self.ring.erased, self.files.writes), (1, []))
        self.run_steps(5)
        self.assertEqual(len(self.files.writes), 1)

    def test_save_all_leaves_nothing_waiting(self):             # req: RST-02 PWR-02
        self.port.busy = True
        self.params.set("cell_ov_trip_mv", 3610)
        self.pack.soc.start(3300, 250)
        for _ in range(9):
            self.pack.events.add(self.now, ev.DIP)
        self.storage.save_all(self.now)
        self.assertEqual(self.storage.records.waiting, 0)
        cpct = self.pack.soc.cpct
        self.start()
        self.assertEqual((self.params["cell_ov_trip_mv"], self.pack.soc.cpct), (3610, cpct))


class TestRecords(TestCase):
    def test_a_record_says_everything(self):                    # req: REC-02 PRO-25
        self.pack.soc.start(3300, 250)
        self.pack.measurements.take(scan_regs(current_ma=-12_300), self.now)
        self.pack.events.add(self.now, ev.TRIP, 2, 5, -3650, 3600)
        record = self.storage.records.read(self.pack.events.newest, self.now)
        (ticks_ms, event, item, cell, value, limit, time_s, boot, direction, state, current_ma,
         soc_cpct) = record
        self.assertEqual((ticks_ms, event, item, cell, value, limit, time_s, boot),
                         (self.now, ev.TRIP, 2, 5, -3650, 3600, 0, 1))
        self.assertEqual((direction, state, current_ma, soc_cpct),
                         (2, 1, -12_300, self.pack.soc.cpct))

    def test_flash_and_ram_say_the_same(self):                  # req: REC-02
        for i in range(6):
            self.pack.events.add(self.now, ev.ALARM, i, i - 1, 100 * i, -i)
        before = [self.storage.records.read(i, self.now) for i in range(1, 8)]
        self.run_steps(10)
        self.start()
        self.assertEqual([self.storage.records.read(i, self.now) for i in range(1, 8)], before)

    def test_numbers_and_starts_go_on(self):                    # req: REC-01 REC-02
        boots = []
        for _ in range(4):
            self.run_steps(5)
            boots.append(self.storage.records.boot)
            newest = self.pack.events.newest
            self.start()
            self.assertEqual(self.pack.events.newest, newest + 1 + len(self.events(ev.CLOCK)))
        self.assertEqual(boots, [1, 2, 3, 4])

    def test_first_out_outlives_a_reset(self):                  # req: REC-03
        self.pack.note_first_out(7, 3, 3651, 3600)
        self.run_steps(5)
        self.start()
        self.assertEqual(self.pack.first_out[:4], (7, 3, 3651, 3600))
        self.assertEqual(self.pack.first_out_age_s, -1)     # no clock: age not known
        self.pack.note_first_out(8, -1, 1, 2)
        self.assertEqual((self.pack.first_out[0], self.pack.first_out_age_s), (8, None))

    def test_trips_are_counted_once_over_starts(self):          # req: REC-02
        for _ in range(5):
            self.pack.events.add(self.now, ev.TRIP, 4)
            self.pack.events.add(self.now, ev.FAULT, 2)
            self.run_steps(5)
            self.start()
        self.assertEqual((self.storage.counters.trips[4], self.storage.counters.faults[2]),
                         (5, 5))
        self.storage.save_all(self.now)
        self.start()
        self.assertEqual(self.storage.counters.trips[4], 5)

    def test_ram_alone_is_enough_to_read(self):                 # req: REC-02
        records = Records(self.pack.events)
        self.assertEqual(records.read(1, self.now)[1], ev.BOOT)
        self.assertIsNone(records.read(1000, self.now))


class TestCounters(unittest.TestCase):
    def test_extremes_and_a_round_trip(self):                   # req: REC-02
        counters = Counters()
        pack = Pack(am5000, Parameters(), 100)
        for current_ma in (5_000, -60_000, 20_000):
            pack.measurements.take(scan_regs(current_ma=current_ma), LATE)
            counters.sample(pack.measurements.values)
        text = counters.text()
        self.assertTrue("largest charge current 20.000 A" in text)
        self.assertTrue("largest discharge current -60.000 A" in text)
        counters.count(5, ev.TRIP, 1, -1, 0, 0, 0)
        counters.count(5, ev.TRIP, 1, -1, 0, 0, 0)
        counters.count(6, ev.FIRST_OUT, 1, 2, 3, 4, 5)
        again = Counters()
        again.from_bytes(counters.to_bytes())
        self.assertEqual((list(again.trips), list(again.extremes), again.first_out, again.seq),
                         (list(counters.trips), list(counters.extremes), (1, 2, 3, 4, 5, 6), 6))
        self.assertEqual(again.trips[1], 1)
        for data in (b"", b"\x09" * 200, bytes(counters.to_bytes())[:-1]):
            with self.assertRaises(ValueError):
                again.from_bytes(data)


class TestLosses(TestCase):
    """Never written, lost, damaged: three different things (SAF-09)."""

    def setUp(self):
        super().setUp()
        self.params.set("cell_ov_trip_mv", 3550)
        self.pack.power.tries = 3
        self.run_steps(60)
        self.params.set("cell_ov_trip_mv", 3560)        # both copies are written
        self.run_steps(60)
        self.assertFalse(self.pack.has(rules.FAULT_LOST))

    def keep_more(self):
        self.storage.keep("power", self.pack.power)

    def spoil(self, name, at=10):
        for copy in (name + ".a", name + ".b"):
            if copy in self.files.all:
                data = bytearray(self.files.all[copy])
                data[at] ^= 0xFF
                self.files.all[copy] = bytes(data)

    def remove(self, name):
        for copy in (name + ".a", name + ".b"):
            self.files.all.pop(copy, None)

    def lost(self):
        """Value of the fault's record: what is lost; None: no fault."""
        if not self.pack.has(rules.FAULT_LOST):
            return None
        return self.pack.events.get(self.events(ev.FAULT)[0], ev.VALUE)

    def test_a_new_pack_has_lost_nothing(self):                 # req: SAF-09
        self.files.all.clear()
        self.held.clear()
        self.start()
        self.assertEqual((self.lost(), self.events(ev.STORE_LOST)), (None, []))
        self.start()                                            # and was cut off soon after
        self.assertEqual(self.lost(), None)

    def test_a_whole_copy_is_enough(self):                      # req: SAF-09 PAR-02
        del self.files.all["params-am5000.a"]
        self.start()
        self.assertEqual(self.lost(), None)

    def test_damaged_and_lost_parameters_are_a_fault(self):     # req: SAF-09
        for spoil, how in ((self.spoil, 2), (self.remove, 1)):
            self.setUp()
            spoil("params-am5000")
            self.start()
            self.assertEqual(self.lost(), 0)
            self.assertEqual(self.pack.allowed(), 0)
            seq, = self.events(ev.STORE_LOST)
            self.assertEqual([self.pack.events.get(seq, k) for k in (ev.ITEM, ev.VALUE)],
                             [0, how])

    def test_it_stays_until_a_person_clears_it(self):           # req: SAF-09
        self.spoil("params-am5000")
        self.start()
        self.params.set("cell_uv_trip_mv", 2650)                # written by itself
        self.run_steps(60)
        self.start()
        self.assertEqual((self.lost(), self.params["cell_uv_trip_mv"]), (0, 2650))
        self.pack.clear()
        self.run_steps(60)
        self.assertEqual(self.lost(), None)
        self.start()
        self.assertEqual((self.lost(), self.params["cell_uv_trip_mv"]), (None, 2650))

    def test_a_save_of_the_parameters_clears_it(self):          # req: SAF-09
        self.spoil("params-am5000")
        self.start()
        self.assertTrue(self.storage.save_params(self.now))
        self.assertEqual(self.lost(), None)
        self.run_steps(60)
        self.start()
        self.assertEqual(self.lost(), None)

    def test_a_lost_power_state_is_one_too(self):               # req: SAF-09
        self.spoil("power")
        self.start()
        self.assertEqual(self.lost(), 1)
        self.assertTrue(self.storage.save_params(self.now))     # not of the parameters
        self.assertEqual(self.lost(), 1)
        self.pack.clear()
        self.run_steps(3)
        self.start()
        self.assertEqual(self.lost(), None)

    def test_other_records_are_only_noted(self):                # req: SAF-09
        self.storage.save_all(self.now)
        self.storage.save_all(self.now)
        self.spoil("soc")
        self.start()
        self.assertEqual((self.lost(), len(self.events(ev.STORE_LOST))), (None, 1))

    def test_a_file_system_that_is_empty_is_everything(self):   # req: SAF-09
        self.files.all.clear()
        self.start()
        self.assertEqual(self.lost(), 4)
        self.start()
        self.assertEqual(self.lost(), 4)
        self.pack.clear()
        self.run_steps(20)
        self.start()
        self.assertEqual(self.lost(), None)

    def test_values_that_are_dropped_are_lost(self):            # req: SAF-09 PAR-02
        for pairs, lost in (([(2, 3900)], 0), ([(0xFFFF, 1)], None)):    # none of these ids
            self.setUp()
            Slots(self.files, "params-am5000").save(kept.pack_set(pairs))
            self.start()
            self.assertEqual(self.lost(), lost)

    def test_an_older_copy_than_was_stored_is_a_loss(self):     # req: SAF-09
        """A file system that lost its newest blocks shows what was there before."""
        older = dict(self.files.all)
        self.params.set("cell_ov_trip_mv", 3540)
        self.run_steps(60)
        newest = dict(self.files.all)
        self.files.all.update(older)
        self.start()
        self.assertEqual((self.lost(), self.params["cell_ov_trip_mv"]), (0, 3560))
        seq, = self.events(ev.STORE_LOST)
        self.assertEqual(self.pack.events.get(seq, ev.VALUE), 5)
        self.files.all.update(newest)
        self.remove("stored")
        self.start()
        self.assertEqual((self.lost(), self.params["cell_ov_trip_mv"]), (None, 3540))

    def test_an_older_release_left_no_names(self):              # req: SAF-09
        self.remove("stored")
        self.start()
        self.assertEqual(self.lost(), None)
        self.remove("params-am5000")                            # its names are known from now on
        self.start()
        self.assertEqual(self.lost(), 0)

    def test_a_first_write_that_was_torn_is_no_loss(self):      # req: SAF-09 PAR-02
        self.files.all.clear()
        self.held.clear()
        self.start()
        self.run_steps(3)
        self.files.all["params-am5000.a"] = b"\x01\x00"
        self.start()
        self.assertEqual(self.lost(), None)


class TestFlash(TestCase):
    """Flash that takes no more writes (SAF-09)."""

    def test_it_is_an_alarm_at_once_and_stops_nothing(self):    # req: SAF-09
        self.params.set("cell_ov_trip_mv", 3550)
        self.assertEqual(self.storage.stored(), 1)
        self.files.full = True
        self.run_steps(30)
        self.assertTrue(self.pack.has(rules.FAULT_FLASH))
        self.assertFalse(self.pack.fails())
        self.assertEqual(self.storage.stored(), 2)
        self.files.full = False
        self.run_steps(700)                                     # tried again each minute
        self.assertFalse(self.pack.has(rules.FAULT_FLASH))
        self.assertEqual(self.storage.stored(), 0)

    def test_a_ring_that_takes_nothing(self):                   # req: SAF-09 REC-02
        take = self.ring.commit
        self.ring.commit = lambda: False
        for count in range(1, 4):
            self.assertFalse(self.pack.has(rules.FAULT_FLASH), count)
            self.pack.events.add(self.now, ev.DIP)
            self.run_steps(1)
        self.assertTrue(self.pack.has(rules.FAULT_FLASH))
        self.ring.commit = take
        self.run_steps(3)
        self.assertFalse(self.pack.has(rules.FAULT_FLASH))


if __name__ == "__main__":
    unittest.main()
