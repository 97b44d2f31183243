#!/usr/bin/env python3
"""The bench rig: a controller, its chips, cells, charger, load and wires under one script.

    make -s rig                    one JSON object a line in, one answer a line out
    .venv/bin/python tools/rig.py  the same

    with Rig() as rig:             the same as a Python class; errors are RigError
        rig.open("host", seed=7)
        rig.set(cell_mv={3: 3650})
        rig.run(3500)
        assert not rig.get()["wire"]["fets"]["chg"]

Any command can also be given as its dict: rig.command({"cmd": "run", "ms": 100}) answers a dict
and never raises. `open` returns when the controller has booted and answers on its debug port;
t_ms counts from power-on, so it is some hundreds of milliseconds by then.
"""

import bisect
import os
import pathlib
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import rooms  # noqa: E402, F401 - the path comes first
from packctl import link                                        # noqa: E402
from mocks.uart_wave import heard_at                            # noqa: E402
import rig_commands                                             # noqa: E402
from rig_commands import OF_A_MODULE, answer_line               # noqa: E402
from rig_fields import (                                        # noqa: E402
    BOARD_FAULTS, FAULT_KINDS, FIRMWARE_FAULTS, MODEL_FAULTS, SET_FIELDS, WIRE_FAULTS, RigError,
    can_bytes, can_row, inverter_options, is_text, number, plant_of, profile_module, profiles,
    refuse, truth,
)
from rig_fleet import BAR_FIELDS, BUS_FAULTS, Fleet, Linked    # noqa: E402
from rig_inverter import OFF, Inverter                          # noqa: E402
from rig_player import Player                                   # noqa: E402
from rig_ports import CanPort, DebugMux, Port, Rs485Faults      # noqa: E402
from rig_targets import (                                       # noqa: E402
    FIRMWARE, PicoTarget, SerialTarget, SimTarget, TargetError, read_pins,
)

BOARDS = ("host", "unix", "rp2040")
PAIR = "rp2040+box"             # two emulated Picos, see tools/packbox
PORTS = ("pcs", "parallel", "debug", "usb")
_CONSOLE_PROMPT = b"\rpylon>"
# words of the console that change something, and those of the framed protocol alone
_ACTS = ("clock", "profile", "pin", "key", "unlock", "save", "clear", "deep_try", "sleep", "reset",
         "prompt", "fleet")
PCS_BAUD = 9600
PARALLEL_BAUD = 9600          # of a monitor

_ASK_BEFORE_END_US = 100_000    # a run asks for a report so long before its end
_ASK_IN_PLAY_US = 500_000
_LOST_US = 2_000_000            # an answer that has not come by then does not come
_BUSY_US = 1_000_000            # a port is in use so long after its client's last byte
_BUSY_CHUNK_US = 10_000
_DEBUG_CHAR_US = 87
_LONG_US = 180_000_000          # a run with more than this to go looks at the ports less often
_FETCH_US = 150_000             # what a get may cost when no report has come yet
_WIRE_CHUNK_US = 2_000          # about two characters: as late as an echo may be
_BOOT_LIMIT_US = 15_000_000
_MOST_CAN_FRAMES = 400_000
_LONGEST_RUN_MS = 400 * 24 * 3600 * 1000


def _ms(us):
    return us // 1000 if us % 1000 == 0 else us / 1000


# ---- the rig -------------------------------------------------------------------------------


