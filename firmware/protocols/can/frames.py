"""Encodes a snapshot into the CAN frames of an inverter (COM-02). Pure: no chip, no waiting."""

import micropython
from bms.words.readings import NO_READING
from protocols.can import layout
from protocols import conditions, pace_names

_STATUS = 26            # not folded into a constant: a frozen one of so many bits is no small int
# by kind of field; 32 bits as far as small integers go
_LIMITS = ((0, 0), (0, 0xFF), (0, 0xFFFF), (-0x8000, 0x7FFF), (0, (8 << _STATUS) - 1))
_BYTES = (0, 1, 2, 2, 4)
# 35A: pairs of bits, 01 active, 10 supported and inactive, 00 not supported. Not supported are
# "general" (pair 0) and "contactor" (pair 9); in the second word pair 13 is the system's status.
_PAIRS = 0x1DFE
_ONLINE = 2 << _STATUS
_OFFLINE = 1 << _STATUS
_LEAST_MA = 100

_INTERNAL = 0x0800      # pair 11 of 35A
_FAULT_406 = 0x8000
_CHARGES_403, _DISCHARGES_403 = 1 << _STATUS, 2 << _STATUS

# Growatt 311: what flows, said twice
_IDLE, _CHARGING, _DISCHARGING = 1 << 10 | 1, 2 << 10 | 2, 3 << 10 | 3


@micropython.native
def pairs_of(word, supported):
    """Word of bits n to one of bit pairs: 01 for what is set, 10 for what else is *supported*."""
    pairs = 0
    for n in range(13):
        if word >> n & 1:
            pairs |= 1 << 2 * n
        elif supported >> n & 1:
            pairs |= 2 << 2 * n
    return pairs


class Values:
    """What the frames need beyond a snapshot, or instead of it.

    told_cvl_mv told_ccl_ma told_dcl_ma   the limits as this inverter has to hear them
    the others are named as the fields of can_layout.py that carry them
    """

    def __init__(self, identity):
        name = b"%-16s" % identity.name
        self.name_1 = name[:8]
        self.name_2 = name[8:]
        serial = b"%-16s" % identity.serial
        self.serial_1 = serial[:8]
        self.serial_2 = serial[8:16]
        self.version_major = identity.version[0]
        self.version_minor = identity.version[1]
        self.manufacturer = self.own_name = name[:8]
        self.max_cell_id = bytearray(b"M01C01  ")
        self.min_cell_id = bytearray(b"M01C01  ")
        self.max_temp_id = bytearray(b"M01T01  ")
        self.min_temp_id = bytearray(b"M01T01  ")
        self.told_cvl_mv = self.told_ccl_ma = self.told_dcl_ma = 0
        self.told_max_temp_dc = NO_READING
        self.protections_359 = self.alarms_359 = 0
        self.alarm_pairs = self.warning_pairs = 0
        self.alarm_pairs_plain = self.warning_pairs_plain = 0
        self.requests_35c = self.requests_319 = self.force_360 = 0
        self.status_311 = _IDLE
        self.conditions_403 = self.faults_406 = 0
        self.cell_diff_mv = 0
        self.max_number = self.min_number = 1

    @micropython.native
    def take(self, seen, quirks):
        """Work everything out of snapshot *seen*. Allocates nothing."""
        cvl_mv = seen.cvl_mv
        if quirks & layout.HOLD_VOLTAGE and not seen.may_charge and seen.valid:
            cvl_mv = max(seen.dvl_mv, min(cvl_mv, seen.voltage_mv))
        self.told_cvl_mv = cvl_mv
        least_ma = _LEAST_MA if quirks & layout.NEVER_ZERO else 0
        self.told_ccl_ma = max(least_ma, seen.ccl_ma)
        self.told_dcl_ma = max(least_ma, seen.dcl_ma)
        self._take_flags(seen)
        if not seen.valid:
            return
        self.cell_diff_mv = (NO_READING if seen.max_cell_mv == NO_READING
                             else seen.max_cell_mv - seen.min_cell_mv)
        self.told_max_temp_dc = seen.max_temp_dc
        if seen.max_temp_dc != NO_READING:      # equal ones are misread by some
            self.told_max_temp_dc = max(seen.max_temp_dc, seen.min_temp_dc + 1)
        self.max_number = seen.max_cell + 1
        self.min_number = seen.min_cell + 1
        _put_id(self.max_cell_id, seen.max_cell_module, seen.max_cell)
        _put_id(self.min_cell_id, seen.min_cell_module, seen.min_cell)
        _put_id(self.max_temp_id, seen.max_temp_module, seen.max_temp)
        _put_id(self.min_temp_id, seen.min_temp_module, seen.min_temp)

    @micropython.native
    def _take_flags(self, seen):
        alarms, protections = seen.alarms, seen.protections
        if not seen.valid and not seen.starting:
            protections |= conditions.SYSTEM_FAULT
        self.protections_359 = conditions.protection_word(protections, conditions.CAN_359)
        self.alarms_359 = conditions.alarm_word(alarms, conditions.CAN_359)
        word = conditions.protection_word(protections, conditions.CAN_35A)
        self.alarm_pairs = pairs_of(word, _PAIRS)
        self.alarm_pairs_plain = pairs_of(word, 0)
        self.faults_406 = _FAULT_406 if word & _INTERNAL else 0
        self.conditions_403 = (conditions.alarm_word(alarms, conditions.CAN_403)
                               | conditions.protection_word(protections, conditions.CAN_403)
                               | (_CHARGES_403 if seen.charging else 0)
                               | (_DISCHARGES_403 if seen.discharging else 0))
        word = conditions.alarm_word(alarms, conditions.CAN_35A)
        online = _ONLINE if seen.may_charge or seen.may_discharge else _OFFLINE
        self.warning_pairs = pairs_of(word, _PAIRS) | online
        self.warning_pairs_plain = pairs_of(word, 0)
        self.status_311 = (_CHARGING if seen.charging
                           else _DISCHARGING if seen.discharging else _IDLE)
        self.requests_35c = ((0x80 if seen.may_charge else 0)
                             | (0x40 if seen.may_discharge else 0)
                             | (0x20 if seen.force_1 else 0) | (0x10 if seen.force_2 else 0)
                             | (0x08 if seen.full_request else 0))
        self.requests_319 = self.requests_35c & 0xC0 | (0x20 if seen.force_1 else 0)
        self.force_360 = 0xFF if seen.force_1 else 0


