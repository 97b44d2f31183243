"""One simulated controller: firmware, mocked peripherals and models in one process.

Runs on CPython (target `host`) and on MicroPython's unix port (target `unix`), started by rig.py:
one JSON object a line in, one a line out. Two arguments name the file descriptors of the two
streams (default 0 and 1); what the firmware prints goes to its own stdout.

The firmware runs in the foreground and everything it does is driven by the simulated clock
(tools/mocks/machine.py). When the clock reaches the end of a run, the command loop below is
called from inside the clock, so the firmware stands still at that very microsecond, wherever it
is. Cutting the supply or resetting raises an exception there that unwinds the firmware.

A pack that nobody uses and that does nothing is taken from event to event: the clock is set
forward by some seconds at once while the firmware idles, the models go through each of their own
events meanwhile, and then every task of the firmware runs once. See Worker.skip().

  open   stand {options}, pins {name: GPn}, firmware [folders], models folder, ticks_start_ms,
         profile, on, uid (hex)
  run    us, io [[port, delay_us, hex], ...] -> t_us, io [[port, start_us, hex], ...], on, boots;
         port "can": one frame as pack_frame makes it, end_us in place of start_us;
         crash: traceback, once, if the firmware ended with an exception
  set    values          state  -> wire, truth        edges  since_us, skip, count -> edges
  power  on              reset                        close
  reserve                sets memory aside for the bench, on the heap it shares with the firmware
"""

import gc
import json
import sys

_BOOT_US = 300_000              # from power or reset to the first line of the firmware
_RESERVE = 256                  # pieces of 1 kB
_ROOM = 16                      # this part of the heap is the models', when the firmware fills it
_FIFO = 32                      # of a hardware UART
_DMA_RING = 1023
_QUIET_US = 120_000_000         # nothing has happened for so long: time may be skipped
_SKIP_US = 8_500_000            # at one go: less than any watchdog's patience
_BETWEEN_US = 65_000            # every task has run once after it
_SLOW_US = 200                  # an AFE whose answers take longer may be scanned in several steps:
_SLOW_BETWEEN_US = 600_000      # ... some of its scans are over
_BEFORE_END_US = 2_000_000      # the end of a run is not skipped
_QUIET_MA = 500
_REST_GRID_US = 1_000_000       # of the cell model meanwhile
_CPYTHON = sys.implementation.name == "cpython"


def _folder(path):
    return path.rsplit("/", 1)[0] if "/" in path else "."


_HERE = _folder(__file__)
if _HERE in sys.path:           # the firmware must not find the bench's modules
    sys.path.remove(_HERE)
sys.path.insert(0, _folder(_folder(_HERE)) + "/mocks")

import machine                  # noqa: E402 - the path comes first
import port_sim                 # noqa: E402
from machine import NEVER_US, BenchFault, ChipReset, PowerCut, hw  # noqa: E402

sys.modules["machine"] = machine


class Close(BaseException):
    """Unwinds everything when the bench closes."""


def traceback_text(error):
    if _CPYTHON:
        import traceback
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    import io
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue()


def load_stand(options, models):
    """Build the Stand, and leave none of its modules where the firmware's could be meant.

    Returns the stand and the module of the flash.
    """
    tools = _folder(models)
    known = set(sys.modules)
    path = list(sys.path)
    sys.path[0:0] = [models, tools]
    import flash_model
    from stand import Stand
    stand = Stand(options)
    for name in set(sys.modules) - known:
        path_of = getattr(sys.modules[name], "__file__", None) or ""
        if path_of.startswith(models):
            del sys.modules[name]
    sys.path[:] = path
    return stand, flash_model


def then(first, second):
    """A method that does *first*, and *second* after it."""
    def both(app):
        first(app)
        second()
    return both


def int_keys(values):
    """JSON has only text as keys: indexes become integers again."""
    for name in ("cell_mv", "cell_temp_dc"):
        table = values.get(name)
        if isinstance(table, dict):
            values[name] = {int(index): value for index, value in table.items()}
    return values