class Rig:
    """One bench at a time; every method may be called from any thread.

    firmware, image, ticks_start_ms and cpu_s are for the tests of the rig itself: other folders
    than firmware/ and lib/, another UF2, the ticks at boot, and how long a simulated controller
    may take to answer.
    """

    def __init__(self, firmware=FIRMWARE, image=None, ticks_start_ms=None, cpu_s=60.0,
                 heap=None, chunk_us=None, noise=None):
        self._firmware = firmware
        self._image = image
        self._ticks_start_ms = ticks_start_ms
        self._cpu_s = cpu_s
        self._heap = heap           # None | of the unix port's controller, such as "8M"
        self._step_us = chunk_us    # None: short enough for who is on the ports
        self._noise = noise         # None | the models' errors in those of a good board
        self._target = None
        self._player = Player(self._play_on, lambda: self._target.t_us,
                              (RigError, TargetError, link.LinkError))
        self._clear()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _clear(self):
        self._fleet = None          # None: one module | Fleet, in each of its modules' rigs
        self._ports = {}
        self._can = None            # None | CanPort
        self._can_log = []          # [t_ms, id, hex] of the pack's frames, oldest first
        self._inverter = None       # None | Inverter
        self._can_out = []          # frames for the pack, as mcp2515_model.pack_frame makes them
        self._mux = DebugMux()
        self._faults = None
        self._client = link.Client(self._exchange)
        self._seq = link.SEQ_RIG[0]
        self._due = {}              # sequence number: (type, t_us of the request)
        self._answers = {}          # sequence number: Frame, for _exchange
        self._console = None        # None | bytes that the console has answered so far
        self._to_pack = {port: b"" for port in PORTS}
        self._echo = b""
        self._busy_until_us = -1
        self._report = None         # (payload, t_us), newest
        self._asked_us = -1
        self._boots = 0
        self._provoked = set()

    # -- commands as dicts ------------------------------------------------------------------

    def command(self, command):
        """Carry out one command given as a dict; returns the answer as a dict."""
        try:
            return {"ok": True, **self._dispatch(command)}
        except (RigError, TargetError, link.LinkError) as error:
            return {"ok": False, "error": str(error), **getattr(error, "details", {})}
        except Exception as error:          # a mistake in the rig: say so, and go on
            traceback.print_exc()
            return {"ok": False, "error": f"internal error of the rig: {error!r}"}

    def _dispatch(self, command):
        name, method, fields = rig_commands.parsed(command)
        rig = self._module_of(name, fields)
        rig_commands.check_fields(name, fields)
        if rig is None:
            return self.get_all()
        if rig is self:
            return getattr(self, method)(**fields)
        with self._take():
            self._bench()
            return getattr(rig, method)(**fields)

    def _module_of(self, name, fields):
        """The Rig that a command with or without `module` is for; None: get of all of a fleet."""
        if "module" not in fields:
            if self._fleet is not None and name in OF_A_MODULE and not (
                    name == "get" or name == "set" and self._is_for_all(fields)):
                raise RigError(f"{name} needs module: the index of a module of the fleet, from 0")
            return None if self._fleet is not None and name == "get" else self
        if self._fleet is not None and name not in OF_A_MODULE:
            raise RigError(f"{name} is for all modules of the fleet; leave module out")
        return self.module(fields.pop("module"))

    @staticmethod
    def _is_for_all(fields):
        faults = fields.get("fault", {})
        return set(fields) <= {*BAR_FIELDS, "fault"} and isinstance(faults, dict) and (
            set(faults) <= set(BUS_FAULTS))

    def module(self, index):
        """The Rig of one module of a fleet, for set, get, trace, events, param, power, reset."""
        if self._fleet is None:
            raise RigError("module belongs to a fleet; open one with "
                           '{"cmd": "fleet", "modules": 4}')
        number(0, len(self._fleet.members) - 1, whole=True)("module", index)
        return self._fleet.members[index]

    def _take(self):
        """The bench for oneself; a play lets go of it when it sees somebody waiting."""
        return self._player.take()

    def _bench(self):
        """The open target; raises what a play has died of, once."""
        if self._target is None:
            raise RigError('no bench is open; start with {"cmd": "open", "board": "host"}')
        error = self._player.take_error()
        if error is not None:
            raise RigError(f"the play has ended: {error}")
        return self._target

    # -- open and close ---------------------------------------------------------------------

    def open(self, board="host", profile="am5000", dip=0, seed=1, plant=None, params=None,
             spread=1, stimulus=None):
        """Set up a bench and boot its controller; closes the one before.

        spread   how much of its tolerances this seed's board has: 0 is an ideal one
        stimulus of serial:<port>: None | port of the box that is wired to the board
        """
        if not isinstance(board, str) or not (board in (*BOARDS, PAIR)
                                              or board.startswith("serial:")):
            refuse("board", board, "host, unix, rp2040, rp2040+box or serial:<port>")
        is_text("profile", profile)
        if profile_module(profile) not in profiles() and self._firmware is FIRMWARE:
            refuse("profile", profile, "one of " + ", ".join(profiles()))
        number(0, 15, whole=True)("dip", dip)
        number(0, 2**31 - 1, whole=True)("seed", seed)
        number(0, 1)("spread", spread)
        if isinstance(plant, list):
            raise RigError('plant is a list: that is for a fleet; open one with {"cmd": "fleet", '
                           '"modules": n, "plant": [...]}')
        if plant is not None and not isinstance(plant, dict):
            refuse("plant", plant, 'an object such as {"soc": 0.5, "temp_c": 25}')
        if params is not None and not isinstance(params, dict):
            refuse("params", params, "an object {name: value}")
        for name, value in (params or {}).items():
            number(-2**31, 2**31 - 1, whole=True)(name, value)
        with self._take():
            self.close()
            self._clear()
            try:
                if stimulus is not None:
                    is_text("stimulus", stimulus)
                    if not board.startswith("serial:"):
                        refuse("stimulus", stimulus, "left out: only serial:<port> has a box")
                    return self._open_boxed(board[7:], stimulus, profile, params or {}, {
                        "seed": seed, "dip": dip, "rocker": 1, "profile": profile,
                        "spread": spread,
                        "plant": {**plant_of(self._firmware[0], profile), **(plant or {})}})
                if board.startswith("serial:"):
                    return self._open_serial(board[7:], params or {})
                return self._open_bench(board, profile, dip, seed, plant or {},
                                        params or {}, spread)
            except BaseException:
                self.close()
                raise

    def _open_bench(self, board, profile, dip, seed, plant, params, spread):
        self._make_target(board, profile, dip, seed, plant, spread)
        return self._greet(profile, params)

    def _make_target(self, board, profile, dip, seed, plant, spread, uid=None):
        plant = {**plant_of(self._firmware[0], profile), **plant}
        stand = {"seed": seed, "dip": dip, "rocker": 1, "plant": plant, "profile": profile,
                 "spread": spread}
        if self._noise is not None:
            stand["noise"] = self._noise
            stand["spread"] = min(spread, self._noise)
        if board == "rp2040":
            self._target = PicoTarget(stand, self._image)
        elif board == PAIR:
            from rig_box import EmulatedPair
            self._target = EmulatedPair(stand, self._image)
        else:
            self._target = SimTarget(board, stand, profile, self._firmware,
                                     self._ticks_start_ms, cpu_s=self._cpu_s, uid=uid,
                                     heap=self._heap)
            if self._step_us:
                self._target.chunk_us = self._step_us
        self._faults = Rs485Faults(seed)
        self._ports = {name: Port() for name in PORTS}
        self._can = CanPort()

    def _greet(self, profile, params):
        """Wait until the controller has booted, and set it up."""
        hello = self._await_boot()
        if hello.get("refused") and hello.get("profile", profile) == profile:
            raise RigError(f"profile {profile} is refused: {hello['refused']}")
        if hello.get("profile", profile) != profile:
            self._client.command("profile " + profile)      # kept in flash, holds after a reset
            self._target.reset()
            hello = self._await_boot()
            if hello.get("profile") != profile:
                raise RigError(f"the firmware runs profile {hello.get('profile')}, not {profile}")
        self._client.schema()
        self._client.set_params(params)
        return {"ports": {name: port.path for name, port in self._ports.items()},
                "urls": {name: port.url for name, port in self._ports.items()},
                "can": {"interface": self._can.interface, "channel": self._can.channel},
                "pins": read_pins(), "t_ms": _ms(self._target.t_us), "hello": hello}

    def _await_boot(self):
        """Let time pass until the controller says hello; returns what it says."""
        target = self._target
        while target.t_us < _BOOT_LIMIT_US:
            try:
                return self._client_hello(200_000)
            except link.LinkError:
                continue
        raise RigError(f"the controller does not answer on its debug port "
                       f"{_BOOT_LIMIT_US // 1_000_000} s after power-on")

    def _client_hello(self, patience_us):
        frame = self._round_trip(link.HELLO, b"", patience_us)
        if frame is None:
            raise link.LinkError("no hello")
        return link.Client(lambda kind, payload: link.check_answer(kind, frame)).hello()

    def _open_serial(self, port, params):
        if not port:
            refuse("board", "serial:", "serial: and a port, as serial:/dev/ttyUSB0")
        self._target = SerialTarget(port)
        self._client = link.Client(self._target.exchange)
        hello = self._client.hello()
        self._client.set_params(params)
        return {"ports": {"pcs": None, "parallel": None, "debug": port,
                          "usb": None}, "urls": {}, "can": None,
                "can_note": "a real board's CAN is reached by an adapter of yours",
                "pins": read_pins(), "t_ms": _ms(self._target.t_us), "hello": hello}

    def _open_boxed(self, port, stimulus, profile, params, stand):
        """A real board with a box on its pins. What is wrong with the bench is said as such."""
        from rig_box import SerialBox
        if not port:
            refuse("board", "serial:", "serial: and a port, as serial:/dev/ttyUSB0")
        target = self._target = SerialBox(port, stimulus, stand)
        self._client = link.Client(target.exchange)
        self._ports = {name: Port() for name in ("pcs", "parallel")}
        hello = None
        for _ in range(4):              # it has just been reset
            try:
                hello = self._client.hello()
                break
            except link.LinkError as error:
                silent = error
        wrong = target.verdict()
        if wrong:
            raise RigError(wrong)
        if hello is None:
            raise RigError("the bench: the board runs, and its debug port does not answer at "
                           f"{port}: {silent}")
        if hello.get("profile", profile) != profile:
            raise RigError(f"the board runs profile {hello.get('profile')}, not {profile}; "
                           f"packctl --port {port} profile {profile}")
        self._client.set_params(params)
        return {"ports": {**{name: port.path for name, port in self._ports.items()},
                          "debug": port, "usb": None},
                "urls": {name: port.url for name, port in self._ports.items()}, "can": None,
                "can_note": "a real board's CAN is reached by an adapter of yours",
                "box": target.identity, "pins": read_pins(), "t_ms": _ms(target.t_us),
                "hello": hello}

    def _run_serial(self, us):
        """Let time pass for a real board; with a box, its ports are served meanwhile."""
        target = self._target
        end_us = target.t_us + us
        while target.t_us < end_us:
            step_us = min(target.chunk_us, end_us - target.t_us) if target.boxed else us
            feeds = [(name, 0, port.read(), None) for name, port in self._ports.items()]
            for name, at_us, data, _baud in target.run(
                    step_us, [feed for feed in feeds if feed[2]]):
                self._ports[name].write(data, at_us)

    def close(self):
        """Close the bench, if one is open."""
        self._player.stop()
        with self._take():
            fleet, self._fleet = self._fleet, None
            if fleet is not None and fleet.members[0] is self:
                for member in fleet.members[1:]:
                    member.close()
            if self._target is not None:
                self._target.close()
                self._target = None
            for port in self._ports.values():
                port.close()
            self._ports = {}
            if self._can is not None:
                self._can.close()
                self._can = None
            self._player.take_error()
        return {}

    # -- time -------------------------------------------------------------------------------

    def run(self, ms):
        """Let *ms* of simulated time pass; returns t_ms after it."""
        number(0, _LONGEST_RUN_MS)("ms", ms)
        with self._take():
            target = self._bench()
            if isinstance(target, SerialTarget):
                self._run_serial(round(ms * 1000))
                return {"t_ms": _ms(target.t_us)}
            end_us = target.t_us + round(ms * 1000)
            ask_us = max(target.t_us, end_us - _ASK_BEFORE_END_US)
            while True:
                if target.t_us >= ask_us:
                    self._ask_report(_ASK_BEFORE_END_US)
                    ask_us = end_us + 1
                stop_us = min(end_us, ask_us)
                if target.t_us >= stop_us:
                    break
                left_us = stop_us - target.t_us
                self._advance(min(self._chunk_us(left_us), left_us))
            return {"t_ms": _ms(target.t_us)}

    def _chunk_us(self, left_us=0):
        if self._faults.needs_small_steps:
            return _WIRE_CHUNK_US
        if self._target.t_us < self._busy_until_us:
            return min(_BUSY_CHUNK_US, self._target.chunk_us)
        if left_us > _LONG_US and self._inverter is None:
            return self._target.long_chunk_us
        return self._target.chunk_us

    def _advance(self, us):
        """One step of the target, with the ports served before and after it."""
        target = self._target
        feeds = self.collect(us)
        start_us = target.t_us
        self.deliver(target.run(us, feeds), start_us)

    def deliver(self, sent, start_us):
        """Pass on what the controller has sent since *start_us*."""
        target = self._target
        if target.boots != self._boots:         # started anew: what was asked is forgotten
            if self._boots:
                self._forget_link()
            self._boots = target.boots
        for port, at_us, data, baud in sent:
            if port == "debug":
                self._from_debug(data, min(target.t_us, at_us + len(data) * _DEBUG_CHAR_US))
            elif port == "can":
                self._from_can(data, at_us)
            elif port == "usb":
                self._ports["usb"].write(data, target.t_us)
            elif port == "pcs" and self._faults.active:
                self._echo += data
                self._from_pcs(self._faults.to_client(data))
            elif port == "pcs":
                self._from_pcs(data)
            else:
                self.overhear(data, baud)
        if target.crash is not None:
            crash, target.crash = target.crash, None
            last = crash.strip().splitlines()[-1]
            raise RigError(f"the firmware has ended with an exception outside of its scheduler "
                           f"between {_ms(start_us)} and {_ms(target.t_us)} ms: {last}",
                           t_ms=_ms(target.t_us), traceback=crash)

    def overhear(self, data, baud):
        """A client at the parallel port listens at PARALLEL_BAUD, whatever the packs do."""
        self._ports["parallel"].write(heard_at(data, baud, PARALLEL_BAUD),
                                      self._target.t_us)

    def collect(self, us):
        """Bytes for the controller in the next *us*, as the target takes them."""
        waiting, self._to_pack = self._to_pack, {port: b"" for port in PORTS}
        heard = {name: port.read() for name, port in self._ports.items()}
        if any(heard.values()):
            self._busy_until_us = self._target.t_us + _BUSY_US
        if self._inverter is not None:
            say, frames, act = self._inverter.step(self._target.t_us)
            heard["pcs"] += say
            self._can_out += [can_row(row) for row in frames]
            if act is not None:
                self._target.set(dict(act))
        if self._faults.active:
            echo, self._echo = self._echo, b""
            heard["pcs"] = self._faults.to_pack(heard["pcs"], echo, us, PCS_BAUD)
        heard["debug"] = self._mux.client(heard["debug"])
        for ident, extended, remote, data, dlc in self._can.read():
            self._can_out.append(can_bytes(ident, extended, remote, data, dlc))
        frames, self._can_out = self._can_out, []
        return [(name, 0, waiting[name] + heard[name],
                 PARALLEL_BAUD if name == "parallel" else None) for name in PORTS
                if waiting[name] or heard[name]] + [("can", 0, raw, None) for raw in frames]

    def _from_pcs(self, data):
        self._ports["pcs"].write(data, self._target.t_us)
        if self._inverter is not None:
            self._inverter.pcs_bytes(data)

    # -- CAN --------------------------------------------------------------------------------

    def _from_can(self, raw, at_us):
        word, dlc, data = int.from_bytes(raw[:4], "big"), raw[4], raw[5:]
        ident = word & 0x1FFFFFFF
        self._can_log.append([_ms(at_us), ident, data.hex()])
        if len(self._can_log) > _MOST_CAN_FRAMES:
            del self._can_log[:_MOST_CAN_FRAMES // 4]
        if self._inverter is not None:
            self._inverter.can_frame(ident, data)
        self._can.write(ident, bool(word >> 31), bool(word >> 30 & 1), data, dlc)

    def can(self, since_ms=0, send=None):
        """The pack's CAN frames that ended since *since_ms*: [t_ms, id, data in hex]; send some.

        send   [[id, data in hex], ...], put on the bus when time goes on; an id above 7ff is
               sent as an extended one
        """
        number(0, 1e12)("since_ms", since_ms)
        rows = [can_row(row) for row in (send or [])]
        with self._take():
            if isinstance(self._bench(), SerialTarget):
                raise RigError("not controllable: a real board's CAN is reached by an adapter")
            self._can_out += rows
            first = bisect.bisect_left(self._can_log, since_ms, key=lambda row: row[0])
            return {"frames": self._can_log[first:]}

    # -- the debug port ---------------------------------------------------------------------

    def _send(self, kind, payload):
        seq = self._seq
        self._seq = seq + 1 if seq < link.SEQ_RIG[1] else link.SEQ_RIG[0]
        self._answers.pop(seq, None)            # of a request that nobody waited for
        self._due[seq] = (kind, self._target.t_us)
        self._to_pack["debug"] += link.encode(seq, kind, payload)
        return seq

    def _is_ours(self, frame):
        due = self._due.get(frame.seq)
        return due is not None and frame.kind in (due[0] | link.ANSWER, link.ERROR)

    def _from_debug(self, data, at_us):
        for_client, ours = self._mux.pack(data, self._is_ours)
        if for_client and self._console is not None:
            self._console += for_client
        elif for_client:
            self._ports["debug"].write(for_client, self._target.t_us)
        for frame in ours:
            kind, asked_us = self._due.pop(frame.seq)
            if kind == link.REPORT and frame.kind == link.REPORT | link.ANSWER:
                self._report = (frame.payload, at_us)
            self._answers[frame.seq] = frame

    def _ask_report(self, least_us):
        """Ask every module for a report that is taken when it comes."""
        if self._fleet is None:
            self._ask_own_report(least_us)
        elif self._fleet.members[0] is self:
            for member in self._fleet.members:
                member._ask_own_report(least_us)

    def _ask_own_report(self, least_us):
        """At most one is asked for at a time."""
        now_us = self._target.t_us
        for seq, (kind, asked_us) in list(self._due.items()):
            if now_us - asked_us > _LOST_US:
                del self._due[seq]
            elif kind == link.REPORT:
                return
        if self._target.on and (self._asked_us < 0 or now_us - self._asked_us >= least_us):
            self._asked_us = now_us
            self._answers.clear()
            self._send(link.REPORT, b"")

    def _forget_link(self):
        self._mux.clear()
        self._due.clear()
        self._answers.clear()
        self._to_pack["debug"] = b""
        self._report = None
        self._asked_us = -1
        self._provoked.clear()

    def _round_trip(self, kind, payload, patience_us):
        """Send a request and let time pass until its answer is there: a Frame, or None."""
        target = self._target
        seq = self._send(kind, payload)
        end_us = target.t_us + patience_us
        boots = self._boots
        while target.t_us < end_us:
            self._advance(min(5_000, end_us - target.t_us))
            frame = self._answers.pop(seq, None)
            if frame is not None:
                return frame
            if boots and self._boots != boots:
                break
        self._due.pop(seq, None)
        return None

    def hears(self, us):
        """Ask who is there and let *us* pass; True if this or an earlier question of the kind was
        answered. For a controller that is starting: nothing is waited for."""
        with self._take():
            self._bench()
            self._send(link.HELLO, b"")
            self._advance(us)
            return any(frame.kind == link.HELLO | link.ANSWER
                       for frame in self._answers.values())

    def _exchange(self, kind, payload):
        """A request of link.Client over the simulated wire; simulated time passes."""
        target = self._target
        for _ in range(3 if kind in link.REPEATABLE else 1):
            if not target.on:
                raise link.LinkError("the controller is switched off; "
                                     'send {"cmd": "power", "on": true} and run some 1000 ms')
            frame = self._round_trip(kind, payload, target.answer_us)
            if frame is not None:
                return link.check_answer(kind, frame)
        raise link.LinkError(f"the controller does not answer over its debug port "
                             f"({link.NAMES[kind]})")

    # -- looking ----------------------------------------------------------------------------

    def get(self):
        """t_ms, wire, truth and report, see rig.md; the report may be some ms old.

        With an inverter attached also what it does and says: `inverter`."""
        with self._take():
            target = self._bench()
            report = self._newest_report()
            wire, truth = target.state()
            answer = {"t_ms": _ms(target.t_us), "wire": wire, "truth": truth, "report": report}
            if self._inverter is not None:
                answer["inverter"] = self._inverter.told()
            return answer

    def _newest_report(self):
        target = self._target
        if isinstance(target, SerialTarget):
            return {**self._client.report(), "rx_age_ms": 0}
        if not target.on:
            return None
        if self._report is None:
            self._round_trip(link.REPORT, b"", _FETCH_US)
            if self._report is None:
                return None         # booting or stuck: it says nothing, and so does the rig
        payload, at_us = self._report
        report = self._client.decode_report(payload)
        report["rx_age_ms"] = _ms(target.t_us - at_us)
        return report

    def trace(self, since_ms=0):
        """Edges of every signal under wire since *since_ms*: [[t_ms, signal, value], ...]."""
        number(0, 1e12)("since_ms", since_ms)
        with self._take():
            return {"edges": self._bench().edges(round(since_ms * 1000))}

    def events(self, since=0):
        """The firmware's event records after sequence number *since*."""
        number(0, 2**32 - 1, whole=True)("since", since)
        with self._take():
            self._bench()
            return {"events": self._client.events(since)}

    def param(self, name=None, value=None, restore=False, values=None):
        """Read or set a parameter, set several as one set, or restore all defaults."""
        truth("restore", restore)
        if values is not None:
            return self._param_set(name, value, restore, values)
        with self._take():
            self._bench()
            if restore:
                if name is not None or value is not None:
                    raise RigError("restore is for all parameters; leave name and value out")
                self._client.restore_params()
                return {}
            if name is None:
                raise RigError("param needs a name (and a value to set it), or restore: true")
            is_text("name", name)
            if value is None:
                return {"name": name, "value": self._client.get_param(name)}
            number(-2**31, 2**31 - 1, whole=True)("value", value)
            return self._with_stored({"name": name, "value": self._client.set_param(name, value)})

    def params(self):
        """All parameters: [[id, name, unit, lowest, highest, default, value, help], ...]."""
        with self._take():
            self._bench()
            return {"params": [[p.id, p.name, p.unit, p.min, p.max, p.default, p.value, p.help]
                               for p in self._client.params(fresh=True).values()]}

    def _with_stored(self, answer):
        """*answer*, and whether the pack has what was set in flash, where it says so."""
        if self._client.stored is not None:
            answer["stored"] = self._client.stored
        return answer

    def _param_set(self, name, value, restore, values):
        if name is not None or value is not None or restore:
            raise RigError("values is a set of its own; leave name, value and restore out")
        if not isinstance(values, dict) or not values:
            refuse("values", values, "an object {name: value}")
        for one in values:
            number(-2**31, 2**31 - 1, whole=True)(f"values.{one}", values[one])
        with self._take():
            self._bench()
            return self._with_stored({"values": self._client.set_params(values)})

    def look(self):
        """(wire, truth) as get() has them, without asking the controller for a report."""
        with self._take():
            return self._bench().state()

    def typed(self, text, framed=False):
        """A line typed at the pack's console; what it answers, without the echo and the prompt.

        A word that acts goes as a request of the framed protocol, so that a refusal is an error;
        with *framed* every word does, as packctl asks. A reset answers nothing.
        """
        is_text("text", text)
        words = text.split()
        if framed or not words or words[0] in _ACTS or isinstance(self._target, SerialTarget):
            return {"text": self.command_text(text) or ""}
        said = self.console(text)
        if said.startswith("@\nUnknown command"):
            raise RigError(said.split("\n")[1])
        return {"text": said}

    def console(self, text, patience_ms=20_000):
        """Type *text* and Enter at the console of the debug port; what it answers, as lines."""
        with self._take():
            self._bench()
            target = self._target
            self._console = bytearray()
            self._to_pack["debug"] += text.encode() + b"\r"
            end_us = target.t_us + 1000 * patience_ms
            try:
                while target.t_us < end_us:
                    self._advance(min(10_000, end_us - target.t_us))
                    _, entered, said = bytes(self._console).partition(b"\n")
                    if entered and said.endswith(_CONSOLE_PROMPT):
                        said = said[:-len(_CONSOLE_PROMPT)].decode("utf-8", "replace")
                        return said.replace("\r", "").rstrip("\n")
            finally:
                self._console = None
            raise RigError(f"the console did not answer {text!r} within {patience_ms} ms")

    def command_text(self, text):
        """A command of the debug port, as a person would type it; returns what it says.

        One that resets the controller is not answered: None then.
        """
        with self._take():
            self._bench()
            frame = self._round_trip(link.COMMAND, text.encode(), self._target.answer_us)
            if frame is None:
                return None
            return link.check_answer(link.COMMAND, frame).decode("utf-8", "replace")

    # -- acting -----------------------------------------------------------------------------

    def set(self, **fields):
        """Change what surrounds the controller; all of it is checked before any is done."""
        with self._take():
            target = self._bench()
            for name in fields:
                if name not in SET_FIELDS:
                    raise RigError(f"set has no field {name!r}; it takes {', '.join(SET_FIELDS)}")
            values = dict(fields)
            inverter = inverter_options(values.pop("inverter")) if "inverter" in values else False
            if inverter is not False and isinstance(target, SerialTarget):
                raise RigError("not controllable: inverter (a real board has a real one)")
            faults = values.pop("fault", {})
            if self._fleet is not None and isinstance(faults, dict):
                shared = {kind: faults[kind] for kind in BUS_FAULTS if kind in faults}
                for kind, value in shared.items():
                    if value is not None:
                        number(0, 1)(kind, value)
                self._fleet.set_faults(shared)
                faults = {k: v for k, v in faults.items() if k not in shared}
            model, wire, firmware = self._split_faults(faults)
            if model:
                values["fault"] = model
            if isinstance(target, SerialTarget):
                values.update(wire)
            if values:
                target.set(values)
            if model.get("supply_dip_ms") is not None:
                self._forget_link()
            if inverter is not False:
                self._attach(inverter)
            for kind, value in wire.items():
                setattr(self._faults, kind[len("rs485_"):], value or 0)
            for kind, value in firmware.items():
                self._provoke(kind, value)
        return {}

    def _attach(self, options):
        """Put an inverter on its port, or (None) take it and its charger and load off."""
        if options and self._inverter is not None and self._inverter.port == options["port"]:
            self._inverter.change(**options)
            return
        if self._inverter is not None:
            self._inverter = None
            self._target.set(dict(OFF))
        if options is not None:
            self._inverter = Inverter(now_us=self._target.t_us, **options)

    def _split_faults(self, faults):
        """({kind: value} of the models, of the wire, of the firmware), the last two checked."""
        if not isinstance(faults, dict):
            refuse("fault", faults, "an object {kind: value or null}")
        model, wire, firmware = {}, {}, {}
        for kind, value in faults.items():
            if kind in MODEL_FAULTS:
                model[kind] = -1 if kind == "shunt_sign" and value is True else value
            elif kind in WIRE_FAULTS:
                if kind == "rs485_babble" and isinstance(value, bool):
                    value = float(value)            # true: all the time
                wire[kind] = None if value is None else WIRE_FAULTS[kind](kind, value)
            elif kind in BOARD_FAULTS:
                model[kind] = None if value is None else BOARD_FAULTS[kind](kind, value)
            elif kind in FIRMWARE_FAULTS:
                firmware[kind] = None if value is None else FIRMWARE_FAULTS[kind](kind, value)
            else:
                raise RigError(f"there is no fault {kind!r}; there are: {', '.join(FAULT_KINDS)}")
        if "torn" in model and "cut_at_flash_op" not in model:
            raise RigError("torn goes with cut_at_flash_op, in the same set")
        return model, wire, firmware

    def _provoke(self, kind, value):
        if value is None or value is False:
            if kind in self._provoked:
                raise RigError(f"fault {kind} lasts until the controller resets or recovers; "
                               "it cannot be taken back (use reset)")
            return
        client = self._client
        if "bench_enable" in client.params() and not client.get_param("bench_enable"):
            client.set_param("bench_enable", 1)
        if kind == "heap_full" and isinstance(self._target, SimTarget):
            self._target.reserve()
        client.provoke(kind if value is True else f"{kind} {value}")
        if not isinstance(self._target, SerialTarget):
            self._provoked.add(kind)

    def power(self, on):
        """Switch the controller's supply, at this instant."""
        truth("on", on)
        with self._take():
            self._bench().power(on)
            self._forget_link()
        return {}

    def reset(self):
        """Press the chip's reset line."""
        with self._take():
            self._bench().reset()
            self._forget_link()
        return {}

    # -- several modules ---------------------------------------------------------------------

    def fleet(self, modules=None, plant=None, board="host", profile="am5000", seed=1, params=None,
              dip=None, spread=1, open=None):
        """Set up *modules* controllers on one parallel bus and one bus bar, and boot them.

        plant  one object for all, or a list of them; dip: a list of addresses, default 1, 2, ...
        params set in every module
        open   the same fields as an object
        """
        if open is not None:
            if not isinstance(open, dict) or "open" in open:
                refuse("open", open, 'an object such as {"modules": 4}')
            return self.fleet(**open)
        number(1, 15, whole=True)("modules", modules)
        if board not in BOARDS:
            refuse("board", board, "host, unix or rp2040")
        if board == "rp2040" and modules > 2:
            raise RigError("two modules run on rp2040; more than that only on host and unix")
        plants = plant if isinstance(plant, list) else [plant] * modules
        dips = list(range(1, modules + 1)) if dip is None else dip
        for name, values in (("plant", plants), ("dip", dips)):
            if not isinstance(values, list) or len(values) != modules:
                refuse(name, values, f"a list of {modules}, one a module")
        for address in dips:
            number(0, 15, whole=True)("dip", address)
        number(0, 1)("spread", spread)
        with self._take():
            self.close()
            self._clear()
            try:
                return self._open_fleet(board, profile, seed, plants, dips, params or {}, spread)
            except BaseException:
                self.close()
                raise

    def _another(self):
        """A rig for another module of a fleet."""
        return Rig(self._firmware, self._image, self._ticks_start_ms, self._cpu_s)

    def _open_fleet(self, board, profile, seed, plants, dips, params, spread):
        members = [self]
        for _ in dips[1:]:
            members.append(self._another())
        made = []
        try:
            for i, member in enumerate(members):
                member._make_target(board, profile, dips[i], seed + i, plants[i] or {}, spread,
                                    b"PACK".hex() + f"{seed * 16 + i:08x}"[-8:])
                made.append(member)
        except BaseException:
            for member in made[1:]:
                member.close()
            raise
        fleet = Fleet([member._target for member in members], seed)
        fleet.members = members
        for i, member in enumerate(members):
            member._fleet = fleet
            member._target = Linked(member._target, fleet, i)
            member._take = self._take           # one lock for all
        greeted = [member._greet(profile, params) for member in members]
        return {"modules": [{"ports": answer["ports"], "urls": answer["urls"],
                             "can": answer["can"],
                             "hello": answer["hello"], "dip": dips[i]}
                            for i, answer in enumerate(greeted)],
                "pins": greeted[0]["pins"], "t_ms": _ms(self._target.t_us)}

    def get_all(self):
        """Of a fleet: get() of each module, the bus bar, and what was counted on the bus."""
        with self._take():
            target = self._bench()
            fleet = self._fleet
            return {"t_ms": _ms(target.t_us), "modules": [m.get() for m in fleet.members],
                    **self._shared(fleet.wires.bar, fleet.wires.bus)}

    @staticmethod
    def _shared(bar, bus):
        return {"bar": {"mv": bar.mv, "charger_mv": bar.charger_mv, "charger_ma": bar.charger_ma,
                        "load_ma": bar.load_ma},
                "parallel": {"frames": bus.frames, "lost_frames": bus.lost_frames,
                             "collisions": bus.collisions, "speeds": bus.speeds[-20:]}}

    # -- running on -------------------------------------------------------------------------

    def play(self, speed=1):
        """Run on in the background at *speed* times real time, 0 as fast as possible."""
        number(0, 1000)("speed", speed)
        self._player.stop()
        with self._take():
            target = self._bench()
            if isinstance(target, SerialTarget):
                if speed != 1:
                    raise RigError("not controllable: a real board runs at speed 1")
                if not target.boxed:
                    return {}
            self._player.start(speed)
        return {}

    def pause(self):
        """End a play; returns t_ms."""
        self._player.stop()
        with self._take():
            return {"t_ms": _ms(self._bench().t_us)}

    def _play_on(self, speed):
        """A moment of a play."""
        if isinstance(self._target, SerialTarget):
            self._run_serial(_BUSY_CHUNK_US)
            return
        self._ask_report(_ASK_IN_PLAY_US)
        self._advance(min(self._chunk_us(), _BUSY_CHUNK_US) if speed else self._chunk_us())


def main():
    # Builders and libraries may print; the answers' stream is ours alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with Rig() as rig:
        try:
            for line in sys.stdin.buffer:
                line = line.decode("utf-8", "replace").strip()
                if line:
                    answers.write(answer_line(rig, line))
                    answers.flush()
        except (BrokenPipeError, KeyboardInterrupt):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
