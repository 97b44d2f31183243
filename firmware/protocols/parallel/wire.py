"""The RS485 bus between packs: what is asked and answered on it (COM-03, DIP-02).

Frames are those of the PACE family (VER 25, CID1 46, ADR = INFO 0 = address of the pack), so a
monitor for it sees well-formed traffic; the commands are our own, because a slave has to tell
more than PACE's 42 and 44 do: its limits, its FETs, its resistance and who it is.

    ASK_STATE, ASK_BRIEF, ASK_IDENTITY, ROLL_CALL
                 master: address, flags, bar (mV), tag, SOC of all packs together (0.01 %, FFFF:
                 not known); roll call: + round
    SET_SPEED    master, to address 0: as the others, and the rate that all change to after it
    answer (CID2 0)   slave: address, command, tag, body; HELLO: not asked for

A slave answers PACE's own 42 and 44 too (ADR = INFO = its address): to a master of that kind, or a
monitor while no master of ours asks.

A tag is 24 bits of a pack's unique id: two packs with one address have different tags.
"""

from micropython import const

from bms.words.readings import NO_READING
from protocols.ascii.frame import encode

VER = const(0x25)
CID1 = const(0x46)
ASK_STATE = const(0x70)
ASK_IDENTITY = const(0x71)
ROLL_CALL = const(0x72)
SET_SPEED = const(0x73)
HELLO = const(0x74)
ASK_BRIEF = const(0x75)     # the part of the state that moves fast

BAR_KNOWN = const(1)        # flags of a request: another pack is on the bar, at this voltage
MAY_BE_FIRST = const(2)
YIELD = const(4)            # this pack shall leave the bar to others that can deliver

_PACE_READS = (0x42, 0x44)

_BODY = const(5)            # of an answer
_STATE_LEN = const(57)      # up to the cells
_BRIEF_LEN = const(37)
_IDENTITY_LEN = const(34)
_REQUEST_LEN = const(9)
_NO_SOC = const(0xFFFF)
_NO_TEMP = const(-0x8000)
_LIMIT_MA = const(10)       # unit of current limits
_UOHM = const(10)           # unit of the resistance
ROLL_CALL_CHARS = const(28)     # of an answer to it
LONGEST_CHARS = const(18 + 2 * (57 + 2 * 16))
SLOTS = const(8)            # of a roll call


def tag_of(unique_id):
    """24 bits of a board's *unique_id* (bytes)."""
    tag = 0x5A5A5A
    for byte in unique_id:
        tag = ((tag ^ byte) * 0x193 + (tag >> 11)) & 0xFFFFFF
    return tag


def slot_of(tag, turn):
    """Slot 0..7 in which a pack of *tag* answers roll call number *turn* (0..7).

    Tags that differ fall into different slots in at least one of eight turns.
    """
    return tag >> 3 * turn & SLOTS - 1


def put(info, at, value, size):
    """*value*, held within *size* bytes (at most 4) without sign, big-endian."""
    if value < 0:
        value = 0
    elif size < 4 and value >> 8 * size:
        value = (1 << 8 * size) - 1
    for i in range(size - 1, -1, -1):
        info[at + i] = value & 0xFF
        value >>= 8


def put_signed(info, at, value, size):
    """*value*, held within *size* bytes (at most 3) with sign, big-endian."""
    top = 1 << 8 * size - 1
    value = max(-top, min(top - 1, value))
    for i in range(size - 1, -1, -1):
        info[at + i] = value & 0xFF
        value >>= 8


def get(info, at, size):
    """*size* bytes without sign; at most 30 bits of it."""
    value = info[at]
    for i in range(1, size):
        value = (value & 0x3FFFFF) << 8 | info[at + i]
    return value


def get_signed(info, at, size):
    """*size* bytes with sign, at most 3."""
    value = get(info, at, size)
    return value - (1 << 8 * size) if value >> 8 * size - 1 else value


