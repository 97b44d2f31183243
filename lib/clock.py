"""Wall time from a clock chip that may be absent, stopped or wrong (REC-01).

The chip is asked once a minute; between, and while it is silent, the controller's own ticks go
on from its last word. Time is in seconds since 2020-01-01 (civil.py).
"""

from civil import civil_of, is_date, seconds_of

SYNC_MS = 60_000
_MASK = (1 << 30) - 1
_TOLERANCE_S = 3            # between chip and ticks, over a minute
_BACK_S = 86_400            # a jump back further than this is not believed
_FIRST_S = 1                # before this nobody has set the chip
CHANGES = ("found", "lost", "jumped", "refused", "set")
FOUND, LOST, JUMPED, REFUSED, SET = range(len(CHANGES))


class Clock:
    """The first of *chips* that answers.

    chips     list of drivers: name, read(out) -> bool, write(...); OSError when silent
    name      of the chip, "none" if no one answers
    is_valid  the time is known
    """

    def __init__(self, chips):
        self._chips = chips
        self._chip = None
        self._out = [0] * 6
        self._base_s = 0
        self._base_ms = 0
        self._rest_ms = 0
        self._least_s = 0           # a time before this is not believed
        self._asked = False
        self._heard = False         # the chip's last answer was a time
        self.is_valid = False

    @property
    def name(self):
        return "none" if self._chip is None else self._chip.name

    def read(self):
        """What the chip says now, in seconds since 2020; None: no chip, or not a known time."""
        if self._chip is not None:
            return self._ask(self._chip)
        for chip in self._chips:
            seconds = self._ask(chip)
            if self._chip is not None:
                return seconds
        return None

    def _ask(self, chip):
        """As read(), of *chip*: the one from now on if it answers. Then nothing is allocated."""
        try:
            good = chip.read(self._out)
        except OSError:
            return None
        self._chip = chip
        year, month, day, hour, minute, second = self._out
        if not (good and is_date(year, month, day) and 0 <= hour <= 23
                and 0 <= minute <= 59 and 0 <= second <= 59):
            return None
        seconds = seconds_of(year, month, day, hour, minute, second)
        return seconds if seconds >= _FIRST_S else None

    def start(self, now_ms, least_s=0):
        """First look. least_s: the newest time that is on record; 0: none."""
        self._least_s = least_s
        return self._sync(now_ms)

    def now_s(self, now_ms):
        """Seconds since 2020 at ticks *now_ms*; 0: not known. Allocates nothing."""
        if not self.is_valid:
            return 0
        return self._base_s + (self._rest_ms + ((now_ms - self._base_ms) & _MASK)) // 1000

    def keep(self, now_ms):
        """To be called more often than SYNC_MS; returns None or what has changed:
        (FOUND | LOST | JUMPED | REFUSED, seconds it is off by)."""
        if self._asked and (now_ms - self._base_ms) & _MASK < SYNC_MS:
            return None
        return self._sync(now_ms)

    def _sync(self, now_ms):
        first = not self._asked
        self._asked = True
        was_valid = self.is_valid
        ms = self._rest_ms + ((now_ms - self._base_ms) & _MASK)
        expected_s = self._base_s + ms // 1000
        self._base_ms = now_ms
        chip_s = self.read()
        heard = self._heard
        self._heard = chip_s is not None
        if chip_s is None:
            self._base_s = expected_s       # ticks go on: better than nothing
            self._rest_ms = ms % 1000
            return (LOST, 0) if first or heard else None
        if not was_valid:
            if chip_s < self._least_s - _BACK_S:
                return None if heard else (REFUSED, chip_s - self._least_s)
            self._take(chip_s)
            return (FOUND, 0)
        off_s = chip_s - expected_s
        if off_s < -_BACK_S:                # ticks go on until the host sets the clock
            self._base_s = expected_s
            self._rest_ms = ms % 1000
            if self._least_s <= chip_s:
                self._least_s = expected_s
                return (REFUSED, off_s)
            return None
        if chip_s == expected_s:
            self._base_s = expected_s
            self._rest_ms = ms % 1000
            return None
        self._take(chip_s)
        return (JUMPED, off_s) if abs(off_s) > _TOLERANCE_S else None

    def _take(self, seconds):
        self._base_s = seconds
        self._rest_ms = 500                 # somewhere in that second
        self.is_valid = True

    def set(self, seconds, now_ms):
        """Set chip and time; OSError if no chip answers. Returns how far the time moved."""
        if self._chip is None:
            self.read()
        if self._chip is None:
            raise OSError("no clock chip answers")
        self._chip.write(*civil_of(seconds))
        moved_s = seconds - self.now_s(now_ms) if self.is_valid else 0
        self._base_s = seconds
        self._base_ms = now_ms
        self._rest_ms = 0
        self._least_s = 0
        self._asked = True
        self._heard = True
        self.is_valid = True
        return moved_s
