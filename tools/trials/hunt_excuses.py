"""What no firmware on this board can prevent, as data: the only harm that `make hunt` excuses.

A row is (faults, harm, reason). It excuses the kinds of harm that begin with one of the texts of
*harm*, when every one of its *faults* is set at some time of the episode. A fault "kind=text" has
to have a value whose text contains *text*, "kind=low..high" one from *low* to *high*.

Each reason says why, and what other hardware would be needed. Harm without a row is a bug of ours.
"""

_CHARGE = ("over_3", "cold_charge", "hot_charge")
_DISCHARGE = ("under_", "cold_discharge", "hot_discharge")
_CURRENT = ("over_115_a", "over_220_a", "over_350_a", "fet_hot", "hard_closing")

EXCUSES: tuple = (
    (("fet_weld_chg",), _CHARGE,
     "the charge FET is welded, and the body diode of the discharge FET lets charge current pass: "
     "a second switch in the charge path would be needed"),
    (("fet_weld_dsg",), _DISCHARGE,
     "the discharge FET is welded, and the body diode of the charge FET lets discharge current "
     "pass: a second switch in the discharge path would be needed"),
    (("fet_weld_chg",), _CURRENT,
     "current through a welded FET can only be stopped by the fuse"),
    (("fet_weld_dsg",), _CURRENT,
     "current through a welded FET can only be stopped by the fuse"),
    (("shunt_sign",), ("over_350_a",),
     "the front end's short-circuit comparator looks at the same shunt, and for one direction "
     "only: a comparator with a shunt of its own would be needed"),
    (("shunt_gain",), ("over_350_a",),
     "the front end's short-circuit comparator looks at the same shunt: a comparator with a shunt "
     "of its own would be needed for the first 0.3 s"),
    (("shunt_gain",), ("over_220_a",),
     "the front end's over-current comparators look at the same shunt, and it takes up to 5 s "
     "until cells and terminals have told the current's gain from their own tolerance: a "
     "comparator with a shunt of its own would be needed"),
    (("shunt_gain=0.68..0.96",), ("over_115_a",),
     "FETs, leads and cells of good boards differ by 30 %: an error of the current's gain within "
     "that cannot be told from them, and 110 A are shown for up to 160 A: a second sensor of the "
     "current would be needed"),
)

# Faults under which a pack that would be well stays open, rightly: (faults, reason).
_BLIND = "the pack has found a sensor that lies, and does not work on readings it cannot trust"
DARK: tuple = (
    (("afe_silent", "afe_crc", "afe_stuck_low", "afe_stuck_high", "afe_late_ms",
      "afe_latency_us"), "the front end does not answer: nothing is known of the cells"),
    (("afe_bothoff",), "the line that opens both FETs without the front end does not work"),
    (("afe_brownout", "afe_config_lost"), "the front end is configured anew with both FETs open"),
    (("afe_frozen", "afe_frozen_part", "afe_reference", "cell_gain", "stack_gain", "pack_gain",
      "open_wire", "swapped_cells", "ntc_open", "ntc_short", "ntc_stuck", "shunt_gain",
      "shunt_offset_ma", "shunt_sign", "shunt_stuck_ma"), _BLIND),
    (("fet_weld_chg", "fet_weld_dsg", "fet_open_chg", "fet_open_dsg"),
     "a FET does not obey: the other one is opened too"),
    (("task_hang", "task_raise", "task_storm", "heap_full", "mcu_frozen", "mcu_clock_stopped",
      "supply_dip_ms"),
     "the controller starts anew, or a task of the protection keeps failing"),
    (("terminal_uf", "terminal_kohm"), "what hangs on the terminals is charged first"),
    (("flash_bad_block", "flash_full"), "settings that are lost keep the FETs open (SAF-09)"),
)
_START_S = 60                   # PRO-27: more than 3 starts in this time


def _waits_for_a_master(episode):
    return any(place.get("dip", 0) > 1
               for place in (episode.get("open", {}), *(step[0] for step in episode["steps"])))


def _starts_often(episode):
    starts = [0]
    now_ms = 0
    for command, ms in episode["steps"]:
        if command.get("cmd") == "reset" or command.get("on") is True:
            starts.append(now_ms)
        now_ms += ms
    return any(late - early <= 1000 * _START_S for early, late in zip(starts, starts[3:]))


# What an episode has that keeps a healthy pack open, rightly: (condition, reason).
DARK_BY: tuple = (
    (_waits_for_a_master, "a pack whose address says slave, and nobody is its master, waits "
     "join_alone_s before it closes onto a bar that may be others' (COM-09)"),
    (_starts_often, "a controller that starts more than 3 times in 60 s holds its FETs open for a "
     "minute (PRO-27)"),
)


def excuse(episode, harm):
    """The reason why *harm* is not the firmware's in this *episode*, or None."""
    values = {}
    for command, _ in episode["steps"]:
        for kind, value in (command.get("fault") or {}).items():
            if value is not None:
                values.setdefault(kind, []).append(str(value))
    if harm == "dark":
        for faults, reason in DARK:
            if any(fault in values for fault in faults):
                return reason
        for condition, reason in DARK_BY:
            if condition(episode):
                return reason
    for faults, kinds, reason in EXCUSES:
        if harm.startswith(kinds) and all(_is_set(fault, values) for fault in faults):
            return reason
    return None


def _is_set(fault, values):
    kind, _, text = fault.partition("=")
    low, within, high = text.partition("..")
    if within:
        return any(float(low) <= float(value) <= float(high) for value in values.get(kind, ()))
    return any(text in value for value in values.get(kind, ()))