def request(out, info, command, address, flags, bar_mv, tag, soc_cpct=-1, turn=0):
    """Write a master's request into *out*; return its length. *info*: a work buffer.

    soc_cpct  of all packs together, -1: not known
    turn      of a roll call; the rate of SET_SPEED
    """
    info[0] = address
    info[1] = flags
    put(info, 2, bar_mv, 2)
    put(info, 4, tag, 3)
    put(info, 7, soc_cpct if soc_cpct >= 0 else _NO_SOC, 2)
    length = _REQUEST_LEN
    if ROLL_CALL <= command <= SET_SPEED:
        info[length] = turn
        length += 1
    return encode(out, VER, address, CID1, command, info, length)


def is_request(parser):
    """True if the frame in *parser* is a master's."""
    return (parser.ver == VER and parser.cid1 == CID1
            and (ASK_STATE <= parser.cid2 <= SET_SPEED or parser.cid2 == ASK_BRIEF)
            and parser.info_len == _REQUEST_LEN + (ROLL_CALL <= parser.cid2 <= SET_SPEED)
            and parser.info[0] == parser.adr)


def is_pace_read(parser):
    """True if the frame in *parser* is what a PACE master asks a slave."""
    return (parser.ver == VER and parser.cid1 == CID1 and parser.cid2 in _PACE_READS
            and parser.info_len == 1 and parser.info[0] == parser.adr)


def is_answer(parser):
    """True if the frame in *parser* is a slave's, whole and of a length that fits its kind."""
    if (parser.ver != VER or parser.cid1 != CID1 or parser.cid2 != 0
            or parser.info_len < _BODY or parser.info[0] != parser.adr
            or not 2 <= parser.adr <= 15):
        return False
    kind = parser.info[1]
    length = parser.info_len
    if kind == ROLL_CALL or kind == HELLO:
        return length == _BODY
    if kind == ASK_IDENTITY:
        return length == _IDENTITY_LEN
    if kind == ASK_BRIEF:
        return length == _BRIEF_LEN
    return (kind == ASK_STATE and length >= _STATE_LEN
            and length == _STATE_LEN + 2 * parser.info[_STATE_LEN - 1])


def request_tag(parser):
    """Tag of the master that sent the request."""
    return get(parser.info, 4, 3)


def answer_tag(parser):
    """Tag of the slave that sent the answer."""
    return get(parser.info, 2, 3)


def told_bar_mv(parser):
    """Voltage of the bar in a request, NO_READING if no other pack is on it."""
    return get(parser.info, 2, 2) if parser.info[1] & BAR_KNOWN else NO_READING


def told_soc_cpct(parser):
    """State of charge of all packs together in a request, -1: the master does not know it."""
    soc_cpct = get(parser.info, 7, 2)
    return soc_cpct if soc_cpct <= 10_000 else -1


def told_turn(parser):
    """Number of the round of a roll call, or the rate of SET_SPEED: 0..7."""
    return parser.info[_REQUEST_LEN] & SLOTS - 1


def told_rate(parser):
    """The rate that who tells its state goes along with."""
    return parser.info[5] >> 5


def roll_call_answer(out, info, address, tag, kind=ROLL_CALL):
    """Write "here" into *out*; return its length."""
    _begin(info, address, kind, tag)
    return encode(out, VER, address, CID1, 0, info, _BODY)


def _begin(info, address, kind, tag):
    info[0] = address
    info[1] = kind
    put(info, 2, tag, 3)


def identity_answer(out, info, address, tag, seen):
    """Write what hardly changes of *seen* (Snapshot) into *out*; return its length."""
    _begin(info, address, ASK_IDENTITY, tag)
    for i in range(16):
        info[_BODY + i] = seen.serial[i]
    put(info, 21, seen.design_mah, 3)
    put(info, 24, seen.cycles, 2)
    put(info, 26, seen.charged_wh, 4)
    put(info, 30, seen.discharged_wh, 4)
    return encode(out, VER, address, CID1, 0, info, _IDENTITY_LEN)


def take_identity(info, seen):
    """The opposite of identity_answer, of a frame that is_answer."""
    for i in range(16):
        c = info[_BODY + i]
        seen.serial[i] = c if 0x20 <= c < 0x7F else 0x3F
    seen.design_mah = get(info, 21, 3)
    seen.cycles = seen.cycles_max = get(info, 24, 2)
    seen.charged_wh = get(info, 26, 4)
    seen.discharged_wh = get(info, 30, 4)


