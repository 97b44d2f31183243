"""What is counted though nothing flows: the sensor's offset plus the self-consumption (SOC-03).

It is learnt while both FETs are open, in the first minutes of a pack to which nothing is
connected, and from one end of charge to another.
"""

from bms.charge.bounds import bounded, root, weight

_UNKNOWN_U_UA = 100_000     # before the first look at zero
_OFFSET_MOST_UA = 300_000   # a larger value is a real current, not sensor offset
_LEAST_U_UA = 2200          # what changes with temperature and from cell to cell
_DAY_U_UA = 10
_ZERO_FIRST_S = 8           # time with both FETs open that gives a first value
_ZERO_WINDOW_S = 300
_ZERO_MOST_UAH = 250_000
_ZERO_MOST_65536THS = 1900
_IDLE_S = 600               # both FETs closed and nothing but what may be the sensor's offset
_IDLE_U_UA = 2000           # a load that small looks the same
_IDLE_MOST_UA = 30_000
_IDLE_MOST_MA = 60          # the same of a scan, with its noise
_IDLE_NOISE = 47            # 100 uA: what the bound of a look at zero has for 10 s of noise
_IDLE_WORTH_U_UA = 8500     # what is known better than this is not looked at again,
_IDLE_LAST_U_UA = 27_000    # and of what is known worse a load could hide in it
_RESIDUAL_MIN = 10 * 1440   # between two ends of charge that teach the drift
_RESIDUAL_U_PERMILLE = 15   # two ends of charge, and what balancing took between them
_LONGEST_MIN = 1 << 27      # where counts of minutes stop


def zero_u_ua(ms):
    """Bound of the offset after both FETs were open for *ms*: noise, and what the sensor drifts.

    The AFE's data sheet gives a step of its 16 bits (7.6 uV) for three deviations in 250 ms;
    that is 10 mA at 0.25 mOhm, and less by the root of the number of them. Three of these
    deviations are allowed for: a board may be worse.
    """
    return 500 + 474_000 // root(ms)


