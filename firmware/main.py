"""Composition root: builds the machine objects, wires the parts, starts the tasks."""

import micropython

micropython.kbd_intr(-1)        # SAF-10, before anything that takes time: no byte stops this

# ruff: noqa: E402

import sys

import machine

import bq_frames
import version
from bms.words import events as ev
from bms.pack import Pack
from bms.words.parameters import shunt_of
from bms.host.products import Choice, Installed, check, find
from bms.host.prompt import PromptWish
from bms.words.rules import FAULT_HOT, FAULT_PROFILE
from hot.agree import fast_functions_agree
from bms.protect.trip_memory import TripMemory
from bms.records.kept import SET_VERSION
from bms.update.key import UpdateKey
from bms.update.proof import Proof
from bms.update.receiver import Receiver
from bq76952 import BQ76952
from checked_pin import CheckedPin, GuardedPin
from clock import Clock
from ds3231 import DS3231
from flash_ring import FlashRing
from hc595 import ShiftRegisters
from heap_holes import fill
from hot import protect
from image_slots import RAISED
from mcp2515 import MCP2515
from pcf8563 import PCF8563
from protocols.ascii.port import AsciiPort
from protocols.can.frames import CanFrames
from protocols.debug.answers import Answers
from protocols.debug.commands import Commands
from protocols.debug.console import Console
from protocols.debug.port import DebugPort, Trusted
from protocols.debug.link import Link
from protocols.pcs import Pcs
from protocols.debug.report import Reporter
from protocols.snapshot import Identity, System
from scheduler import NEVER, Scheduler, Task
from slots import Slots
from tasks.can_port import PERIOD_MS as CAN_MS
from tasks.can_port import CanPort
from tasks.control import REST_MS, Control
from tasks.panel import PERIOD_MS as PANEL_MS
from tasks.panel import Panel
from tasks.parallel_bus import ALONE_MS, ParallelBus
from tasks.provoke import Provoke
from tasks.self_tests import PERIOD_MS as SELF_TEST_MS
from tasks.self_tests import SelfTests
from tasks.serial_port import ConsolePort, SerialPort
from tasks.storage import PERIOD_MS as STORAGE_MS
from tasks.storage import Storage
from tasks.supervisor import PERIOD_MS as SUPERVISOR_MS
from tasks.supervisor import REST_MS as SUPERVISOR_REST_MS
from tasks.supervisor import Supervisor
from tasks.update import Update
from tca9534 import TCA9534

if sys.platform == "rp2":
    import port_rp2 as port
elif sys.platform == "esp32":
    import port_esp32 as port
else:
    import port_sim as port

_DEFAULT = "am5000"             # the profile of a pack for which none was chosen
SHUNT_UOHM = 250
SCAN_MS = 100
USB_REST_MS = 300
_WENT_ON = 0xA7                 # in the mark of who was stuck: nobody, the board was in order


def _out(name, level=0):
    return machine.Pin(name, machine.Pin.OUT, value=level)