@micropython.native
def _put_id(text, module, index):
    """"M01C05" for index 4 of module 1; the letter stays."""
    text[1] = 0x30 + module // 10 % 10
    text[2] = 0x30 + module % 10
    index += 1
    text[4] = 0x30 + index // 10 % 10
    text[5] = 0x30 + index % 10


class CanFrames:
    """The frames for one variant of can_layout.VARIANTS.

    identity   Identity of the pack
    buf        bytearray(8): data of the frame that was encoded last
    variant    row of VARIANTS; values: Values
    """

    def __init__(self, identity, number=0):
        self.values = Values(identity)
        self.buf = bytearray(8)
        self._seen = None
        self.variant: tuple = layout.VARIANTS[0]
        self.choose(number)

    def choose(self, number):
        """Encode for the inverter number *number* of can_variant from now on."""
        self.variant = layout.VARIANTS[pace_names.base_of(pace_names.CAN, number)]
        maker = self.variant[layout.MAKER]
        self.values.manufacturer = self.values.own_name if maker is None else maker

    def __len__(self):
        return len(self.variant[layout.FRAMES])

    def take(self, seen):
        """Use snapshot *seen* for the frames that follow."""
        self._seen = seen
        self.values.take(seen, self.variant[layout.QUIRKS])

    def ident(self, i):
        """Identifier of frame *i*."""
        return self.variant[layout.FRAMES][i][0]

    @micropython.native
    def encode(self, i):
        """Put frame *i* into buf; its length, or -1 if what it tells is not known now."""
        _, template, fields, needs_readings = self.variant[layout.FRAMES][i]
        seen = self._seen
        if needs_readings and not seen.valid:
            return -1
        buf = self.buf
        for k in range(len(template)):
            buf[k] = template[k]
        values = self.values
        for k in range(len(fields)):
            _, at, kind, attribute, scale = fields[k]
            if kind == layout.TEXT:
                text = getattr(values, attribute)
                for n in range(8):
                    buf[at + n] = text[n]
                continue
            if type(attribute) is int:
                value = seen.cells_mv[attribute] if attribute < seen.cells else 0
                if not value and attribute < seen.cells:
                    return -1               # a master whose own readings are too old
            else:
                value = getattr(values, attribute, None)
                if value is None:
                    value = getattr(seen, attribute)
            if value == NO_READING:
                return -1
            _put(buf, at, kind, (value * scale[0] + scale[2]) // scale[1] + scale[3])
        return len(template)


@micropython.native
def _put(buf, at, kind, value):
    """One field, held within its type."""
    low, high = _LIMITS[kind & 7]
    if value < low:
        value = low
    elif value > high:
        value = high
    count = _BYTES[kind & 7]
    if kind & layout.BIG:
        at += count - 1
    for _ in range(count):
        buf[at] = value & 0xFF
        value >>= 8
        at += -1 if kind & layout.BIG else 1
