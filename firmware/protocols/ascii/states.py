"""States of cells, sensors and currents, as the command 44 of Pylontech and PACE has them.

Whether something is wrong is what the debounced conditions of a snapshot say; which cell or
sensor it is, the values.
"""

from bms.words.readings import NO_READING
from protocols.conditions import bit

NORMAL, TOO_LOW, TOO_HIGH, OTHER = 0x00, 0x01, 0x02, 0xF0
CELL_WRONG_LOW_MV = 1000        # beyond these it is the reading that is wrong
CELL_WRONG_HIGH_MV = 4200

_CELL_OV = bit("cell over-voltage")
_CELL_UV = bit("cell under-voltage")
_PACK_OV = bit("pack over-voltage")
_PACK_UV = bit("pack under-voltage")
_CHARGE_OC = bit("charge over-current")
_DISCHARGE_OC = (bit("discharge over-current") | bit("discharge over-current 2")
                 | bit("short circuit"))
_CHARGE_COLD = bit("charge under-temperature")
_CHARGE_HOT = bit("charge over-temperature")
_DISCHARGE_COLD = bit("discharge under-temperature")
_DISCHARGE_HOT = bit("discharge over-temperature")
_MOS_HOT = bit("MOSFET over-temperature")
_AMBIENT_COLD = bit("environment under-temperature")
_AMBIENT_HOT = bit("environment over-temperature")


def _sensor(temp_dc, is_hot, is_cold):
    if temp_dc == NO_READING:
        return OTHER
    return TOO_HIGH if is_hot else TOO_LOW if is_cold else NORMAL


def is_odd(seen):
    """True if a cell reads what no cell can have."""
    return seen.min_cell_mv < CELL_WRONG_LOW_MV or seen.max_cell_mv > CELL_WRONG_HIGH_MV


def put_states(info, at, seen, params, mos_first):
    """Counts and states of cells and temperatures; the end.

    seen        Snapshot; params: Parameters, for the alarm limits
    mos_first   1: MOSFETs, then cells (Pylontech); 0: cells, MOSFETs, environment (PACE)
    """
    found = seen.alarms | seen.protections
    info[at] = seen.cells
    at += 1
    if seen.valid and not found & (_CELL_OV | _CELL_UV) and not is_odd(seen):
        for i in range(at, at + seen.cells):
            info[i] = NORMAL
        at += seen.cells
    else:
        at = _put_cells(info, at, seen, params, found)
    sensors = len(seen.temps_dc)
    mos = _sensor(seen.mos_dc, found & _MOS_HOT, 0)
    if mos_first:
        info[at] = 1 + sensors
        info[at + 1] = mos
        return _put_cell_sensors(info, at + 2, seen, params, found)
    info[at] = 2 + sensors
    at = _put_cell_sensors(info, at + 1, seen, params, found)
    info[at] = mos
    info[at + 1] = _sensor(seen.ambient_dc, found & _AMBIENT_HOT, found & _AMBIENT_COLD)
    return at + 2


def _put_cells(info, at, seen, params, found):
    high_mv = params["cell_ov_alarm_mv"] if found & _CELL_OV else CELL_WRONG_HIGH_MV + 1
    low_mv = params["cell_uv_alarm_mv"] if found & _CELL_UV else 0
    for i in range(seen.cells):
        mv = seen.cells_mv[i]
        if not seen.valid or mv < CELL_WRONG_LOW_MV or mv > CELL_WRONG_HIGH_MV:
            info[at] = OTHER
        else:
            info[at] = TOO_HIGH if mv >= high_mv else TOO_LOW if mv <= low_mv else NORMAL
        at += 1
    return at


def _put_cell_sensors(info, at, seen, params, found):
    high_dc = 10_000
    low_dc = NO_READING
    if found & _CHARGE_HOT:
        high_dc = params["chg_ot_alarm_dc"]
    if found & _DISCHARGE_HOT:
        high_dc = min(high_dc, params["dsg_ot_alarm_dc"])
    if found & _CHARGE_COLD:
        low_dc = params["chg_ut_alarm_dc"]
    if found & _DISCHARGE_COLD:
        low_dc = max(low_dc, params["dsg_ut_alarm_dc"])
    for i in range(len(seen.temps_dc)):
        temp_dc = seen.temps_dc[i]
        info[at + i] = _sensor(temp_dc, temp_dc >= high_dc, temp_dc <= low_dc)
    return at + len(seen.temps_dc)


def put_current_states(info, at, found):
    """Charge current, module voltage, discharge current, for the conditions *found*."""
    info[at] = TOO_HIGH if found & _CHARGE_OC else NORMAL
    info[at + 1] = TOO_HIGH if found & _PACK_OV else TOO_LOW if found & _PACK_UV else NORMAL
    info[at + 2] = TOO_HIGH if found & _DISCHARGE_OC else NORMAL
