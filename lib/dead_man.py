"""The last word on both FETs when nobody is in charge any more (SAF-08), for simulated boards.

An interrupt comes each PERIOD_MS, whatever the program is doing. It feeds the watchdog as long as
the program has shown life within the last LIFE_MS; after that it forces both FETs off and leaves
the watchdog hungry, so that the controller restarts. While both FETs are forced off anyway, at a
start or before a sleep, it waits GRACE_MS. An interrupt that comes no more, of a frozen processor
say, is missed by the watchdog after WATCHDOG_MS. Only calls of the interrupt are counted: the time
in which a flash operation keeps interrupts away is the watchdog's, which bridges one erase.

This is the definition; dead_man_rp2.py does the same in machine code.
"""

from micropython import const

PERIOD_MS = const(100)
LIFE_MS = const(700)
GRACE_MS = const(8000)
WATCHDOG_MS = const(900)
PROMPT_MS = const(600_000)      # SAF-10: without input
_LIFE = LIFE_MS // PERIOD_MS
_GRACE = GRACE_MS // PERIOD_MS


class DeadMan:
    """Counts calls of the interrupt.

    feed_watchdog   function without arguments
    bothoff         pin: 0 forces both FETs off; called without arguments gives the level

    dropped         it has acted: from then on nothing helps but the reset
    """

    def __init__(self, feed_watchdog, bothoff):
        self._feed = feed_watchdog
        self._bothoff = bothoff
        self._life = 0
        self._grace = _GRACE
        self.dropped = False

    def feed(self):
        """Every task was in time."""
        self._life = _LIFE
        self._grace = _GRACE

    def hold_open(self):
        """The prompt is used: no FET may be closed, and the reset is put off (SAF-10)."""
        self._life = 0
        self._grace = PROMPT_MS // PERIOD_MS

    def interrupt(self):
        """Each PERIOD_MS."""
        if self.dropped or not self._life and self._bothoff():
            self._bothoff(0)
            self.dropped = True
        elif self._life:
            self._life -= 1
            self._feed()
        elif self._grace:
            self._grace -= 1
            self._feed()
