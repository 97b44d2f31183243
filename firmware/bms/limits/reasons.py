"""Why limits are below nominal: as bits for the report, as text with values (DER-05)."""

from bms.limits import derating
from bms.words import readings as rd
from bms.words.rules import BOTH, CHARGE, DISCHARGE
from bms.words.phrases import quantity
from bms.words.readings import NO_READING

# bits above those of a profile's CURVES
OTHERS = ("FET held off", "allowance used", "limit still rising", "asked for by a command",
          "CVL highest cell", "PRO-29 deep discharge", "SOC at min_soc_cpct")
(_HELD, _ALLOWANCE, _RISING, _ASKED, _VOLTAGE, _DEEP,
 _LEAST) = (1 << i for i in range(len(OTHERS)))


def reasons_of(pack):
    """Bits: i for row i of the profile's CURVES, and above them those of OTHERS."""
    limits = pack.derating
    others = 0
    free = pack.offered()
    if free != BOTH:
        others = _HELD
    if pack.allowance.limit_ma() < pack.params["boost_ma"]:
        others |= _ALLOWANCE
    if (free & CHARGE and limits.ccl_ma < limits.charge_target_ma
            or free & DISCHARGE and limits.dcl_ma < limits.discharge_target_ma):
        others |= _RISING
    if pack.asked.left_s:
        others |= _ASKED
    if pack.charge_voltage.is_lowered:
        others |= _VOLTAGE
    if pack.cautions.deep.limits:
        others |= _DEEP
    if limits.at_least:
        others |= _LEAST
    return limits.reasons | others << len(pack.profile.CURVES)


def text_of(pack):
    """A line for each reason: the limit, the item, its cell or sensor, the value."""
    lines = []
    curves = pack.profile.CURVES
    values = pack.measurements.values
    reasons = reasons_of(pack)
    for i in range(len(curves)):
        if reasons >> i & 1:
            limit, reading, _, name = curves[i]
            value = values[reading]
            lines.append("%s: %s%s, value %s" % (
                "CCL" if limit == derating.CHARGE_LIMIT else "DCL", name,
                _place(values, reading), "not measured" if value == NO_READING
                else quantity(value, rd.UNITS.get(reading, ""))))
    others = reasons >> len(curves)
    if others & _HELD:
        held = BOTH & ~pack.offered()
        lines.append("held off:%s%s" % (" charge" if held & CHARGE else "",
                                        " discharge" if held & DISCHARGE else ""))
    if others & _RISING:
        lines.append("still rising: CCL %s of %s, DCL %s of %s" % tuple(
            quantity(ma, "mA") for ma in (
                pack.derating.ccl_ma, pack.derating.charge_target_ma,
                pack.derating.dcl_ma, pack.derating.discharge_target_ma)))
    if others & _ASKED:
        lines.append("limits asked for by a command, for %d s" % pack.asked.left_s)
    if others & _VOLTAGE:
        lines.append("CVL: highest cell near its protection%s, asked for: %s" % (
            _place(values, rd.MAX_CELL_MV), quantity(pack.cvl_mv, "mV")))
    if others & _DEEP:
        lines.append("CCL: PRO-29 deep discharge%s, value %s, at most %s" % (
            _place(values, rd.MIN_CELL_MV), quantity(values[rd.MIN_CELL_MV], "mV"),
            quantity(pack.cautions.deep.most_ma, "mA")))
    if others & _LEAST:
        lines.append("DCL: state of charge near min_soc_cpct, " + quantity(pack.soc.cpct, "cpct"))
    if others & _ALLOWANCE:
        lines.append("short-time allowance used, %d uses in 30 days" % pack.allowance.uses())
    return "\n".join(lines) or "no limit is below nominal"


def _place(values, reading):
    """Which cell or thermistor *reading* is of, as text."""
    if values[reading] == NO_READING:
        return ""
    if reading == rd.MAX_CELL_MV:
        return " (cell %d)" % values[rd.MAX_CELL]
    if reading == rd.MIN_CELL_MV:
        return " (cell %d)" % values[rd.MIN_CELL]
    if reading == rd.MIN_TEMP_DC or reading == rd.MAX_TEMP_DC:
        for i in range(4):
            if values[rd.TEMP_DC + i] == values[reading]:
                return " (sensor %d)" % i
    return ""
