"""The speed of the bus between packs (COM-01): 9600 bit/s until all on it agree to more.

Each answer tells the rate up to which its sender goes along (parallel_baud). When every slave that
is known does, nobody has an address twice, and nothing foreign was heard for a minute, the master
says SET_SPEED twice and all change. It is back at 9600 for
    whatever is no frame of ours    a monitor at 9600 is rubbish at 38400: the master says so,
                                    changes and listens, so that its next try is answered
    a slave that does not answer    it is looked for at 9600, and the bus is raised again
    a pack that came later          it hears rubbish at 9600 and says HELLO into it
    a master that is heard no more  each slave goes back by itself within a second
"""

from micropython import const
from ticks import MASK

RATES = (9600, 19_200, 38_400, 57_600)      # at 115200 a monitor's bits are breaks, and unheard

LISTEN_MS = const(1500)     # after something foreign, for its next try
_ODD = const(3)             # more foreign bytes than noise makes of one frame
_RUBBISH_MS = const(10_000)     # rubbish that nobody explains keeps the bus at 9600
_FOREIGN_MS = const(60_000)     # ... and a whole frame of somebody else
_MONITOR_ASKS_MS = const(300)   # until it has its answer
_LEARN_MS = const(2500)     # for a second request of a monitor: how often does it ask?
_SHORTEST_MS = const(700)   # a rhythm that leaves time for the own round
_BEFORE_MS = const(250)     # the next request: nothing begins that would not be over by then
_AFTER_MS = const(120)
_HOLD_MS = const(1200)      # what was spoilt is tried again by then
_BETWEEN_MS = const(600)    # at least, between two holds: time for the own round
_SELDOM_MS = const(5_000)   # ... while no monitor is known
_FAILED = 3                 # slaves that did not hear the higher rate: it is not for this wire
_FAILED_MS = const(600_000)
_WELL_MS = const(60_000)
_SILENT_MS = const(1000)    # at a higher rate, without a word of the master
_LOST_MS = const(1500)      # at 9600: time with rubbish and without a master
_FRESH_MS = const(2000)     # rubbish was heard not longer ago
_HELLO_MS = const(600)
_MOST_DOUBLED = 5


def rate_of(baud):
    """Number in RATES of the highest that is not above *baud*."""
    rate = 0
    for i in range(len(RATES)):
        if RATES[i] <= baud:
            rate = i
    return rate


