"""What joins the controllers of a fleet: one RS485 pair and one bus bar, a chunk of time at once.

What one sends in a chunk, the others hear the same length of time later, with every gap between
bytes as it was. Between chunks the bus bar is solved (tools/models/bus_bar.py).

Runs on MicroPython too, where the page has it (tools/web).
"""

from bus_bar import BusBar
from mocks.uart_wave import lasts_us

BAR_FIELDS = ("charger_mv", "charger_ma", "load_ma", "load", "current_ma")
DEFAULT_CHARGER_MV = 56_800
DEFAULT_CHARGER_MA = 50_000
CHUNK_US = 5_000
CHUNK_MANY_US = 10_000      # of more than four
_CLIENT = 100               # sender: the client at the port of module 0; the next one is 101
_MOST_AT_ONCE = 64          # bytes of the past that a byte may still be over
_SLOWEST_BYTE_US = 2 * 1042
_BURST_US = 3_000           # a pause so long ends a frame


class Bus:
    """The wire pair: everybody hears everybody else; two at a time are heard by nobody rightly.

    chance   what has random() and randrange(), as the module random
    noise    share of bytes spoilt
    loss     share of frames that vanish
    frames, lost_frames, collisions   counted since the start: frames by their first byte, bytes
             that two senders spoke over each other
    speeds   [(t_ms, bit/s)]: when the first module's frames were sent at another rate than before
    """

    def __init__(self, chance):
        self.noise = 0.0
        self.loss = 0.0
        self.frames = self.lost_frames = self.collisions = 0
        self.speeds = []
        self._random = chance
        self._held = []             # (start_us, sender, byte, bit/s), not yet passed on
        self._past = []             # those of the last time: a slow byte may still be over them
        self._ended_us = {}         # of each sender's newest byte
        self._drop = {}             # True: its present frame vanishes

    def put(self, sender, start_us, data, baud):
        """*sender* has put *data* on the wire from *start_us* on."""
        if sender == 0 and (not self.speeds or self.speeds[-1][1] != baud):
            self.speeds.append((start_us // 1000, baud))
        for i, byte in enumerate(data):
            self._held.append((start_us + lasts_us(i, baud), sender, byte, baud))

    def take(self, until_us):
        """What has completely passed by *until_us*: [(start_us, speakers, byte, bit/s)], spoilt
        ones with every sender that spoke at that time."""
        self._held.sort()
        ready = [entry for entry in self._held if entry[0] + lasts_us(1, entry[3]) <= until_us]
        near = self._past + self._held
        self._held = [entry for entry in self._held if entry[0] + lasts_us(1, entry[3]) > until_us]
        self._past = ready[-_MOST_AT_ONCE:]
        alone = len({entry[1] for entry in near}) == 1
        passed = []
        for start_us, sender, byte, baud in ready:
            end_us = start_us + lasts_us(1, baud)
            speakers = {sender}
            if not alone:
                speakers.update(other for at, other, _, rate in near
                                if at < end_us and start_us < at + lasts_us(1, rate))
            if start_us - self._ended_us.get(sender, -_BURST_US) >= _BURST_US:
                self.frames += 1
                self._drop[sender] = self._random.random() < self.loss
                self.lost_frames += self._drop[sender]
            self._ended_us[sender] = end_us
            if self._drop[sender]:
                continue
            if len(speakers) > 1:
                self.collisions += 1
                byte = self._random.randrange(256)
            elif self.noise and self._random.random() < self.noise:
                byte ^= self._random.randrange(1, 256)
            passed.append((start_us, speakers, byte, baud))
        return passed


class Wires:
    """Bus and bar of *count* controllers.

    bar, bus   BusBar and Bus
    chunk_us   time that passes at once
    bar_mv     None: nobody holds the bar | what each pack sees in the next chunk
    only_ma    of each pack: what it alone has to give, None: it is not alone
    """

    def __init__(self, count, chance):
        self.bar = BusBar()
        self.bus = Bus(chance)
        self.chunk_us = CHUNK_US if count <= 4 else CHUNK_MANY_US
        self.bar_mv = None
        self.only_ma = [None] * count
        self._clients_us = [0] * count      # when the client at each one's port is done
        self._hears = [[] for _ in range(count)]
        self._delay_us = 0

    def set_bar(self, fields):
        """Charger, load and current source are on the bar; ValueError for a short of it."""
        bar = self.bar
        if "load" in fields:
            if fields["load"] == "short":
                raise ValueError("load: a short of the whole bar is not modelled; "
                                 "use a single bench")
            bar.load_ma = 0.0
        if "load_ma" in fields:
            bar.load_ma = float(fields["load_ma"] or 0)
        if "current_ma" in fields:
            bar.force_ma = fields["current_ma"]
        given = [fields.get(name) for name in ("charger_mv", "charger_ma")]
        if "charger_mv" in fields or "charger_ma" in fields:
            if given == [None, None]:
                bar.charger_mv = bar.charger_ma = None
            else:
                old = bar.charger_mv or DEFAULT_CHARGER_MV, bar.charger_ma or DEFAULT_CHARGER_MA
                bar.charger_mv = float(old[0] if given[0] is None else given[0])
                bar.charger_ma = float(old[1] if given[1] is None else given[1])

    def hears(self, i):
        """What controller *i* hears in the next chunk, once: [(port, delay_us, data, bit/s)]."""
        heard, self._hears[i] = self._hears[i], []
        return heard

    def client_speaks(self, i, now_us, data, baud):
        """What a monitor at the parallel port of module *i* says goes to all of them."""
        start_us = max(now_us, self._clients_us[i])
        self._clients_us[i] = start_us + lasts_us(len(data), baud)
        self.bus.put(_CLIENT + i, start_us, data, baud)

    def settle(self, now_us, us, packs, client_hears=None):
        """A chunk of *us* has passed; *packs* are Stand.behind_bar() of each.

        client_hears   None | called with (i, data, bit/s) for what the client at *i* hears
        """
        self._pass_on(now_us, us, client_hears)
        self.bar_mv = self.bar.solve(packs)
        self.only_ma = [self.bar.only_ma(packs, i) for i in range(len(packs))]

    def _pass_on(self, now_us, us, client_hears):
        """Queue what was on the bus for the next chunk, delayed so that it keeps its rhythm."""
        self._delay_us = max(self._delay_us, us + _SLOWEST_BYTE_US)
        runs = []                   # [start_us, speakers, bytes, bit/s], without a gap inside
        for start_us, speakers, byte, baud in self.bus.take(now_us):
            if runs and (runs[-1][1], runs[-1][3]) == (speakers, baud) and abs(
                    runs[-1][0] + lasts_us(len(runs[-1][2]), baud) - start_us) < 20:
                runs[-1][2].append(byte)
            else:
                runs.append([start_us, speakers, bytearray((byte,)), baud])
        for start_us, speakers, data, baud in runs:
            feed = ("parallel", max(0, start_us + self._delay_us - now_us), bytes(data), baud)
            for i, hears in enumerate(self._hears):
                if i not in speakers:           # a driver that is on hears nothing
                    hears.append(feed)
                if client_hears is not None and _CLIENT + i not in speakers:
                    client_hears(i, bytes(data), baud)
