"""Charge voltage asked of the charger: the parameter's, less while a cell runs ahead (COM-05).

An unbalanced pack reaches its charge voltage with one cell too high. While the highest cell is
within _MARGIN_MV of its protection the voltage asked for falls below the present one, so that
the charger itself takes the current away; it comes back slowly, and never falls below the
voltage at which balancing goes on.

A pack with equal cells is full below the alarms (AM 2-6, 3-1): the voltage asked for leaves
BELOW_ALARM_MV of each cell to theirs. Balancing begins at the alarm's voltage (AM 3-1.12), so
that a pack that needs it is asked up to there, until it has begun.
"""

from bms.words.parameters import BELOW_ALARM_MV

_AT_START_MV = 2        # beyond bal_start_mv, where a pack that has to be balanced is taken
_AT_ALARM_MV = 5        # beyond the alarm at most
_MARGIN_MV = 80         # below the over-voltage protection of a cell
_GAIN = 10              # mV of the pack below the present voltage for each mV of the cell
_FALL_MV_S = 200
_RISE_MV_S = 20         # slower than a charger settles: the two do not hunt each other


class ChargeVoltage:
    """CVL of one pack.

    params, cells   Parameters; cells in series
    cvl_mv          what is asked for
    is_lowered      a cell holds it below the parameter
    wants_top       set before step(): balancing waits for a cell at its start voltage
                    (Balancing.wants_top)
    """

    def __init__(self, params, cells):
        self._params = params
        self._cells = cells
        self._taken = -1
        self._most_mv = self._least_mv = self._top_mv = self._lifted_mv = 0
        self._load()
        self.cvl_mv = self._most_mv
        self.wants_top = False

    def _load(self):
        p = self._params
        alarm_mv = p["cell_ov_alarm_mv"]
        self._most_mv = min(p["cvl_mv"], self._cells * (alarm_mv - BELOW_ALARM_MV))
        self._lifted_mv = max(self._most_mv, self._cells * min(
            p["bal_start_mv"] + _AT_START_MV, alarm_mv + _AT_ALARM_MV))
        self._least_mv = min(self._most_mv, p["bal_hold_mv"] * self._cells)
        self._top_mv = p["cell_ov_trip_mv"] - _MARGIN_MV
        self._taken = p.changed

    @property
    def is_lowered(self):
        return self.cvl_mv < self._most_mv

    def step(self, max_cell_mv, stack_mv, dt_ms):
        """Advance by *dt_ms* with believable readings."""
        if self._taken != self._params.changed:
            self._load()
            self.cvl_mv = min(self.cvl_mv, self._most_mv)
        target_mv = self._lifted_mv if self.wants_top else self._most_mv
        if max_cell_mv > self._top_mv:
            target_mv = min(target_mv, stack_mv - _GAIN * (max_cell_mv - self._top_mv))
        target_mv = max(target_mv, self._least_mv)
        dt_ms = min(dt_ms, 10_000)
        if target_mv < self.cvl_mv:
            self.cvl_mv = max(target_mv, self.cvl_mv - _FALL_MV_S * dt_ms // 1000)
        else:
            self.cvl_mv = min(target_mv, self.cvl_mv + _RISE_MV_S * dt_ms // 1000)
