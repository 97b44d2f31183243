"""Faults in two words, numbers that are never given twice, and the words for a person."""

import unittest

from bms.words import events as ev
from bms.words import rules
from bms.words import phrases as words
from bms.records.counters import Counters
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import scan_regs
from profiles import am5000
from protocols import conditions
from protocols.debug import report

CHARGE, DISCHARGE, BOTH = 1, 2, 3

# as released: what records in flash mean by these numbers. Add, never change.
RELEASED_ITEMS = ("PRO-01", "PRO-02", "PRO-03", "PRO-04", "PRO-05", "PRO-06", "PRO-07", "PRO-08",
                  "PRO-09", "PRO-10", "PRO-11", "PRO-12", "PRO-13", "PRO-14", "PRO-15", "PRO-16",
                  "PRO-17", "PRO-18")
RELEASED_FAULTS = (
    "MEA-02", "MEA-03-cell", "MEA-03-sum", "MEA-03-ntc", "PWR-01-fet", "SAF-02-afe", "SAF-03-task",
    "MEA-03-wire", "MEA-03-frozen", "SAF-05-weld", "SAF-05-open", "SAF-07-hot", "PRF-03",
    "MEA-03-blind", "MEA-03-sign", "COM-03-lost", "DIP-02", "SAF-07-ram", "SAF-07-program",
    "SAF-07-data", "SAF-07-clock", "SAF-07-output", "SAF-07-flow")


class TestNumbers(unittest.TestCase):
    def test_released_numbers_keep_their_meaning(self):         # req: REC-02 REC-03
        for number, name in enumerate(RELEASED_ITEMS):
            self.assertEqual(rules.item_row(number)[0], name)
            self.assertEqual(words.row_of(number)[0], name)
        for number, name in enumerate(RELEASED_FAULTS):
            self.assertEqual(rules.fault_row(number)[0], name)
            self.assertEqual(words.row_of(18 + number)[0], name)    # 18 items were released

    def test_no_number_is_given_twice(self):                    # req: REC-02 REC-03
        items = [row[rules.NUMBER] for row in rules.ITEMS]
        faults = [row[rules.FAULT_NUMBER] for row in rules.FAULTS]
        for numbers in (items, faults, items + [18 + number for number in faults]):
            self.assertEqual(len(set(numbers)), len(numbers))
        for number in items:
            self.assertTrue(0 <= number < 18 or 128 <= number < 255, number)
        self.assertTrue(0 <= min(faults) and max(faults) < 58)

    def test_each_fault_has_a_constant_and_names_are_unique(self):  # req: PRO-25
        named = {getattr(rules, name) for name in dir(rules)
                 if name.startswith("FAULT_") and name not in (
                     "FAULT_NAME", "FAULT_BLOCKS", "FAULT_NUMBER", "FAULT_LATCHED", "FAULT_TOLD",
                     "FAULT_AS1", "FAULT_UNIT", "FAULT_WORDS", "FAULT_WORD", "FAULT_MORE")}
        self.assertEqual(named, {rules.bit_of(row[rules.FAULT_NUMBER]) for row in rules.FAULTS})
        names = [row[rules.FAULT_NAME] for row in rules.FAULTS] + [row[0] for row in rules.ITEMS]
        self.assertEqual(len(set(names)), len(names))

    def test_constants_and_words_are_no_heap_numbers(self):     # req: SAF-04
        for number in range(58):
            fault = rules.bit_of(number)
            self.assertTrue(0 < fault < 1 << 30)
            self.assertEqual(rules.number_of(fault), number)

    def test_lines_of_the_schema_fit_a_frame(self):             # req: HST-02
        for row in report.fields_for(am5000):
            self.assertTrue(len(report.line_of(row)) < 640, row[0])
        for line in report.names():
            self.assertEqual(line.count(";"), 5, line)

    def test_conditions_have_a_row_for_each_item(self):         # req: COM-05
        self.assertTrue(len(rules.ITEMS) <= 24)     # further ones: after the last row there
        for i, row in enumerate(rules.ITEMS):
            if row[rules.NUMBER] < 18:              # a bit of the bus between packs
                self.assertEqual(row[rules.NUMBER], i)
            bit = conditions.of_items(1 << i)
            names = [name for k, (name, *_) in enumerate(conditions.TABLE) if bit >> k & 1]
            self.assertTrue(len(names) == 1 and names[0], row[0])