class Worker:
    """The bench of one controller.

    powered    supply on
    boot_at    None: not waiting for a boot | clock at which the firmware starts
    unwind     None | the exception that ends the firmware at its next step
    scheduler  None | the firmware's, once it was started
    busy_us    clock when something last happened
    crash      None | traceback of a firmware that ended by itself, until it was reported
    reserve    None | pieces of memory that are free only while commands are served, so that a
               firmware that fills the heap does not silence the bench
    frozen     the processor stands still until a reset; masked: its interrupts are kept away
    """

    def __init__(self, lines, out):
        self.lines = lines
        self.out = out
        self.clock = hw.clock
        self.clock.on_due = self.due
        hw.on_reset = self.reset
        port_sim.skip = self.skip
        self.stand = None
        self.target_us = 0
        self.on_bar = False     # the terminals are shared with other packs
        self.running = False    # a run was asked for and not yet answered
        self.powered = False
        self.dip_end_us = NEVER_US      # when a dip of the supply ends
        self.boot_at = None
        self.unwind = None
        self.crash = None
        self.frozen = False
        self.masked = False
        self.boots = 0
        self.reserve = None
        self.scheduler = None
        self.busy_us = 0
        self.looked_us = 0      # clock when it was last looked at, or after the last skip
        self.seen = None

    # -- clock ------------------------------------------------------------------------------

    def due(self, now_us):
        """Something is due at *now_us*: models, watchdog, boot, or the end of the run."""
        stand = self.stand
        if self.unwind is not None:
            raise self.unwind
        if stand.next_event_us <= now_us:
            self.advance_stand(now_us)
        if self.dip_end_us <= now_us:
            self.power(True)
        if hw.wdt_deadline_us <= now_us:
            self.reset(machine.WDT_RESET)
            raise self.unwind
        masked = self.masked or self.frozen
        if hw.interrupt_us <= now_us and not masked:
            hw.interrupt()
        if self.target_us <= now_us:
            self.commands()     # returns when there is time to run again
            if self.unwind is not None:
                raise self.unwind
        next_us = min(self.target_us, stand.next_event_us, hw.wdt_deadline_us, self.dip_end_us,
                      NEVER_US if masked else hw.interrupt_us,
                      NEVER_US if self.boot_at is None else self.boot_at)
        self.clock.next_us = next_us if next_us > now_us else now_us + 1
        if self.frozen and not masked:
            self.freeze()

    def freeze(self):
        """The processor stands still, interrupts and all: time goes on without it until a reset
        or the end of the fault."""
        clock = self.clock
        while self.frozen:
            clock.now_us = clock.next_us
            self.due(clock.now_us)

    def advance_stand(self, now_us):
        try:
            self.stand.advance(now_us)
        except Exception as error:
            raise BenchFault(traceback_text(error))

    def replan(self):
        """Look at every source of events again before the next microsecond."""
        self.clock.next_us = self.clock.now_us

    # -- event to event ---------------------------------------------------------------------

    def skip(self):
        """Called where the firmware idles; True if time has passed while it did nothing."""
        now_us = self.clock.now_us
        afe = self.stand.afe
        slow = max(afe.latency_us, afe.fault_latency_us or 0) > _SLOW_US
        between_us = _SLOW_BETWEEN_US if slow else _BETWEEN_US
        if now_us - self.looked_us < between_us:
            return False
        self.looked_us = now_us
        if self.scheduler is None or self.on_bar or self.something_happens(now_us):
            return False
        if now_us - self.busy_us < _QUIET_US:
            return False
        us = min(_SKIP_US, self.target_us - _BEFORE_END_US - now_us)
        if us < between_us:
            return False
        hw.wdt_deadline_us += us
        hw.interrupt_us += us
        plant = self.stand.plant
        usual_us = plant.grid_us
        plant.pace(_REST_GRID_US, now_us)
        self.stand.afe.plant_changed(now_us)
        self.clock.advance_to(now_us + us)
        self.looked_us = now_us = self.clock.now_us
        plant.pace(usual_us, now_us)
        self.stand.afe.plant_changed(now_us)
        self.replan()
        self.scheduler.start(port_sim.ticks_ms())
        return True

    def something_happens(self, now_us):
        """Look at the wires: current, FETs, outputs, bytes on their way, what the AFE is about."""
        stand = self.stand
        afe = stand.afe
        seen = (afe.chg, afe.dsg, afe.balance, stand.levels["LIMITER"], stand.levels["DO1"],
                stand.levels["DO2"], afe.mode, afe.cfgupdate, self.boots)
        quiet = seen == self.seen and abs(stand.plant.current_ma) < _QUIET_MA
        self.seen = seen
        for port in hw.ports.values():
            if port.arriving or port.fifo or port.pending(now_us):
                quiet = False
        if not quiet:
            self.busy_us = now_us
        return not quiet

    # -- the controller's life --------------------------------------------------------------

    def main(self):
        """Serve until the bench closes."""
        self.replan()
        while True:
            try:
                self.wait_for_boot()
                self.run_firmware()
            except (PowerCut, ChipReset):
                pass
            self.unwind = None
            self.forget_firmware()
            self.replan()

    def wait_for_boot(self):
        clock = self.clock
        while self.boot_at is None or clock.now_us < self.boot_at:
            clock.advance_to(clock.next_us)
        self.boot_at = None

    def run_firmware(self):
        """Boot and run; returns never, or leaves a dead firmware for the watchdog to find."""
        clock = self.clock
        self.boots += 1
        port_sim.attach(self.stand)
        port_sim.boot(clock.now_us)
        sys.path[0:0] = self.firmware
        try:
            self.flash.wait = None      # a board is formatted where it is made
            port_sim.mount(self.partition, self.flash_model.PlainFiles)
            self.flash.wait = self.stall
            try:
                import boot         # noqa: F401 - runs first, as on the device
            except ImportError:
                pass
            import main
            self.watch_scheduler()
            if _CPYTHON:            # the firmware collects each second: spare it what stays
                gc.collect()
                gc.freeze()
            main.main()
            raise RuntimeError("main() has returned")
        except (PowerCut, ChipReset, Close, BenchFault):
            raise
        except BaseException as error:
            self.crash = traceback_text(error)
        self.replan()
        while True:                                     # pins hold; only a reset helps
            clock.advance_to(clock.next_us)

    def watch_scheduler(self):
        """Get to know the firmware's scheduler when it is started, if it has one."""
        self.scheduler = None
        self.busy_us = self.clock.now_us
        module = sys.modules.get("scheduler")
        if module is None:
            return
        worker = self

        class Watched(module.Scheduler):
            def start(self, now_ms):
                worker.scheduler = self
                super().start(now_ms)

        main = sys.modules["main"]
        if getattr(main, "Scheduler", None) is module.Scheduler:
            main.Scheduler = Watched

    def forget_firmware(self):
        """Drop the firmware's modules, so that the next boot begins from nothing."""
        self.scheduler = None
        for folder in self.firmware:
            if folder in sys.path:
                sys.path.remove(folder)
        for name in list(sys.modules):
            path = getattr(sys.modules[name], "__file__", None) or ""
            for folder in self.firmware:
                if path.startswith(folder + "/"):
                    del sys.modules[name]
                    break
        if _CPYTHON:
            gc.unfreeze()
        gc.collect()

    def reset(self, cause):
        """The chip resets now and boots later; the caller unwinds the firmware."""
        now_us = self.clock.now_us
        port_sim.kill_flash()
        self.frozen = self.masked = False
        hw.cause = cause
        if cause != machine.WDT_RESET:
            self.clear_survivor()
        self.collect()
        self.stand.reset(now_us)
        port_sim.attach(machine.NullStand())
        self.boot_at = now_us + _BOOT_US
        self.unwind = ChipReset(cause)

    def clear_survivor(self):
        for i in range(len(hw.survivor)):
            hw.survivor[i] = 0

    def power(self, on):
        now_us = self.clock.now_us
        self.dip_end_us = NEVER_US
        if on == self.powered:
            return
        self.powered = on
        self.collect()
        self.stand.power(on, now_us)
        if on:
            hw.cause = machine.PWRON_RESET
            self.clear_survivor()
            self.boot_at = now_us + _BOOT_US
        else:
            port_sim.kill_flash()
            self.frozen = self.masked = False
            port_sim.attach(machine.NullStand())
            self.boot_at = None
            self.unwind = PowerCut()

    # -- flash ------------------------------------------------------------------------------

    def partition(self, first, sectors):
        return self.flash_model.Partition(self.flash, first, sectors)

    def stall(self, us):
        """A flash operation: time passes without interrupts; what a FIFO cannot hold is lost.
        The debug port's DMA goes on."""
        start_us = self.clock.now_us
        self.masked = True
        self.clock.advance(us)
        self.masked = False
        if hw.interrupt_us <= self.clock.now_us and not self.frozen:
            hw.interrupt()          # it was pending, and comes before the next operation
        self.replan()
        for name, depth in (("pcs", _FIFO), ("parallel", _FIFO), ("debug", _DMA_RING),
                            ("usb", _DMA_RING)):
            hw.ports[name].stall(start_us, self.clock.now_us, depth)

    def cut_in_flash(self):
        self.power(False)
        raise self.unwind

    def set_chip(self, values):
        """Take the faults that are the controller chip's out of *values* and carry them out."""
        faults = values.get("fault") or {}
        count = faults.pop("cut_at_flash_op", 0)
        torn = faults.pop("torn", 0.5)
        if count is None or count:
            self.flash.cut(count or 0, torn)
        if "flash_full" in faults:
            hw.flash_full = bool(faults.pop("flash_full"))
        if "flash_erase_ms" in faults:
            ms = faults.pop("flash_erase_ms")
            self.flash.erase_us = self.flash_model.ERASE_US if ms is None else 1000 * ms
        if "flash_bad_block" in faults:
            block = faults.pop("flash_bad_block")
            self.flash.bad = set() if block is None else {block}
        if "mcu_frozen" in faults:
            self.frozen = bool(faults.pop("mcu_frozen"))
        if "mcu_clock_stopped" in faults and self.powered:
            port_sim.stop_clock(bool(faults.pop("mcu_clock_stopped")))
            self.replan()

    # -- commands ---------------------------------------------------------------------------

    def collect(self):
        for port in hw.ports.values():
            port.settle(self.clock.now_us)

    def run_answer(self):
        self.collect()
        io = []
        for name, port in hw.ports.items():
            for start_us, data, baud in port.sent:
                io.append([name, start_us, data.hex(), baud])
            port.sent = []
        for end_us, frame in self.stand.can_sent():
            io.append(["can", end_us, frame.hex(), 0])
        answer = {"ok": True, "t_us": self.clock.now_us, "io": io, "on": self.powered,
                  "boots": self.boots}
        if self.on_bar:
            answer["bar"] = self.stand.behind_bar(self.clock.now_us)
        if self.crash is not None:
            answer["crash"] = self.crash
            self.crash = None
        return answer

    def commands(self):
        """Answer the run that ended here, then serve commands until the next one."""
        if self.running:
            self.running = False
            if self.reserve:
                self.reserve = []
            self.answer(self.run_answer())
        while self.target_us <= self.clock.now_us and self.unwind is None:
            self.serve()
        if self.reserve is not None:
            self.set_aside()

    def set_aside(self):
        """Take the reserve, or what there is of it."""
        gc.collect()
        self.reserve = []
        try:
            while len(self.reserve) < _RESERVE:
                self.reserve.append(bytearray(1024))
        except MemoryError:
            pass

    def serve(self):
        line = self.lines.readline()
        if not line:
            raise Close()
        try:
            command = json.loads(line)
            answer = getattr(self, "do_" + command["cmd"])(command)
        except ValueError as error:
            answer = {"ok": False, "error": str(error)}
        except Exception as error:
            answer = {"ok": False, "error": "bench: " + traceback_text(error)}
        if answer is not None:
            self.answer(answer)

    def answer(self, answer):
        self.out.write(json.dumps(answer) + "\n")
        if _CPYTHON:            # MicroPython has no buffer here, and its flush fails on a pipe
            self.out.flush()

    def do_open(self, command):
        self.firmware = command["firmware"]
        self.stand, self.flash_model = load_stand(command["stand"], command["models"])
        self.flash = self.flash_model.NorFlash(port_sim.FILE_SECTORS + port_sim.LOG_SECTORS,
                                               self.stall)
        self.flash.on_cut = self.cut_in_flash
        hw.pin_names = {int(pin[4:]): name for name, pin in command["pins"].items()}
        port_sim.profile = command["profile"]
        if command.get("uid"):
            hw.uid = bytes.fromhex(command["uid"])
        if command["ticks_start_ms"] is not None:
            port_sim.ticks_start_ms = command["ticks_start_ms"]
        if command["on"]:
            self.power(True)
        else:
            self.stand.power(False, 0)
        return {"ok": True}

    def do_run(self, command):
        now_us = self.clock.now_us
        self.on_bar = "bar_mv" in command
        if self.on_bar:
            self.stand.set_bar(command["bar_mv"], now_us, command["bar_load_ma"],
                               command["bar_only_ma"])
            self.replan()
        if command["io"]:
            self.busy_us = now_us
        for name, delay_us, data, baud in command["io"]:
            if name == "can":
                self.stand.can_feed(bytes.fromhex(data), now_us + delay_us)
                self.replan()
            else:
                hw.ports[name].feed(bytes.fromhex(data), now_us + delay_us, baud)
        self.target_us += command["us"]
        self.running = True
        if self.target_us <= now_us:
            self.running = False
            return self.run_answer()
        return None

    def do_set(self, command):
        values = command["values"]
        now_us = self.clock.now_us
        dip_ms = (values.get("fault") or {}).pop("supply_dip_ms", None)
        if dip_ms is not None and not self.powered:
            raise ValueError("fault supply_dip_ms: the controller is switched off already")
        self.set_chip(values)
        self.busy_us = now_us
        self.stand.set(int_keys(values), now_us)
        if dip_ms is not None:
            self.power(False)
            self.dip_end_us = now_us + int(dip_ms * 1000)
            self.replan()
        return {"ok": True, "on": self.powered}

    def do_state(self, command):
        now_us = self.clock.now_us
        self.stand.advance(now_us)
        return {"ok": True, "wire": self.stand.wire(now_us), "truth": self.stand.truth()}

    def do_edges(self, command):
        return {"ok": True, "edges": self.stand.edges(
            command["since_us"], command["skip"], command["count"])}

    def do_reserve(self, command):
        self.reserve = []
        self.keep_room()
        return {"ok": True}

    def keep_room(self):
        """Take a part of the heap, and give it to the models as soon as the rest is full.

        The interpreter has one heap for firmware and models: without room the models would look
        for garbage at each number they work out, and end with a MemoryError of their own.
        """
        if _CPYTHON:
            return
        gc.collect()
        room = []
        pieces = (gc.mem_free() + gc.mem_alloc()) // _ROOM // 1024
        try:
            while len(room) < pieces:
                room.append(bytearray(1024))
        except MemoryError:
            pass
        main = sys.modules.get("main")
        for name in dir(main):
            made = getattr(main, name)
            fill = getattr(made, "_fill_heap", None)
            if isinstance(made, type) and fill is not None:
                made._fill_heap = then(fill, room.clear)

    def do_power(self, command):
        self.power(command["on"])
        return {"ok": True}

    def do_reset(self, command):
        if self.powered:
            self.reset(machine.HARD_RESET)
        return {"ok": True}

    def do_close(self, command):
        self.answer({"ok": True})
        raise Close()


def run(arguments):
    lines = open(int(arguments[0]), "r") if arguments else sys.stdin
    out = open(int(arguments[1]), "w") if arguments else sys.stdout
    worker = Worker(lines, out)
    try:
        while worker.stand is None:
            worker.serve()
        worker.main()
    except Close:
        pass
    except BaseException as error:
        worker.answer({"ok": False, "fatal": True, "error": traceback_text(error)})
        raise


if __name__ == "__main__":
    run(sys.argv[1:])