class App:
    """Everything that runs, put together.

    name       of the product's profile; refused: why it cannot be had, or None
    installed  text of the profile in the board's flash, or None

    scheduler  Scheduler; pack: Pack
    clock, storage, choice, installed, control, can, system, parallel, reporter, supervisor,
    self_tests, prompt, params, shunt_uohm, identity_text, update, update_key, proof   what
    commands, the console and provoked faults look at
    """

    def __init__(self, name, refused=None, installed=None):
        try:
            if refused:
                raise ValueError(refused)
            profile = find(name, installed)
            params = check(profile)
        except ValueError as error:     # PRF-03: runs, says why, and never closes a FET
            refused = str(error)
            profile = find(_DEFAULT)
            params = check(profile)
        debug_uart = port.debug_uart()      # first: its ring takes a large piece of the heap
        self.params = params
        self.shunt_uohm = shunt_of(profile) or SHUNT_UOHM
        self.refused = refused
        self.pack = pack = Pack(profile, params, SCAN_MS)
        pack.now_ms = port.ticks_ms()
        i2c = machine.I2C(port.I2C, scl=machine.Pin("I2C_SCL"), sda=machine.Pin("I2C_SDA"),
                          freq=400_000)
        self.clock = Clock([DS3231(i2c), PCF8563(i2c)])
        self.storage = storage = Storage(pack, port.files, "none" if refused else profile.NAME,
                                         FlashRing(port.log_region()), self.clock)
        self.choice = Choice(name)
        storage.keep("profile", self.choice)
        self.installed = Installed()
        storage.keep("product", self.installed)
        storage.keep("allowance", pack.allowance)
        storage.keep("soc", pack.soc)
        storage.keep("requests", pack.requests)
        storage.keep("power", pack.power)
        storage.keep("pin", pack.rights.pin)
        storage.keep("starts", pack.cautions.starts)
        storage.keep("levels", pack.measurements.levels)
        self._trips = TripMemory(pack.protection)
        storage.keep("trips", self._trips)
        self.update_key = key = UpdateKey(pack.events)
        storage.keep("update_key", key)
        key.lost |= any(name == "update_key" for name, _ in storage.losses.noticed)
        pack.recall_over_charge()
        storage.open(port.ticks_ms())
        starts = pack.cautions.starts
        starts.begin(self.clock.now_s(port.ticks_ms()), port.ticks_ms(), pack)
        storage.save(starts, port.ticks_ms())       # before a FET can close
        pack.set_fault(FAULT_PROFILE, refused is not None)
        afe = BQ76952(
            port.afe_spi(machine.SPI(port.AFE_SPI, baudrate=1_000_000, polarity=0, phase=0,
                                     sck=machine.Pin("AFE_SCK"), mosi=machine.Pin("AFE_MOSI"),
                                     miso=machine.Pin("AFE_MISO"))),
            _out("AFE_CS", 1), port.wait_us, profile.CELLS)
        self._lamps = 0
        self._extra = 0                 # outputs that a board has on the lamp driver
        bothoff = _out("AFE_BOTHOFF")
        self._bothoff = GuardedPin(bothoff)
        limiter = port.limiter(self._set_extra)
        outputs = [self._bothoff, CheckedPin(_out("DO1")), CheckedPin(_out("DO2"))]
        self._contacts = contacts = tuple(outputs[1:])
        if isinstance(limiter, machine.Pin):
            limiter = CheckedPin(limiter)
            outputs.append(limiter)
        self.control = Control(afe, pack, self.shunt_uohm, self._bothoff, limiter, port.ticks_us,
                               self._pace)
        self._aux_spi = machine.SPI(port.AUX_SPI, baudrate=4_000_000, polarity=0, phase=0,
                                    sck=machine.Pin("AUX_SCK"), mosi=machine.Pin("AUX_MOSI"),
                                    miso=machine.Pin("AUX_MISO"))
        self._registers = ShiftRegisters(self._aux_spi, _out("LAMP_RCLK"))
        rocker = machine.Pin("ROCKER", machine.Pin.IN)
        self.panel = Panel(pack, self._show, TCA9534(i2c), port.buzzer(self._set_extra),
                           contacts, rocker, self.restart)
        number = version.VERSION.split(".")
        serial = "%-16s" % ("PC" + port.unique_id().hex().upper()[-14:])
        identity = Identity(profile.NAME.upper(), tuple(int(part) for part in number), serial)
        self.system = System(pack, identity)
        self.system.clock = self.clock
        protocol = Pcs(self.system, pack, identity)
        protocol.use_counters(storage.counters)
        pcs = machine.UART(port.PCS_UART, baudrate=params["pcs_baud"], tx=machine.Pin("PCS_TX"),
                           rx=machine.Pin("PCS_RX"), rxbuf=256, txbuf=512, timeout=0)
        can = MCP2515(self._aux_spi, _out("CAN_CS", 1), machine.Pin("CAN_INT", machine.Pin.IN),
                      port.wait_us, port.ticks_us)
        self.can = CanPort(can, self.system, pack, CanFrames(identity))
        parallel = machine.UART(port.PAR_UART, baudrate=9600, tx=machine.Pin("PAR_TX"),
                                rx=machine.Pin("PAR_RX"), rxbuf=256, txbuf=256, timeout=0)
        self.parallel = ParallelBus(
            parallel, _out("PAR_DE"), pack, self.system, port.unique_id(),
            lambda baud: port.set_baud(parallel, port.PAR_UART, baud), protocol.pace)
        pack.power.start(rocker() != 0, port.reset_cause() == machine.WDT_RESET)
        self.mark = port.survivor()
        self.went_on = self.mark[8] == _WENT_ON     # start_anew() has ordered this start
        if self.went_on:
            self.mark[8] = 0
        self.stuck = self.mark[0] or self.mark[8]   # 1 + number of the task that a watchdog reset
                                                    # interrupted or waited for, 0: none
        self._bothoff.dead_man = self.dead_man = port.dead_man(bothoff)
        self.supervisor = Supervisor(pack, self.dead_man, port.heartbeat(self._set_extra),
                                     port.heap_free, self.mark)
        storage.keep("error", self.supervisor.last_error)
        pack.set_fault(FAULT_HOT, not fast_functions_agree())
        self.self_tests = SelfTests(pack, port.ram(), port.program(), outputs, self.clock, afe,
                                    self.control, self.stop)
        self.self_tests.boot(port.ticks_ms(), self.went_on)
        self.supervisor.tests = self.self_tests
        self.prompt = self.supervisor.prompt = PromptWish(pack)
        self.reporter = Reporter(pack, self.control, self.supervisor)
        slots = port.image_slots() if hasattr(port, "image_slots") else None
        self.update = storage.update = Update(
            pack, Receiver(slots, port.NAME, version.VERSION, SET_VERSION, key), slots,
            self.start_anew)
        self.proof = storage.proof = self.supervisor.proof = Proof(slots, pack, self._give_way)
        self.identity_text = self._identity(name, serial)
        pcs_port = SerialPort(pcs, protocol, _out("PCS_DE"))
        commands = Commands(self, port.ticks_ms)
        answers = Answers(self, commands, port.ticks_ms, version.VERSION, port.NAME)
        provoke = Provoke(self, port.wait_us).make
        debug_port = self._debug_port(debug_uart, identity, commands, answers, provoke)
        usb_uart = port.usb_uart()
        self._pcs = pcs_port
        storage.ports += [pcs_port, self.parallel]      # the debug port's bytes come by DMA
        storage.senders += self.can, self.panel
        tasks = [
            Task("control", self.control, SCAN_MS, 0, 80, REST_MS),
            Task("pcs", pcs_port, 25, 3, 50, NEVER),
            Task("can", self.can, CAN_MS, 20, 50, NEVER),
            Task("debug", debug_port, 30, 7, 60),
            Task("parallel", self.parallel, ALONE_MS, 5, 60, NEVER),
            Task("panel", self.panel, PANEL_MS, 40, 40),
            Task("storage", storage, STORAGE_MS, 27, 500, REST_MS),
            Task("supervisor", self.supervisor, SUPERVISOR_MS, 53, 900,     # after pcs's poll
                 SUPERVISOR_REST_MS),
            Task("self_tests", self.self_tests, SELF_TEST_MS, 61, 500),
        ]
        if usb_uart is not None:
            usb_port = self._debug_port(usb_uart, identity, commands, answers, provoke, 4)
            tasks.append(Task("usb", usb_port, 30, 11, 60, USB_REST_MS))
        self.supervisor.stuck = self.stuck
        self.scheduler = Scheduler(tasks, port.ticks_us, self.mark, self.supervisor.record_error)
        self.supervisor.scheduler = self.scheduler
        self.control.task = tasks[0]
        self.parallel.task = next(task for task in tasks if task.name == "parallel")
        self.reporter.connect(tasks, self.can, self.system, storage)

    def _debug_port(self, uart, identity, commands, answers, provoke, pieces=8):
        """What serves *uart* as a debug port (COM-10). *pieces*: of ConsolePort."""
        pack, storage = self.pack, self.storage
        link = Link(pack, self.reporter, self.identity_text, commands, provoke, storage.records,
                    storage.stored, self.update)
        ascii_port = AsciiPort(self.system, pack, identity, Trusted(pack.rights.pin))
        return ConsolePort(uart, DebugPort(link, ascii_port, Console(answers, port.ticks_us)),
                           link, pieces)

    def boot(self):
        """Start the schedule; the control task brings the AFE up with both FETs off."""
        now_ms = port.ticks_ms()
        self.mark[0] = self.mark[8] = 0
        self.pack.events.add(now_ms, ev.BOOT, self.stuck, -1, port.reset_cause())
        self.proof.begin(now_ms)
        self.storage.start(now_ms)
        self.scheduler.start(port.ticks_ms())

    def run(self):
        """What is due, then sleep until the next is; until a person may have the prompt."""
        run_due = self.scheduler.run_due
        ticks_ms = port.ticks_ms
        idle_until = port.idle_until
        supervisor = self.supervisor
        prompt = self.prompt
        while not prompt.ready:
            due = run_due(ticks_ms())
            if supervisor.tidy_due:
                supervisor.tidy_due = False
                fill()
            idle_until(due)

    def leave(self):
        """To the prompt (SAF-10): the panel and DO1 stay as they are, both FETs off."""
        self._bothoff(0)
        self.storage.save_all(port.ticks_ms())
        self.dead_man.hold_open()
        port.prompt()

    def failed(self, error):
        """The main loop itself has raised *error*: on record, then a reset."""
        self.stop()
        try:
            self.supervisor.last_error.note("main", error)
            self.storage.save_all(port.ticks_ms())
            self.proof.give_up(RAISED, port.ticks_ms())
        except Exception:               # noqa: BLE001 - the reset is what matters now
            pass
        port.crashed(error)

    def stop(self):
        """Both FETs off, whatever happened, and the dry contacts at rest."""
        self._bothoff(0)
        for contact in self._contacts:
            contact(0)

    def _pace(self, rests, now_ms):
        """The pack sleeps or is off, or it is used again: fewer steps, or as many as ever."""
        port.rest(rests)
        self.scheduler.pace(rests, now_ms)
        if not rests:
            self._pcs.flush()

    def _set_extra(self, bit, level):
        """Set an output that this board has on bit *bit* of the lamp driver."""
        extra = self._extra | 1 << bit if level else self._extra & ~(1 << bit)
        if extra != self._extra:
            self._extra = extra
            self._show(self._lamps)

    def _show(self, word):
        self._lamps = word
        self._registers.show(word | self._extra)

    def _identity(self, name, serial):
        refused = "\nrefused=" + self.refused if self.refused else ""
        return "product=packctl\nversion=%s\nproto=1\nboard=%s\nprofile=%s\nhot=%s\n" \
            "afe_frames=%s\nserial=%s" % (version.VERSION, port.NAME, name, protect.KIND,
                                          bq_frames.KIND, serial) + refused

    def restart(self):
        """An orderly reset (RST-02): what has to last is stored."""
        self._trips.reset()
        self.start_anew(False)

    def _give_way(self):
        """This image has not proven itself: the boot stage starts the one before (SAF-06)."""
        try:
            self.start_anew(False)
        finally:
            machine.reset()

    def start_anew(self, prepared=True):
        """A reset that ends no protection and opens no lock (SAF-06).

        prepared   the storage has written nearly all ahead
        """
        self.stop()
        self.storage.save_all(port.ticks_ms(), prepared)
        self.mark[0] = 0                    # nobody was stuck
        self.mark[8] = _WENT_ON if prepared else 0
        machine.reset()


def chosen_profile():
    """(name of the profile that was chosen on this board, None or why that is not known, text of
    the profile in its flash or None)."""
    slots = Slots(port.files, "profile")
    kept = slots.load()
    own = Slots(port.files, "product").load()
    installed = own.decode() if own else None
    if kept is not None:
        return kept.decode(), None, installed
    name = getattr(port, "profile", None) or _DEFAULT
    return (name, "which profile was chosen is damaged" if slots.present == 2 else None,
            installed)


def build():
    """Put the pack together; nothing runs yet."""
    return App(*chosen_profile())


def main():
    """What a board does after power-on."""
    app = build()
    app.boot()
    try:
        app.run()
    except Exception as error:          # noqa: BLE001 - nothing is left that could go on
        app.failed(error)
    else:
        app.leave()


if __name__ == "__main__":
    main()