class Drift:
    """self_ua    self-consumption of the pack, which its sensor does not see; self_u_ua: its bound

    zero_ua    what the last look at zero showed
    ua         offset and self-consumption together; u_ua: bound of what is not known of them
    is_news    something was learnt that is worth a record of its own
    lesson_mah, lesson_min   charge and minutes since the end of charge that began the present
               lesson; minutes -1: none began
    """

    def __init__(self, self_ua, self_u_ua):
        self.self_ua = self_ua
        self.self_u_ua = self_u_ua
        self.zero_ua = 0
        self.ua = self_ua
        self.u_ua = _UNKNOWN_U_UA
        self.is_news = False
        self.lesson_mah = 0
        self._lesson_uah = 0
        self.lesson_min = -1
        self._rest = 0              # uA min, 0..59
        self._zero_uah = 0
        self._zero_ms = -1          # -1: a FET is closed | ms since both were seen open
        self._idle_uah = self._idle_ms = 0
        self._idle_ua = self._idle_last_ua = self._idle_steps = 0

    @property
    def offset_ua(self):
        """What the sensor is believed to show at zero current."""
        return self.ua - self.self_ua

    @property
    def is_known(self):
        """The sensor's offset was looked at, now or before it was stored."""
        return self.u_ua < _UNKNOWN_U_UA // 2

    def uah(self, minutes):
        """What it amounts to in the next *minutes*; what is less than 1 uAh is kept."""
        drift = self._rest + self.ua * minutes
        self._rest = drift % 60
        return drift // 60

    def age(self):
        """A day makes it a little less certain."""
        self.u_ua = min(self.u_ua + _DAY_U_UA, _UNKNOWN_U_UA)

    def look(self, charge_uah, dt_ms, current_ma, fets_open):
        """A step of counting; *fets_open*: both FETs were open all the time."""
        if fets_open:
            self._look_at_zero(charge_uah, dt_ms)
        elif self._zero_ms >= 0:
            self._end_of_zero()
        elif _IDLE_WORTH_U_UA < self.u_ua <= _IDLE_LAST_U_UA:
            self._look_at_idle(charge_uah, dt_ms, current_ma)

    def _take(self, ua, u_ua):
        old = min(self.u_ua // 10, 10_000)
        new = min(u_ua // 10, 10_000)
        # where nothing was known, nothing of it is mixed in
        part = 256 if self.u_ua >= _UNKNOWN_U_UA else weight(old, new)
        self.ua += (ua - self.ua) * part // 256
        old = old * (256 - part) // 256
        new = new * part // 256
        self.u_ua = max(_LEAST_U_UA, 10 * root(old * old + new * new))

    def _take_zero(self, ua, u_ua):
        """A look at zero showed *ua*, at most *u_ua* off."""
        self.zero_ua = ua
        self._take(ua + self.self_ua, self.self_u_ua + u_ua)

    def _look_at_zero(self, charge_uah, dt_ms):
        """Both FETs are open: what is counted now is the sensor's offset."""
        if self._zero_ms < 0 or abs(charge_uah) > _ZERO_MOST_UAH:
            # the first step may hold current of before
            self._zero_ms = self._zero_uah = 0
            return
        self._zero_uah += charge_uah
        self._zero_ms += dt_ms
        if self._zero_ms >= _ZERO_WINDOW_S * 1000:
            self._end_of_zero()
            self._zero_ms = self._zero_uah = 0

    def see_zero(self, charge_65536ths, ms):
        """Both FETs were open for *ms* (500..5000): the first value of a sensor nobody knows.

        charge_65536ths  what the integrator moved meanwhile, in 1/65536 of 10 mAh
        returns   True if that can be an offset
        """
        if abs(charge_65536ths) > _ZERO_MOST_65536THS:
            return False
        ua = charge_65536ths * 549_316 // ms
        if abs(ua) > _OFFSET_MOST_UA:
            return False
        self._take_zero(ua, zero_u_ua(ms))
        self.is_news = True
        return True

    def move_zero(self, ua):
        """The calibration was changed: from now on the sensor shows *ua* more at zero current."""
        self.ua += ua
        self.is_news = True

    def _end_of_zero(self):
        seconds = self._zero_ms // 1000
        self._zero_ms = -1
        if not _ZERO_FIRST_S <= seconds <= 3600 or abs(self._zero_uah) > _ZERO_MOST_UAH:
            return
        ua = self._zero_uah * 3600 // seconds
        if abs(ua) <= _OFFSET_MOST_UA:
            self._take_zero(ua, zero_u_ua(1000 * seconds))

    def _look_at_idle(self, charge_uah, dt_ms, current_ma):
        """FETs closed, and for ten minutes no more flows than the first look may be off by.

        That is a pack to which nothing is connected yet, after a look that was too short to know
        the offset well. How far off a look of its length is, follows from the noise seen now: so
        a load is taken for offset only if it is smaller than that, and the better the sensor, the
        smaller.
        """
        step_s = dt_ms // 1000
        if (not 8 <= step_s <= 18 or abs(charge_uah) > 1000
                or abs(current_ma - self.offset_ua // 1000) > _IDLE_MOST_MA):
            self._idle_ms = 0
            return
        ua = charge_uah * 36_000 // (dt_ms // 100)
        if not self._idle_ms:
            self._idle_uah = self._idle_ua = self._idle_steps = 0
        else:
            self._idle_ua += abs(ua - self._idle_last_ua)
            self._idle_steps += 1
        self._idle_last_ua = ua
        self._idle_uah += charge_uah
        self._idle_ms += dt_ms
        if self._idle_ms < _IDLE_S * 1000:
            return
        ua = self._idle_uah * 3600 // (self._idle_ms // 1000)
        self._idle_ms = 0
        noise_ua = self._idle_ua // self._idle_steps    # 1.13 deviations of a step
        look_ua = self.u_ua - self.self_u_ua - 500
        most_ua = _IDLE_U_UA + noise_ua * 8 // 3 * (look_ua // 100) // _IDLE_NOISE
        if abs(ua - self.offset_ua) <= min(most_ua, _IDLE_MOST_UA):
            self._take_zero(ua, _IDLE_U_UA)
            self.is_news = True

    # -- from one end of charge to another ----------------------------------------------------

    def count(self, moved_uah, minutes):
        """So much was moved in *minutes*: the lesson goes on, if one began."""
        if self.lesson_min >= 0:
            self._lesson_uah += moved_uah
            if not 0 <= self._lesson_uah < 1000:
                self.lesson_mah = bounded(self.lesson_mah + self._lesson_uah // 1000)
                self._lesson_uah %= 1000
            self.lesson_min = min(self.lesson_min + minutes, _LONGEST_MIN)

    def learn(self, full_mah):
        """From one end of charge to another nothing has moved: what was counted is drift.

        Both are taken where they are first seen: charging on at full puts more in.
        """
        if self.lesson_min < 0:
            self.lesson_mah = self._lesson_uah = self.lesson_min = 0
        elif self.lesson_min >= _RESIDUAL_MIN:
            hours = self.lesson_min // 60
            u_ua = full_mah * _RESIDUAL_U_PERMILLE // hours
            if abs(self.lesson_mah) <= full_mah // 2:
                ua = self.ua + self.lesson_mah * 1000 // hours
                if u_ua < 100_000 and abs(ua) < _OFFSET_MOST_UA:
                    self._take(ua, u_ua)
                    self.is_news = True
            self.lesson_mah = self._lesson_uah = self.lesson_min = 0
