"""The newest event records, in RAM: a ring of fixed rows (PRO-25, REC-02 data).

Numbers of events are never given to another one: records in flash keep them for years.
"""

from array import array

NAMES = ("boot", "alarm", "alarm_clear", "trip", "release", "lock", "fault", "fault_clear",
         "state", "afe_configured", "afe_error", "afe_trip", "fet_mismatch", "task_error",
         "parameter", "dip", "reset", "unlock", "inverter_lost", "inverter_back",
         "held", "ports_locked", "can_error", "can_good", "balance", "balance_end",
         "slave_lost", "slave_back", "first_out", "clock", "param_dropped", "store_error",
         "sleep", "wake", "sleep_refused", "store_lost", "ports_unlocked", "pin_open",
         "pin_wrong", "pin_set", "profile", "clear", "provoke", "stored", "update", "update_key")
# what a person reads, in the same order
WORDS = ("the controller started", "alarm", "the alarm ended", "protection",
         "the protection released", "the protection is locked", "fault", "the fault ended",
         "the state changed", "the cell monitor is configured",
         "the cell monitor has to be configured anew", "the cell monitor's own protection acted",
         "a FET differs from its command", "a task failed", "a parameter was changed",
         "the DIP switch changed", "the button ordered a reset", "the protection is unlocked",
         "the inverter fell silent", "the inverter is back", "the host holds FETs off",
         "the ports are locked for writing", "CAN fails", "CAN works again", "balancing began",
         "balancing ended", "a slave fell silent", "a slave is back",
         "first cause of switching off", "the clock changed", "a stored value was dropped",
         "the flash refused to store", "the pack went to sleep", "the pack woke",
         "the pack stayed awake instead of sleeping", "a stored record is lost",
         "the ports are unlocked for writing", "the PIN was given", "a wrong PIN was given",
         "the PIN was set or removed", "another profile was chosen", "faults were cleared",
         "a fault was provoked", "a record was stored", "update of the firmware",
         "the owner's key for updates was set or removed")
(BOOT, ALARM, ALARM_CLEAR, TRIP, RELEASE, LOCK, FAULT, FAULT_CLEAR, STATE, AFE_CONFIGURED,
 AFE_ERROR, AFE_TRIP, FET_MISMATCH, TASK_ERROR, PARAMETER, DIP, RESET, UNLOCK, INVERTER_LOST,
 INVERTER_BACK, HELD, PORTS_LOCKED, CAN_ERROR, CAN_GOOD, BALANCE, BALANCE_END, SLAVE_LOST,
 SLAVE_BACK, FIRST_OUT, CLOCK, PARAM_DROPPED, STORE_ERROR, SLEEP, WAKE,
 SLEEP_REFUSED, STORE_LOST, PORTS_UNLOCKED, PIN_OPEN, PIN_WRONG, PIN_SET, PROFILE, CLEAR,
 PROVOKE, STORED, UPDATE, UPDATE_KEY) = range(len(NAMES))

# items of an update
UPDATE_STEPS = ("it began", "the image is whole", "the new image is started",
                "the image before is started", "given up", "confirmed", "refused")

NO_CELL = -1
# columns; CONTEXT is direction | state << 4 | SOC in 0.01 % << 8
SEQ, TICKS_MS, EVENT, ITEM, CELL, VALUE, LIMIT, CONTEXT, CURRENT_MA = range(9)
_COLUMNS = 9
_NO_SOC = (1 << 14) - 1


class Events:
    """The last *size* records; seq counts from 1, or from what an earlier start ended with, and
    is never reused.

    source   None | what tells the circumstances: direction, state, soc, measured_ma()
    newest   seq of the newest record, 0: none
    """

    def __init__(self, size=128, source=None):
        self._size = size
        self._source = source
        self._rows = array("i", (0 for _ in range(size * _COLUMNS)))
        self._first = 1
        self.newest = 0

    def go_on(self, newest):
        """Count on from *newest*, the last record of an earlier start; before the first add()."""
        self.newest = newest
        self._first = newest + 1

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
        source = self._source
        if source is None:
            rows[at + 7] = _NO_SOC << 8
            rows[at + 8] = 0
        else:
            soc = source.soc.cpct if source.soc.is_set else _NO_SOC
            rows[at + 7] = source.direction | source.state << 4 | soc << 8
            rows[at + 8] = source.measured_ma()

    def oldest(self):
        """Sequence number of the oldest record still held; 0 if there is none."""
        oldest = max(self._first, self.newest - self._size + 1)
        return oldest if oldest <= self.newest else 0

    def get(self, seq, column):
        """One column of record *seq*, which must be in oldest()..newest."""
        return self._rows[seq % self._size * _COLUMNS + column]
