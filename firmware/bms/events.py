"""The newest event records, in RAM: a ring of fixed rows (PRO-25, REC-02 data)."""

from array import array

NAMES = ("boot", "alarm", "alarm_clear", "trip", "release", "lock", "fault", "fault_clear",
         "state", "afe_configured", "afe_error", "afe_trip", "fet_mismatch", "task_error",
         "parameter", "dip", "reset", "unlock", "inverter_lost", "inverter_back",
         "held", "ports_locked", "can_error", "can_good", "balance", "balance_end",
         "slave_lost", "slave_back")
(BOOT, ALARM, ALARM_CLEAR, TRIP, RELEASE, LOCK, FAULT, FAULT_CLEAR, STATE, AFE_CONFIGURED,
 AFE_ERROR, AFE_TRIP, FET_MISMATCH, TASK_ERROR, PARAMETER, DIP, RESET, UNLOCK, INVERTER_LOST,
 INVERTER_BACK, HELD, PORTS_LOCKED, CAN_ERROR, CAN_GOOD, BALANCE,
 BALANCE_END, SLAVE_LOST, SLAVE_BACK) = range(len(NAMES))

NO_CELL = -1
_COLUMNS = 7            # seq, ticks_ms, event, item, cell, value, limit


class Events:
    """The last *size* records; seq counts from 1 and is never reused."""

    def __init__(self, size=128):
        self._size = size
        self._rows = array("i", (0 for _ in range(size * _COLUMNS)))
        self.newest = 0

    def add(self, now_ms, event, item=0, cell=NO_CELL, value=0, limit=0):
        """Record *event* of *item* with the value and limit that caused it."""
        self.newest += 1
        at = self.newest % self._size * _COLUMNS
        rows = self._rows
        rows[at] = self.newest
        rows[at + 1] = now_ms
        rows[at + 2] = event
        rows[at + 3] = item
        rows[at + 4] = cell
        rows[at + 5] = value
        rows[at + 6] = limit

    def oldest(self):
        """Sequence number of the oldest record still held; 0 if there is none."""
        return 0 if not self.newest else max(1, self.newest - self._size + 1)

    def get(self, seq, column):
        """One column of record *seq*, which must be in oldest()..newest."""
        return self._rows[seq % self._size * _COLUMNS + column]