class TestTwoWords(unittest.TestCase):
    def setUp(self):
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.afe_ready = True
        self.now = 0
        for _ in range(3):
            self.scan()

    def scan(self):
        self.now += 100
        regs = scan_regs()
        regs[0x38] = self.now // 100 & 1
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)
        return self.pack.allowed()

    def test_each_fault_stands_alone(self):                     # req: PRO-25
        pack = self.pack
        bits = [rules.bit_of(row[rules.FAULT_NUMBER]) for row in rules.FAULTS]
        for fault in bits:
            pack.set_fault(fault, True)
            self.assertEqual([bit for bit in bits if pack.has(bit)], [fault])
            self.assertTrue(pack.has_any((bits[0], fault)))
            pack.set_fault(fault, False)
            self.assertFalse(pack.has_any(bits))
            self.assertEqual((pack.faults, pack.faults_more), (0, 0))

    def test_a_row_says_which_fets_it_holds_off(self):          # req: PWR-01
        for row in rules.FAULTS:
            self.pack.set_fault(rules.bit_of(row[rules.FAULT_NUMBER]), True)
            self.assertEqual(self.pack.allowed(), BOTH & ~row[rules.FAULT_BLOCKS], row[0])
            self.assertEqual(self.pack.fails(), row[rules.FAULT_BLOCKS] == BOTH)
            self.pack.set_fault(rules.bit_of(row[rules.FAULT_NUMBER]), False)
            self.assertEqual(self.pack.allowed(), BOTH, row[0])

    def test_a_host_clears_what_is_latched(self):               # req: SAF-05 SAF-09
        latched = {"SAF-05-weld", "SAF-05-open", "MEA-03-sign", "SAF-07-ram", "SAF-07-program",
                   "SAF-07-data", "SAF-07-clock", "SAF-07-output", "SAF-07-flow", "SAF-09-lost"}
        for row in rules.FAULTS:
            fault = rules.bit_of(row[rules.FAULT_NUMBER])
            if row[0] in latched:
                self.assertTrue(row[rules.FAULT_LATCHED], row[0])
            self.pack.set_fault(fault, True)
            self.pack.clear()
            self.assertEqual(self.pack.has(fault), not row[rules.FAULT_LATCHED], row[0])
            self.pack.set_fault(fault, False)

    def test_a_sensor_has_a_way_back_of_its_own(self):          # req: MEA-07
        for row in rules.FAULTS:
            name = row[rules.FAULT_NAME]
            self.assertEqual(row[rules.FAULT_LATCHED] == rules.TESTIFIED,
                             name.startswith("MEA-07-") or name == "MEA-03-sign", name)

    def test_records_and_counters_go_by_number(self):           # req: REC-02 REC-03
        for row in rules.FAULTS:
            number = row[rules.FAULT_NUMBER]
            self.pack.first_out = None
            self.pack.set_fault(rules.bit_of(number), True, 5, 6, 3)
            events = self.pack.events
            if row[rules.FAULT_BLOCKS]:
                self.assertEqual(self.pack.first_out[:4], (18 + number, 3, 5, 6))
            seq = events.newest - (1 if row[rules.FAULT_BLOCKS] else 0)
            self.assertEqual([events.get(seq, k) for k in (ev.EVENT, ev.ITEM, ev.CELL)],
                             [ev.FAULT, number, 3])
            self.pack.set_fault(rules.bit_of(number), False)
        counters = Counters()
        counters.count(1, ev.FAULT, 29, -1, 0, 0, 0)
        counters.count(2, ev.TRIP, 17, -1, 0, 0, 0)
        counters.count(3, ev.TRIP, 254, -1, 0, 0, 0)        # of a later firmware
        counters.count(4, ev.FAULT, 57, -1, 0, 0, 0)
        again = Counters()
        again.from_bytes(counters.to_bytes())
        self.assertEqual(again.text(),
                         "charger connected the wrong way round (PRO-18): tripped 1 times\n"
                         "the flash memory cannot be written (SAF-09-flash): 1 times")


class TestWords(unittest.TestCase):
    def test_a_cause_is_a_sentence_with_its_id(self):           # req: REC-03
        for wanted, first in (
                ("over-temperature while discharging (PRO-12): 65.4 \u00b0C, limit 58.0 \u00b0C",
                 (11, -1, 654, 580)),
                ("cell over-voltage (PRO-01), cell 3: 3.651 V, limit 3.600 V", (0, 3, 3651, 3600)),
                ("under-temperature while charging (PRO-09): -0.5 \u00b0C, limit 5.0 \u00b0C",
                 (8, -1, -5, 50)),
                ("over-current while discharging (PRO-06): 111.500 A, limit 110.000 A",
                 (5, -1, 111_500, 110_000)),
                ("short circuit (PRO-08)", (7, -1, 0, 0)),
                ("a sense wire of the cells is open (MEA-03-wire): wire 7", (25, -1, 7, 0)),
                ("the cell monitor does not answer (MEA-02): 5 scans, limit 5 scans",
                 (18, -1, 5, 5)),
                ("unknown to this firmware (number 200)", (200, -1, 5, 5))):
            self.assertEqual(words.cause(*first), wanted)

    def test_every_row_has_words(self):                         # req: REC-03
        for row in rules.ITEMS:
            self.assertTrue(row[rules.WORDS])
        for row in rules.FAULTS:
            self.assertTrue(row[rules.FAULT_WORDS] and ";" not in row[rules.FAULT_WORDS])


if __name__ == "__main__":
    unittest.main()
