"""Several controllers on one parallel RS485 bus and one bus bar, for the rig's `fleet`.

All modules advance together, a chunk of time each: what one sends in a chunk, the others hear
the same length of time later, with every gap between bytes as it was. Between chunks the bus bar
is solved (tools/models/bus_bar.py) and its voltage given to every pack for the next one.
"""

import random
import sys

from rig_targets import TOOLS, TargetError

sys.path.insert(0, str(TOOLS / "models"))

from bus_bar import BusBar              # noqa: E402

BAR_FIELDS = ("charger_mv", "charger_ma", "load_ma", "load", "current_ma")
BUS_FAULTS = ("parallel_noise", "parallel_loss")
DEFAULT_CHARGER_MV = 56_800
DEFAULT_CHARGER_MA = 50_000
_BITS = 10
_BURST_US = 3_000           # a pause so long ends a frame
_CHUNK_US = {1: 5_000, 2: 5_000, 3: 5_000, 4: 5_000}
_CHUNK_MANY_US = 10_000


class Bus:
    """The wire pair: everybody hears everybody else; two at a time are heard by nobody rightly.

    baud     bit/s
    noise    share of bytes spoilt
    loss     share of frames that vanish
    frames, lost_frames, collisions   counted since the start: frames by their first byte, bytes
             that two senders spoke over each other
    """

    def __init__(self, modules, baud, seed):
        self.byte_us = _BITS * 1_000_000 // baud
        self.noise = 0.0
        self.loss = 0.0
        self.frames = self.lost_frames = self.collisions = 0
        self._modules = modules
        self._random = random.Random(f"parallel {seed}")
        self._held = []                         # (start_us, sender, byte), not yet passed on
        self._ended_us = [-_BURST_US] * modules     # of each sender's newest byte
        self._drop = [False] * modules              # its present frame vanishes

    def put(self, sender, start_us, data):
        """*sender* has put *data* on the wire from *start_us* on."""
        for i, byte in enumerate(data):
            self._held.append((start_us + i * self.byte_us, sender, byte))

    def take(self, until_us):
        """What has completely passed by *until_us*: [(start_us, speakers, byte)], spoilt ones
        with every sender that spoke at that time."""
        horizon = until_us - self.byte_us
        ready = sorted(entry for entry in self._held if entry[0] <= horizon)
        self._held = [entry for entry in self._held if entry[0] > horizon]
        passed = []
        near = ready + self._held
        for i, (start_us, sender, byte) in enumerate(ready):
            speakers = {sender}.union(
                other for at, other, _ in near[max(0, i - self._modules):i + self._modules]
                if abs(at - start_us) < self.byte_us)
            if start_us - self._ended_us[sender] > _BURST_US:
                self.frames += 1
                self._drop[sender] = self._random.random() < self.loss
                self.lost_frames += self._drop[sender]
            self._ended_us[sender] = start_us + self.byte_us
            if self._drop[sender]:
                continue
            if len(speakers) > 1:
                self.collisions += 1
                byte = self._random.randrange(256)
            elif self.noise and self._random.random() < self.noise:
                byte ^= self._random.randrange(1, 256)
            passed.append((start_us, speakers, byte))
        return passed


class Linked:
    """A target that cannot run alone: when it runs, all of its fleet do."""

    def __init__(self, target, fleet, index):
        self.inner = target
        self._fleet = fleet
        self._index = index

    def __getattr__(self, name):
        return getattr(self.inner, name)

    @property
    def chunk_us(self):
        return self._fleet.chunk_us

    @property
    def crash(self):
        return self.inner.crash

    @crash.setter
    def crash(self, value):
        self.inner.crash = value

    def run(self, us, feeds):
        return self._fleet.run(self._index, us, feeds)

    def set(self, values):
        bar = {name: values.pop(name) for name in BAR_FIELDS if name in values}
        if "reverse" in values:
            raise TargetError("reverse: the packs of a fleet share one bar; use a single bench")
        if values:
            self.inner.set(values)
        self._fleet.set_bar(bar)


class Fleet:
    """Lock-step of several targets.

    members   Rig of each module, set by the rig after it is made
    bar, bus  BusBar and Bus
    """

    def __init__(self, targets, baud, seed):
        self.targets = targets
        self.members = []
        self.bar = BusBar()
        self.bus = Bus(len(targets), baud, seed)
        self.chunk_us = _CHUNK_US.get(len(targets), _CHUNK_MANY_US)
        self._bar_mv = None
        self._hears = [[] for _ in targets]     # feeds of the bus for each module's next chunk
        self._delay_us = 0

    def set_bar(self, fields):
        """Charger, load and current source are on the bar, whichever module they are set at."""
        bar = self.bar
        if "load" in fields:
            if fields["load"] == "short":
                raise TargetError("load: a short of the whole bar is not modelled; "
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

    def set_faults(self, faults):
        """Noise and loss of the parallel bus."""
        if "parallel_noise" in faults:
            self.bus.noise = faults["parallel_noise"] or 0.0
        if "parallel_loss" in faults:
            self.bus.loss = faults["parallel_loss"] or 0.0

    def run(self, index, us, feeds):
        """Let *us* pass for all; *feeds* are module *index*'s. Returns what that one sent."""
        own = []
        while us > 0:
            step_us = min(us, self.chunk_us)
            own += self._step(index, step_us, feeds)
            feeds = []
            us -= step_us
        return own

    def _step(self, index, us, feeds):
        start_us = self.targets[0].t_us
        for i, target in enumerate(self.targets):
            ports = feeds if i == index else self.members[i].collect(us) if (
                self.members) else []
            ports = [feed for feed in ports if feed[0] != "parallel"] + self._hears[i]
            self._hears[i] = []
            target.begin(us, ports, bar_mv=self._bar_mv, bar_load_ma=self.bar.load_ma)
        own = []
        for i, target in enumerate(self.targets):
            sent = target.end()
            for port, at_us, data in sent:
                if port == "parallel":
                    self.bus.put(i, at_us, data)
            if i == index:
                own = sent
            elif self.members:
                self.members[i].deliver(sent, start_us)
        self._pass_on(self.targets[0].t_us, us)
        self._bar_mv = self.bar.solve([target.behind_bar for target in self.targets])
        return own

    def _pass_on(self, now_us, us):
        """Queue what was on the bus for the next chunk, delayed so that it keeps its rhythm."""
        self._delay_us = max(self._delay_us, us + 2 * self.bus.byte_us)
        runs = []                               # [start_us, speakers, bytes], without a gap inside
        for start_us, speakers, byte in self.bus.take(now_us):
            if runs and runs[-1][1] == speakers and abs(
                    runs[-1][0] + len(runs[-1][2]) * self.bus.byte_us - start_us) < 20:
                runs[-1][2].append(byte)
            else:
                runs.append([start_us, speakers, bytearray((byte,))])
        for start_us, speakers, data in runs:
            feed = ("parallel", max(0, start_us + self._delay_us - now_us), bytes(data))
            for i in range(len(self.targets)):
                if i not in speakers:           # a driver that is on hears nothing
                    self._hears[i].append(feed)
