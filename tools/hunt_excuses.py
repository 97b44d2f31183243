"""What no firmware on this board can prevent, as data: the only harm that `make hunt` excuses.

A row is (faults, harm, reason). It excuses a kind of harm, or all kinds that begin with the text,
when every one of its *faults* is set at some time of the episode. A fault "kind=text" has to have
a value whose text contains *text*.

Each reason says what hardware would be needed instead. A row without one is a bug of ours.
"""

_ONE_FET = ("the {} FET is welded and the other one cannot stop a current in its direction, since "
            "its body diode conducts that way; a second switch or a fuse would be needed")
_CHG = _ONE_FET.format("charge")
_DSG = _ONE_FET.format("discharge")
_OVER_CURRENT = "current through a welded FET can only be stopped by the fuse"
_BROKEN = "a FET that does not conduct cannot serve the load"

EXCUSES = (
    (("fet_weld_chg",), "cell_over", _CHG),
    (("fet_weld_chg",), "charge", _CHG),
    (("fet_weld_chg",), "over_current", _OVER_CURRENT),
    (("fet_weld_chg",), "fet_hot", _OVER_CURRENT),
    (("fet_weld_dsg",), "cell_under", _DSG),
    (("fet_weld_dsg",), "discharge", _DSG),
    (("fet_weld_dsg",), "over_current", _OVER_CURRENT),
    (("fet_weld_dsg",), "inrush", _OVER_CURRENT),
    (("fet_weld_dsg",), "fet_hot", _OVER_CURRENT),
)
# A pack with a broken part that it has found stays dark: it may not serve a load on readings it
# cannot trust. `dark` is judged in episodes without a fault of the bench alone.
DARK = "dark"


def excuse(episode, harm):
    """The reason why *harm* is not the firmware's in this *episode*, or None."""
    values = {}
    for command, _ in episode["steps"]:
        for kind, value in (command.get("fault") or {}).items():
            if value is not None:
                values.setdefault(kind, []).append(str(value))
    if harm == DARK and episode["faults"]:
        return "the pack has found a broken part and stays open"
    for faults, kinds, reason in EXCUSES:
        if harm.startswith(kinds) and all(_is_set(fault, values) for fault in faults):
            return reason
    return None


def _is_set(fault, values):
    kind, _, text = fault.partition("=")
    return any(text in value for value in values.get(kind, ()))
