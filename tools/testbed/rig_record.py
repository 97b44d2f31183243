"""A rig that keeps what was done with it and what was seen on the wires, for a report.

    with RecordedRig() as rig:      a Rig in every other way; it costs a look at the models a step
        ...
        rig.finish()                before the bench is closed, or by close()
        rig.recording               Recording of the newest bench

A look changes nothing: neither the controller nor the models are told of it. The event records
are read over the debug port at the end, when what is to be shown has been taken.
"""

from packctl import link
from rig import Rig
from rig_fields import RigError
from rig_targets import SerialTarget, SimTarget, TargetError

_MOST_SAMPLES = 1600            # of a pack; then every second one goes
_FIRST_SPACING_MS = 50
_MOST_STEPS = 400
_TICKS = 1 << 30
_SIM_TICKS_MS = _TICKS - 20_000     # of a simulated controller's start (mocks/port_sim.py)
_ERRORS = (RigError, TargetError, link.LinkError, OSError, ValueError)


class Sample(tuple):
    """(t_ms, current_ma, lowest and highest cell in mV, so of the cells' groups in dC, MOSFETs,
    ambient, share of the charge)"""


class PackRecord:
    """What was seen of one pack: samples, edges and messages, oldest first.

    events      [(t_ms, name of the event, words)]
    """

    def __init__(self):
        self.samples = []
        self.edges = []
        self.events = []
        self.starts_ms = []         # when the controller started
        self._spacing_ms = _FIRST_SPACING_MS

    def look(self, t_ms, truth, at_once=False):
        """Keep what the models know, at most so often that the whole stays small."""
        if not at_once and self.samples and t_ms - self.samples[-1][0] < self._spacing_ms:
            return
        cells, temps = truth["cell_mv"], truth["temps_dc"]
        self.samples.append(Sample((t_ms, truth["current_ma"], min(cells), max(cells),
                                    min(temps[:4]), max(temps[:4]), temps[4], temps[5],
                                    truth["soc"])))
        if len(self.samples) >= _MOST_SAMPLES:
            del self.samples[1::2]
            self._spacing_ms *= 2


class Recording:
    """One bench: how it was opened, what was done, and what was seen of each pack.

    steps   [[t_ms, end_ms, pack, words]]; pack: index of a module of a fleet, or None
    hello   what the controller said it is, or None
    said    (t_ms, newest report of the first pack), or None
    """

    def __init__(self, number, board, how):
        self.number = number        # 1: the first bench of the test
        self.board = board
        self.how = how              # fields of `open` or `fleet`
        self.hello = self.said = None
        self.params = dict(how.get("params") or {})
        self.steps = []
        self.left_out = 0           # steps that were too many
        self.packs = [PackRecord()]
        self.end_ms = 0

    @property
    def profile(self):
        return (self.hello or {}).get("profile") or self.how.get("profile", "am5000")

    def note(self, t_ms, pack, words, end_ms=None):
        """Add a step; runs that follow each other are one."""
        last = self.steps[-1] if self.steps else None
        if end_ms is not None and last and last[1] is not None and last[2] == pack:
            last[1] = end_ms
            return
        if len(self.steps) >= _MOST_STEPS:
            self.left_out += 1
            return
        self.steps.append([t_ms, end_ms, pack, words])


def short(value):
    """A value of a command as a person writes it: equal values of a list once."""
    if isinstance(value, list) and len(value) > 2 and len(set(map(str, value))) == 1:
        return f"{len(value)} × {short(value[0])}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {short(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(map(short, value))
        return f"[{text if len(text) < 120 else text[:117] + '...'}]"
    return "none" if value is None else str(value)


def words_of(fields):
    return ", ".join(f"{name} {short(value)}" for name, value in fields.items())