class MasterSpeed:
    """What the master knows of the bus's speed.

    rate      now, number in RATES
    wanted    by the newest announcement
    saying    how often SET_SPEED still has to be said
    visits    addresses (a bit each) to be asked first, at 9600
    """

    def __init__(self, pack):
        self._pack = pack
        self.start(0)

    def start(self, now_ms):
        """At 9600, and nothing is known."""
        self.rate = self.wanted = self.saying = 0
        self.visits = 0
        self._back = False          # raised again as soon as visits are made
        self._alarm_ms = -1         # -1: none | when something made the higher rate impossible
        self._rubbish_ms = -1       # -1: never | when rubbish was heard
        self._monitor_ms = -1       # ... a whole frame of somebody else
        self._asked_ms = now_ms     # ... its newest request
        self._period_ms = 0         # of its requests, 0: not known
        self._learnt = False        # ... or no second one came in time
        self._hold_ms = now_ms      # when the newest hold began
        self._hold_for_ms = 0
        self._spoke = True          # the master, since the newest hold began
        self._spoke_ms = now_ms     # when it did
        self._patience_ms = _HOLD_MS    # it is silent no longer, whatever goes on
        self._failed = 0
        self._failed_ms = -1        # -1: not | when it was given up
        self._raised_ms = now_ms
        self._agreed = bytearray(16)    # rate each address goes along with

    def _within(self, since_ms, now_ms, ms):
        return since_ms >= 0 and (now_ms - since_ms) & MASK < ms

    # -- what comes

    def agrees(self, address, rate):
        """The slave at *address* goes along up to *rate*."""
        self._agreed[address] = rate

    def foreign(self, now_ms, asks):
        """A whole frame of somebody else. asks: a request that somebody may answer now."""
        is_new = not self._is_monitored(now_ms)
        self._monitor_ms = now_ms & MASK
        if asks:
            self._learn(now_ms, is_new)
            if self._spoke:             # who asks without an end does not silence the master
                self._hold(now_ms, _MONITOR_ASKS_MS)
        elif is_new or not self._period_ms and not self._learnt:
            self._learnt = True
            self._hold(now_ms, _LEARN_MS)
        else:
            self._hold_for_ms = 0
        if self.rate:
            self._alarm(now_ms)

    def _learn(self, now_ms, is_new):
        """A monitor asks: in what rhythm?"""
        gap_ms = (now_ms - self._asked_ms) & MASK
        self._asked_ms = now_ms & MASK
        if is_new:
            self._period_ms = 0
            self._learnt = False
            return
        self._learnt = True
        if self._period_ms:             # some may have been spoilt
            gap_ms //= max(1, (gap_ms + self._period_ms // 2) // self._period_ms)
        if _SHORTEST_MS <= gap_ms < _FOREIGN_MS:
            self._period_ms = gap_ms

    def is_expected(self, now_ms):
        """True while the next request of a monitor is due."""
        if not self._period_ms or self.rate or not self._is_monitored(now_ms):
            return False
        since_ms = (now_ms - self._asked_ms) & MASK
        phase_ms = since_ms % self._period_ms
        return (phase_ms > self._period_ms - _BEFORE_MS
                or since_ms > _MONITOR_ASKS_MS and phase_ms < _AFTER_MS)

    @property
    def is_shared(self):
        """True at 9600 with a monitor: there is little time for addresses where nobody is."""
        return not self.rate and self._monitor_ms >= 0

    def rubbish(self, now_ms, odd):
        """No frame; *odd* of its bytes are in none of ours."""
        if odd >= _ODD:
            self._rubbish_ms = now_ms & MASK
            if self.rate:
                self._alarm(now_ms)
        if odd >= _ODD or self._is_monitored(now_ms):
            self._spoilt(now_ms)

    def spoke(self, now_ms):
        """The master has asked something."""
        self._spoke = True
        self._spoke_ms = now_ms

    def unfit(self, now_ms, is_unfit):
        """Nobody to talk to, or two with one address."""
        if is_unfit and self.rate:
            self._alarm(now_ms)

    def _alarm(self, now_ms):
        if self._alarm_ms < 0:
            self._alarm_ms = now_ms & MASK

    def _is_monitored(self, now_ms):
        return self._within(self._monitor_ms, now_ms, _FOREIGN_MS)

    def _spoilt(self, now_ms):
        """At 9600 something was spoilt or did not come: perhaps somebody else spoke."""
        if self.rate or self.saying:
            return
        after = (_BETWEEN_MS if self._is_monitored(now_ms) else _SELDOM_MS) + self._hold_for_ms
        if (now_ms - self._hold_ms) & MASK >= after:
            self._hold(now_ms, _HOLD_MS)

    def _hold(self, now_ms, ms):
        self._hold_ms = now_ms & MASK
        self._hold_for_ms = ms
        self._patience_ms = max(_HOLD_MS, ms)
        self._spoke = False

    def hello(self, address, now_ms):
        """A pack of ours says that it hears rubbish: that explains what was foreign."""
        self.visits |= 1 << address
        self._hold_for_ms = 0
        self._rubbish_ms = -1

    def silent(self, address, now_ms):
        """A slave that counts does not answer."""
        if self.rate:
            self.visits |= 1 << address
            self._alarm(now_ms)
        elif self._is_monitored(now_ms):
            self._spoilt(now_ms)

    def found(self, now_ms):
        """A slave that had been silent at the higher rate answers at 9600."""
        self._failed += 1
        if self._failed >= _FAILED:
            self._failed = 0
            self._failed_ms = now_ms & MASK

    # -- what follows

    def visit(self):
        """An address to be asked first, 0: none."""
        if self.rate:
            return 0
        for address in range(16):
            if self.visits >> address & 1:
                self.visits &= ~(1 << address)
                return address
        return 0

    def holds(self, now_ms):
        """True while the master listens only."""
        if (now_ms - self._spoke_ms) & MASK > self._patience_ms:
            return False
        return (now_ms - self._hold_ms) & MASK < self._hold_for_ms or self.is_expected(now_ms)

    def falls(self, now_ms):
        """Look whether the bus has to go back to 9600. True if at once, without a word."""
        if self.rate and self._alarm_ms >= 0:
            if (now_ms - self._alarm_ms) & MASK > 500:     # no gap to say it in
                return True
            if not self.saying or self.wanted:
                self.wanted = 0
                self.saying = 2
        return False

    def raises(self, now_ms, online, other):
        """Begin to raise the speed if all agree.

        online  the fleet's modules, the own first
        other   True if anything speaks against it
        """
        if self.rate or self.saying or self.visits or other or len(online) < 2:
            return
        if (self._is_monitored(now_ms) or self._within(self._rubbish_ms, now_ms, _RUBBISH_MS)
                or self._within(self._failed_ms, now_ms, _FAILED_MS)):
            return
        self._monitor_ms = self._rubbish_ms = self._failed_ms = -1
        rate = rate_of(self._pack.params["parallel_baud"])
        for i in range(1, len(online)):
            rate = min(rate, self._agreed[online[i].module])
        if rate:
            self.wanted = rate
            self.saying = 2

    @property
    def returns(self):
        """True after a visit: raised again without waiting for a whole round."""
        return self._back and not self.rate

    def changed(self, now_ms):
        """The last word is said: the speed is what was wanted."""
        now_ms &= MASK
        if self.wanted:
            self._back = False
            self._raised_ms = now_ms
        elif self.rate:
            self._back = True
            if not self._within(self._raised_ms, now_ms, _WELL_MS):
                self._failed = 0
            if self._rubbish_ms >= 0:
                self._hold(now_ms, LISTEN_MS)
        self.rate = self.wanted
        self.saying = 0
        self._alarm_ms = -1


