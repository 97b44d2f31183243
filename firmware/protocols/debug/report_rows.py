"""The rows of the debug port's report: a field is one row here, and nothing else.

A row's source is "part.attribute": what is sent is that attribute of one of the parts that
report.Reporter.connect() names. Hosts learn the fields from the pack itself (link.py), so a row
may be added anywhere. Sentinels for "no reading" (None, or NO_READING): all ones in B, H, I; the
most negative in b, h, i.
"""

from protocols import as1_codes
from bms.words import states as st
from bms.power import power as pw
from bms.charge.balancing import STATES as BALANCE_STATES
from bms.words.events import NAMES as EVENT_NAMES
from bms.words.rules import FAULT_NAME, FAULT_NUMBER, FAULT_WORD, FAULTS, ITEMS

_IDS = "|".join(row[0] for row in ITEMS)
_FAULTS = [""] * (1 + max(row[FAULT_NUMBER] for row in FAULTS))
for _row in FAULTS:
    _FAULTS[_row[FAULT_NUMBER]] = _row[FAULT_NAME]

# name, source, struct letter, count, unit, meaning
FIELDS = (
    ("uptime_s", "worked.uptime_s", "I", 1, "s", "time since start"),
    ("seq", "scan.seq", "I", 1, "", "number of the scan the values are of"),
    ("age_ms", "worked.age_ms", "H", 1, "ms", "age of that scan"),
    ("state", "pack.state", "B", 1, "enum:" + "|".join(st.STATES), "what the pack does"),
    ("direction", "pack.direction", "B", 1, "enum:" + "|".join(st.STATES), "by current alone"),
    ("alarms", "protection.alarms", "I", 1, "bits:" + _IDS, "alarms that are up"),
    ("protections", "protection.trips", "I", 1, "bits:" + _IDS, "protections that have tripped"),
    ("faults", "pack.faults", "I", 1, "bits:" + "|".join(_FAULTS[:FAULT_WORD]),
     "contradictions that hold"),
    ("faults_more", "pack.faults_more", "I", 1, "bits:" + "|".join(_FAULTS[FAULT_WORD:]),
     "further ones"),
    ("locked", "protection.locks", "I", 1, "bits:" + _IDS,
     "protections that no longer release by themselves"),
    ("soc_cpct", "worked.soc_cpct", "H", 1, "cpct", "state of charge"),
    ("remaining_mah", "worked.remaining_mah", "I", 1, "mAh", "remaining capacity"),
    ("full_mah", "soc.full_mah", "I", 1, "mAh", "full capacity"),
    ("soc_uncertainty_cpct", "soc.uncertainty_cpct", "H", 1, "cpct",
     "state of charge is off by at most this"),
    ("current_offset_ma", "worked.offset_ma", "i", 1, "mA",
     "current sensor at zero, as learnt; taken off the charge"),
    ("soh_pct", "soc.soh_pct", "B", 1, "%", "full capacity of the rated one"),
    ("cycles", "soc.cycles", "H", 1, "", "throughput by capacity"),
    ("charged_ah", "soc.charged_ah", "I", 1, "Ah", "charged, since ever"),
    ("discharged_ah", "soc.discharged_ah", "I", 1, "Ah", "discharged, since ever"),
    ("cell_mv", "seen.cells_mv", "H", 16, "mV", "cells, the most negative first"),
    ("stack_mv", "seen.stack_mv", "i", 1, "mV", "stack, before the FETs"),
    ("pack_mv", "seen.pack_mv", "i", 1, "mV", "terminals"),
    ("current_ma", "seen.current_ma", "i", 1, "mA", "charging positive"),
    ("temp_dc", "seen.temps_dc", "h", 4, "dC", "cell thermistors"),
    ("mos_dc", "seen.mos_dc", "h", 1, "dC", "MOSFET thermistor"),
    ("ambient_dc", "seen.ambient_dc", "h", 1, "dC", "ambient thermistor"),
    ("die_dc", "seen.die_dc", "h", 1, "dC", "AFE die"),
    ("fets", "seen.fets", "B", 1, "bits:chg|dsg", "FETs that are closed, as read back"),
    ("fets_wanted", "fets.wanted", "B", 1, "bits:chg|dsg", "FETs that shall be closed"),
    ("balance_mask", "balancing.mask", "H", 1, "", "cells bled now, bit 0 the most negative"),
    ("balance_s", "balancing.seconds", "I", 16, "s", "time each cell was bled, since start"),
    ("balance", "balancing.state", "B", 1, "enum:" + "|".join(BALANCE_STATES),
     "what balancing does, or what keeps it from it"),
    ("cvl_mv", "pack.cvl_mv", "i", 1, "mV", "charge voltage limit"),
    ("ccl_ma", "pack.ccl_ma", "i", 1, "mA", "charge current limit"),
    ("dcl_ma", "pack.dcl_ma", "i", 1, "mA", "discharge current limit"),
    ("limit_reasons", "worked.reasons", "I", 1, "bits:%s",
     "what lowers a limit; command `limits` gives values"),
    ("limiter", "pack.limiter_in", "B", 1, "", "1: the 10 A charge limiter is in"),
    ("boost_uses", "worked.boost_uses", "B", 1, "", "uses of the short-time allowance in 30 days"),
    ("afe_safety", "scan.safety", "I", 1, "", "AFE safety status A, B, C"),
    ("scans_failed", "scan.failed_all", "H", 1, "",
     "scans without a complete set of values, since start"),
    ("afe_restarts", "control.afe_starts", "H", 1, "", "configurations of the AFE, since start"),
    ("dip", "pack.dip", "B", 1, "", "DIP address"),
    ("first_out", "first.number", "B", 1, "first_out",
     "what opened a FET last: number in the list of names"),
    ("first_out_cell", "first.cell", "b", 1, "", "its cell, -1: none"),
    ("first_out_value", "first.value", "i", 1, "", "value that did it"),
    ("first_out_limit", "first.limit", "i", 1, "", "limit it crossed"),
    ("first_out_age_s", "first.age_s", "I", 1, "s", "time since then"),
    ("events", "events.newest", "I", 1, "", "sequence number of the newest event record"),
    ("worst_us", "tasks.worst_us", "I", 1, "us", "longest step of the control task"),
    ("overruns", "tasks.overruns", "H", 1, "", "task steps that ended late, since start"),
    ("task_errors", "tasks.errors", "H", 1, "", "task steps that raised, since start"),
    ("heap_free", "supervisor.heap_free", "I", 1, "", "bytes of heap free"),
    ("inverter_lost", "pack.inverter_lost", "B", 1, "",
     "1: no inverter heard for inverter_lost_s"),
    ("inverter_silent_s", "inverter.silent_s", "I", 1, "s",
     "time since an inverter was heard, on any port"),
    ("unlocked_s", "rights.left_s", "I", 1, "s",
     "writing is allowed on the inverter ports so long"),
    ("held", "pack.held", "B", 1, "bits:chg|dsg", "FETs that a host holds off"),
    ("can_state", "can.state", "B", 1, "enum:stopped|active|warning|passive|bus_off",
     "CAN controller"),
    ("can_sent", "can.sent", "I", 1, "", "CAN frames sent and acknowledged, since start"),
    ("can_timeouts", "can.timeouts", "I", 1, "", "CAN frames that nobody took, since start"),
    ("can_received", "can.received", "I", 1, "",
     "keep-alive frames of the inverter on CAN, since start"),
    ("power", "power.mode", "B", 1, "enum:" + "|".join(pw.MODES), "off, awake or asleep"),
    ("sleep_reason", "power.reason", "B", 1, "enum:" + "|".join(pw.REASONS), "why it sleeps"),
    ("sleep_refused", "power.refused", "B", 1, "enum:" + "|".join(pw.REFUSALS),
     "why it stayed awake"),
    ("woken_by", "power.woken_by", "B", 1, "enum:" + "|".join(pw.WAKERS), "what woke it last"),
    ("timed_wakes", "power.tries", "B", 1, "", "timed wakes in a row without charge"),
    ("modules", "whole.modules", "B", 1, "",
     "packs that are summed up here; a master counts itself"),
    ("modules_lost", "whole.lost", "H", 1, "", "addresses that do not answer any more, bit n"),
    ("modules_twice", "whole.twice", "H", 1, "", "addresses that two packs have, bit n"),
    ("system_soc_cpct", "whole.soc_cpct", "H", 1, "cpct", "state of charge of all of them"),
    ("system_current_ma", "whole.current_ma", "i", 1, "mA", "current of all of them"),
    ("system_ccl_ma", "whole.ccl_ma", "i", 1, "mA", "charge current limit of all of them"),
    ("system_dcl_ma", "whole.dcl_ma", "i", 1, "mA", "discharge current limit of all of them"),
    ("join_held", "joining.held", "B", 1, "bits:chg|dsg",
     "FETs held open until the pack may join the bus bar"),
    ("join_diff_mv", "joining.diff_mv", "i", 1, "mV",
     "bus bar less stack, when it was last compared"),
    ("pack_uohm", "resistance.uohm", "I", 1, "uOhm", "resistance of the cells, as measured"),
    ("as1_codes", "worked.as1_codes", "I", 1,
     "bits:" + "|".join("%02d" % row[0] for row in as1_codes.TABLE),
     "AS1 codes; command `codes` gives the texts"),
    ("soc_is_guess", "soc.is_guess", "B", 1, "",
     "1: of the charge nothing but the SOC of delivery is known yet"),
)

# the columns of FIELDS
(NAME, SOURCE, LETTER, WIDTH, UNIT, MEANING) = range(6)

EVENT_FIELDS = (
    ("seq", "I", 1, "", "number of the record"),
    ("uptime_ms", "I", 1, "ms", "ticks at the event, modulo 2**30"),
    ("event", "B", 1, "enum:" + "|".join(EVENT_NAMES), "what happened"),
    ("item", "B", 1, "", "number of the item, fault, state or task it happened to"),
    ("cell", "b", 1, "", "cell, -1: none"),
    ("value", "i", 1, "", "value that caused it"),
    ("limit", "i", 1, "", "limit it crossed"),
    ("time_s", "I", 1, "s", "since 2020-01-01 UTC; none: the clock was not set"),
    ("boot", "H", 1, "", "number of the start it happened in"),
    ("direction", "B", 1, "enum:standby|charging|discharging", "by current, at the event"),
    ("state", "B", 1, "enum:" + "|".join(st.STATES), "state then"),
    ("current_ma", "i", 1, "mA", "current then, charging positive"),
    ("soc_cpct", "H", 1, "cpct", "state of charge then"),
)