def state_answer(out, info, address, tag, seen, rate=0):
    """Write the state of *seen* (Snapshot of this pack) into *out*; return its length.

    rate  that this pack goes along with, 0..7 (parallel.speed)
    """
    _begin(info, address, ASK_STATE, tag)
    _put_flags(info, seen, rate)
    put(info, 15, seen.voltage_mv, 2)
    put(info, 17, seen.pack_mv, 2)
    put_signed(info, 19, seen.current_ma, 3)
    put(info, 22, seen.soc_cpct, 2)
    info[24] = seen.soh_pct & 0xFF
    put(info, 25, seen.remaining_mah, 3)
    put(info, 28, seen.full_mah, 3)
    _put_limits(info, 31, seen)
    put(info, 39, seen.resistance_uohm // _UOHM, 2)
    put(info, 41, seen.balance_mask, 2)
    put_signed(info, 43, seen.mos_dc, 2)
    put_signed(info, 45, seen.ambient_dc, 2)
    for i in range(4):
        put_signed(info, 47 + 2 * i, seen.temps_dc[i], 2)
    info[55] = seen.max_cell << 4 | seen.min_cell
    info[56] = seen.cells
    at = _STATE_LEN
    for i in range(seen.cells):
        put(info, at, seen.cells_mv[i], 2)
        at += 2
    return encode(out, VER, address, CID1, 0, info, at)


def brief_answer(out, info, address, tag, seen, rate=0):
    """As state_answer, without what moves slowly: half as long, for 9600 bit/s."""
    _begin(info, address, ASK_BRIEF, tag)
    _put_flags(info, seen, rate)
    put(info, 15, seen.voltage_mv, 2)
    put(info, 17, seen.pack_mv, 2)
    put_signed(info, 19, seen.current_ma, 3)
    put(info, 22, seen.soc_cpct, 2)
    _put_limits(info, 24, seen)
    info[32] = seen.max_cell << 4 | seen.min_cell
    put(info, 33, seen.cells_mv[seen.max_cell], 2)
    put(info, 35, seen.cells_mv[seen.min_cell], 2)
    return encode(out, VER, address, CID1, 0, info, _BRIEF_LEN)


def _put_limits(info, at, seen):
    put(info, at, seen.cvl_mv, 2)
    put(info, at + 2, seen.dvl_mv, 2)
    put(info, at + 4, seen.ccl_ma // _LIMIT_MA, 2)
    put(info, at + 6, seen.dcl_ma // _LIMIT_MA, 2)


def _put_flags(info, seen, rate):
    flags = rate << 13
    if seen.valid:
        flags |= 1
    if seen.charge_on:
        flags |= 2
    if seen.discharge_on:
        flags |= 4
    if seen.charging:
        flags |= 8
    if seen.discharging:
        flags |= 0x10
    if seen.limiting:
        flags |= 0x20
    if seen.is_full:
        flags |= 0x40
    if seen.force_1:
        flags |= 0x80
    if seen.force_2:
        flags |= 0x100
    if seen.full_request:
        flags |= 0x200
    if seen.is_able:
        flags |= 0x400
    if seen.max_cell_mv != NO_READING and seen.min_cell_mv != NO_READING:
        flags |= 0x800
    if seen.buzzing:
        flags |= 0x1000
    put(info, 5, flags, 2)
    put(info, 7, seen.alarms, 4)
    put(info, 11, seen.protections, 4)


def take_state(info, seen):
    """The opposite of state_answer, of a frame that is_answer, into *seen*.

    returns  False if the frame contradicts itself or this kind of pack; *seen* then is as it was
    """
    if info[56] != seen.cells or not _fits(info, 55, seen):
        return False
    uohm = get(info, 39, 2) * _UOHM
    if not uohm:
        return False
    seen.resistance_uohm = uohm
    flags = _take_flags(info, seen)
    seen.soh_pct = seen.soh_min_pct = info[24]
    seen.remaining_mah = get(info, 25, 3)
    seen.full_mah = get(info, 28, 3)
    _take_limits(info, 31, seen)
    seen.balance_mask = get(info, 41, 2)
    at = _STATE_LEN
    cells_mv = seen.cells_mv
    for i in range(seen.cells):
        cells_mv[i] = info[at] << 8 | info[at + 1]
        at += 2
    _take_readings(info, 55, seen, flags)
    _take_temps(info, seen)
    return True


def take_brief(info, seen):
    """The opposite of brief_answer, as take_state; the rest of *seen* stays as it was."""
    if not _fits(info, 32, seen):
        return False
    flags = _take_flags(info, seen)
    _take_limits(info, 24, seen)
    seen.cells_mv[info[32] >> 4] = get(info, 33, 2)
    seen.cells_mv[info[32] & 15] = get(info, 35, 2)
    _take_readings(info, 32, seen, flags)
    return True


def _fits(info, at, seen):
    """True if SOC and the extreme cells, told in byte *at*, can be."""
    return (info[at] >> 4 < seen.cells and info[at] & 15 < seen.cells
            and get(info, 22, 2) <= 10_000)


def _take_flags(info, seen):
    flags = get(info, 5, 2)
    seen.valid = flags & 1 != 0
    seen.charge_on = flags & 2 != 0
    seen.discharge_on = flags & 4 != 0
    seen.charging = flags & 8 != 0
    seen.discharging = flags & 0x10 != 0
    seen.limiting = flags & 0x20 != 0
    seen.is_full = flags & 0x40 != 0
    seen.force_1 = flags & 0x80 != 0
    seen.force_2 = flags & 0x100 != 0
    seen.full_request = flags & 0x200 != 0
    seen.is_able = flags & 0x400 != 0
    seen.buzzing = flags & 0x1000 != 0
    seen.alarms = get(info, 7, 4)
    seen.protections = get(info, 11, 4)
    seen.soc_cpct = get(info, 22, 2)
    return flags


def _take_limits(info, at, seen):
    """A limit counts only with fresh readings and the FET closed (COM-09)."""
    seen.cvl_mv = get(info, at, 2)
    seen.dvl_mv = get(info, at + 2, 2)
    seen.ccl_ma = get(info, at + 4, 2) * _LIMIT_MA if seen.valid and seen.charge_on else 0
    seen.dcl_ma = get(info, at + 6, 2) * _LIMIT_MA if seen.valid and seen.discharge_on else 0
    seen.may_charge = seen.ccl_ma > 0
    seen.may_discharge = seen.dcl_ma > 0
    seen.blocking_charge = 0 if seen.may_charge else 1
    seen.blocking_discharge = 0 if seen.may_discharge else 1


def _take_readings(info, at, seen, flags):
    """Cells are taken already; *at*: which are the extreme ones."""
    if not seen.valid:
        seen.voltage_mv = seen.pack_mv = seen.current_ma = NO_READING
        seen.max_cell_mv = seen.min_cell_mv = NO_READING
        return
    extremes = flags & 0x800
    cells_mv = seen.cells_mv
    seen.voltage_mv = get(info, 15, 2)
    seen.pack_mv = get(info, 17, 2)
    seen.current_ma = get_signed(info, 19, 3)
    seen.max_cell = info[at] >> 4
    seen.min_cell = info[at] & 15
    seen.max_cell_mv = cells_mv[seen.max_cell] if extremes else NO_READING
    seen.min_cell_mv = cells_mv[seen.min_cell] if extremes else NO_READING
    seen.max_cell_module = seen.min_cell_module = seen.module


def _temp(info, at):
    value = get_signed(info, at, 2)
    return NO_READING if value == _NO_TEMP else value


def _take_temps(info, seen):
    seen.mos_dc = seen.max_mos_dc = seen.min_mos_dc = _temp(info, 43)
    seen.ambient_dc = _temp(info, 45)
    seen.max_mos_module = seen.min_mos_module = seen.module
    seen.max_temp_module = seen.min_temp_module = seen.module
    for i in range(4):
        seen.temps_dc[i] = _temp(info, 47 + 2 * i)
    seen.sum_temps()