class RecordedRig(Rig):
    """A Rig with a `recording` of its newest bench."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.recording = None
        self._index = None          # of a module of a fleet
        self._opening = False
        self._finished = False
        self._count = 0

    # -- benches ----------------------------------------------------------------------------

    def open(self, board="host", *args, **fields):
        act = super().open
        return self._recorded(board, fields, lambda: act(board, *args, **fields))

    def fleet(self, modules=None, *args, **fields):
        if fields.get("open") is not None:          # comes back with the fields themselves
            return super().fleet(modules, *args, **fields)
        how = {"modules": modules, **fields}
        act = super().fleet
        return self._recorded(fields.get("board", "host"), how,
                              lambda: act(modules, *args, **fields))

    def _recorded(self, board, how, act):
        self._opening, self._finished = True, False
        self._count += 1
        self.recording = Recording(self._count, board, how)
        try:
            answer = act()
        finally:
            self._opening = False
        hellos = [one.get("hello") for one in (answer, *answer.get("modules", ()))]
        self.recording.hello = next((hello for hello in hellos if hello), None)
        return answer

    def _another(self):
        return RecordedRig(self._firmware, self._image, self._ticks_start_ms, self._cpu_s)

    def _open_fleet(self, board, profile, seed, plants, *more):
        self.recording.packs = [PackRecord() for _ in plants]
        return super()._open_fleet(board, profile, seed, plants, *more)

    def _greet(self, *args):
        fleet = self._fleet
        if fleet is not None:
            self._index = fleet.members.index(self)
            self.recording = fleet.members[0].recording
        try:
            return super()._greet(*args)
        finally:
            if fleet is not None and self._index == 0:
                self._index = None

    def close(self):
        if not self._opening:
            self.finish()
        return super().close()

    # -- looking ----------------------------------------------------------------------------

    def _members(self):
        return self._fleet.members if self._fleet is not None else [self]

    def _advance(self, us):
        super()._advance(us)
        if self.recording is not None:
            self._look()

    def _look(self, at_once=False):
        for pack, member in zip(self.recording.packs, self._members()):
            target = member._target
            try:
                truth = target.state()[1]
            except _ERRORS:
                continue
            t_ms = target.t_us / 1000
            if len(pack.starts_ms) < target.boots:
                pack.starts_ms.append(t_ms)
            if truth is not None:
                pack.look(t_ms, truth, at_once)
            self.recording.end_ms = max(self.recording.end_ms, t_ms)

    def finish(self):
        """Take the edges and the messages of the bench; what cannot be had is left out."""
        if self._finished or self.recording is None or self._target is None:
            return
        self._finished = True
        if self._index:                         # of a fleet the first one does it for all
            return
        with self._take():
            recording, self.recording = self.recording, None    # no more looks
            for member in self._members():
                member.recording = None
            self.recording = recording
            members = list(zip(recording.packs, self._members()))
            recording.end_ms = max(recording.end_ms, self._target.t_us / 1000)
            for pack, member in members:
                try:
                    pack.edges = member._target.edges(0)
                except _ERRORS:
                    pass
            self.recording = None
            if self._report is not None:
                try:
                    recording.said = (self._report[1] / 1000,
                                      self._client.decode_report(self._report[0]))
                except _ERRORS:
                    pass
            try:
                for pack, member in members:
                    try:
                        events = member._client.events(0)
                        pack.events = _placed(events, pack, member._target,
                                              member._ticks_start_ms)
                    except _ERRORS:
                        pass
            finally:
                self.recording = recording

    # -- what is done -----------------------------------------------------------------------

    def _note(self, words):
        if self.recording is not None and self._target is not None:
            self.recording.note(self._target.t_us / 1000, self._index, words)

    def run(self, ms):
        begin_ms = self._target.t_us / 1000 if self._target is not None else 0
        try:
            return super().run(ms)
        finally:
            if self.recording is not None and self._target is not None:
                self.recording.note(begin_ms, None, "run", self._target.t_us / 1000)

    def set(self, **fields):
        self._note("set " + words_of(fields))
        if self.recording is None or self._target is None:
            return super().set(**fields)
        self._look(True)                        # what jumps is drawn as a jump
        answer = super().set(**fields)
        self._look(True)
        return answer

    def can(self, since_ms=0, send=None):
        if send:
            self._note("can send " + short(send))
        return super().can(since_ms, send)

    def param(self, name=None, value=None, restore=False, values=None):
        if restore or value is not None or values:
            self._note("param " + ("restore" if restore else
                                   words_of(values or {name: value})))
        answer = super().param(name, value, restore, values)
        if self.recording is not None and value is not None or values:
            self.recording.params.update(values or {name: value})
        return answer

    def console(self, text, *args, **options):
        self._note(f"types at the console: {text}")
        return super().console(text, *args, **options)

    def command_text(self, text):
        self._note(f"command: {text}")
        return super().command_text(text)

    def power(self, on):
        self._note("power on" if on else "power off")
        return super().power(on)

    def reset(self):
        self._note("reset")
        return super().reset()

    def play(self, speed=1):
        self._note(f"play at speed {speed}")
        return super().play(speed)


def _placed(events, pack, target, ticks_start_ms):
    """[(t_ms, name, words)]: the records' ticks as time of the bench."""
    target = getattr(target, "inner", target)           # of a fleet's module
    if isinstance(target, SerialTarget) or not events or not pack.starts_ms:
        return []
    first_ms = 0 if not isinstance(target, SimTarget) else (
        _SIM_TICKS_MS if ticks_start_ms is None else ticks_start_ms)
    placed = []
    for event in events:
        boot = min(max(0, event["boot"] - events[0]["boot"]), len(pack.starts_ms) - 1)
        t_ms = pack.starts_ms[boot] + (event["uptime_ms"] - first_ms) % _TICKS
        placed.append((t_ms, event["event"], _words_of_event(event)))
    return placed


def _words_of_event(event):
    parts = [event["event"].replace("_", " ")]
    if event.get("before"):
        parts.append(f"{event['before']} → {event['name']}")
    elif event.get("name"):
        parts.append(f"{event['name']} {event.get('words') or ''}".strip())
        if event["cell"] is not None and event["cell"] >= 0:
            parts.append(f"at index {event['cell']}")
        if event.get("limit"):
            parts.append(f"({event['value']}, limit {event['limit']})")
    return " ".join(parts)