class SlaveSpeed:
    """The speed as a slave sees it. rate: now, number in RATES."""

    def __init__(self, pack, tag):
        self._pack = pack
        self._dice_ms = (tag ^ tag >> 9) & 0xFF
        self.start(0)

    def start(self, now_ms):
        """At 9600; nobody was heard."""
        self.rate = 0
        self._noise_ms = -1
        self._hello_ms = now_ms
        self._hellos = 0

    def limit(self):
        """The highest rate that this pack goes along with."""
        return rate_of(self._pack.params["parallel_baud"])

    def told(self, rate):
        """By the master."""
        if rate <= self.limit():
            self.rate = rate

    def master(self):
        """It was heard."""
        self._hellos = 0
        self._noise_ms = -1

    def noise(self, now_ms):
        """Rubbish."""
        if not self.rate:
            self._noise_ms = now_ms & MASK

    def look(self, silent_ms):
        """The master was heard *silent_ms* ago."""
        if self.rate and silent_ms >= _SILENT_MS:
            self.rate = 0

    def is_hello(self, now_ms, silent_ms):
        """True if it is time to say HELLO into what is rubbish here."""
        if (self.rate or self._noise_ms < 0 or silent_ms < _LOST_MS
                or (now_ms - self._noise_ms) & MASK > _FRESH_MS
                or (now_ms - self._hello_ms) & MASK
                < (_HELLO_MS + self._dice_ms) << self._hellos // 4):
            return False
        self._hello_ms = now_ms
        self._hellos = min(self._hellos + 1, 4 * _MOST_DOUBLED)
        return True
