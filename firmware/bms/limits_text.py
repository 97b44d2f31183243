"""Why limits are below nominal, as text (DER-05)."""

from bms import derating
from bms.protection_rules import BOTH, CHARGE, DISCHARGE
from bms.readings import NO_READING


def limits_text(pack):
    """Why each limit of *pack* is below nominal: item, value."""
    lines = []
    curves = pack.profile.CURVES
    for i in range(len(curves)):
        if pack.derating.reasons >> i & 1:
            value = pack.measurements.values[curves[i][derating.READING]]
            lines.append("%s: %s, value %s" % (
                "CCL" if curves[i][0] == derating.CHARGE_LIMIT else "DCL", curves[i][3],
                "none" if value == NO_READING else value))
    held = BOTH & ~pack.allowed()
    if held:
        lines.append("held off:%s%s" % (" charge" if held & CHARGE else "",
                                        " discharge" if held & DISCHARGE else ""))
    if pack.asked.left_s:
        lines.append("limits asked for by a command, for %d s" % pack.asked.left_s)
    if pack.charge_voltage.is_lowered:
        lines.append("CVL: highest cell near its protection, %d mV" % pack.cvl_mv)
    if pack.allowance.limit_ma() < pack.params["boost_ma"]:
        lines.append("short-time allowance used, %d uses in 30 days" % pack.allowance.uses())
    return "\n".join(lines) or "no limit is below nominal"
