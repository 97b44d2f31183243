"""Wall time from a clock chip that may be absent, stopped or wrong (REC-01).

The chip is looked at three times a minute; between, and while it is silent, the controller's own
ticks go on from its last word. A reading that is off is believed, forward or back, only when three
readings a minute apart agree on it. Time is in seconds since 2020-01-01 (civil.py).
"""

from civil import civil_of, is_date, seconds_of
from ticks import MASK

LOOK_MS = 20_000
_TOLERANCE_S = 3            # between chip and ticks
_APART_MS = 60_000          # time between two readings that count ...
_AGREEING = 3               # ... and how many of them have to agree on a jump
_SILENT = 2                 # looks in a row without an answer: the chip is lost
_BACK_S = 86_400            # at a start: earlier than the newest record by this is a jump back
_FIRST_S = 1                # before this nobody has set the chip
CHANGES = ("found", "lost", "jumped", "refused", "set")
FOUND, LOST, JUMPED, REFUSED, SET = range(len(CHANGES))


class Clock:
    """The first of *chips* that answers.

    chips     list of drivers: name, read(out) -> bool, write(...); OSError when silent
    name      of the chip, "none" if no one answers
    is_valid  the time is known
    is_sound  and the chip answers and agrees with it
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
        self._silent = 0            # looks in a row without a time, up to _SILENT
        self._off_s = 0             # what the readings of the jump in question are off by
        self._agreed = 0            # how many agree on it; 0: there is none
        self._agreed_ms = 0         # when the last of them was read
        self.is_valid = False

    @property
    def is_sound(self):
        return self.is_valid and self._silent < _SILENT and not self._agreed

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
        return self._base_s + (self._rest_ms + ((now_ms - self._base_ms) & MASK)) // 1000

    def keep(self, now_ms):
        """To be called more often than LOOK_MS; returns None or what has changed:
        (FOUND | LOST | JUMPED | REFUSED, seconds it is off by)."""
        if self._asked and (now_ms - self._base_ms) & MASK < LOOK_MS:
            return None
        return self._sync(now_ms)

    def _sync(self, now_ms):
        first = not self._asked
        self._asked = True
        ms = 0 if first else self._rest_ms + ((now_ms - self._base_ms) & MASK)
        self._base_ms = now_ms
        self._base_s += ms // 1000          # ticks go on; from 0 while no time is known
        self._rest_ms = ms % 1000
        chip_s = self.read()
        if chip_s is None:
            return self._miss(first)
        self._silent = 0
        if not self.is_valid:
            if chip_s < self._least_s - _BACK_S:
                return self._doubt(chip_s, chip_s - self._least_s - self._base_s, now_ms)
            self._take(chip_s)
            return (FOUND, 0)
        off_s = chip_s - self._base_s
        if abs(off_s) > _TOLERANCE_S:
            return self._doubt(chip_s, off_s, now_ms)
        self._agreed = 0
        if off_s:
            self._take(chip_s)
        return None

    def _miss(self, first):
        """The chip does not answer, or not with a time."""
        self._agreed = 0
        if self._silent < _SILENT:
            self._silent = _SILENT if first else self._silent + 1
            if self._silent == _SILENT:
                return (LOST, 0)
        return None

    def _doubt(self, chip_s, off_s, now_ms):
        """A reading that is off by *off_s*: counted, until enough agree."""
        before = self._agreed
        if not before or abs(off_s - self._off_s) > _TOLERANCE_S:
            self._off_s = off_s
            self._agreed = 1
            self._agreed_ms = now_ms
            return None if before else (REFUSED, off_s)
        if (now_ms - self._agreed_ms) & MASK >= _APART_MS:
            self._agreed_ms = now_ms
            self._agreed = before + 1
            if self._agreed >= _AGREEING:
                self._take(chip_s)
                return (JUMPED, off_s)
        return None

    def _take(self, seconds):
        self._base_s = seconds
        self._rest_ms = 500                 # somewhere in that second
        self._agreed = 0
        self._least_s = 0
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
        self._silent = self._agreed = 0
        self.is_valid = True
        return moved_s
