"""The part of the bench that runs on the emulated board, sent through the raw REPL.

The stop-watch is outside: mark(n) stores n in a scratch register of the watchdog, where the
emulator sees it and takes down time and cycles. A mark costs the same whatever it marks, and that
is taken off (calibrate()). One thing is marked at a time, so that nothing counts the marks within.
"""

# ruff: noqa: F821 - instructions and registers are names of the inline assembler

import gc
import os
import sys

import main
import micropython

port = main.port
TAG_CALIBRATE = 1
_RECORD_BYTES = 26          # of the event log


@micropython.asm_thumb
def mark(r0):
    mov(r1, 0x40)               # 0x40058010, as the Cortex-M0+ can have it
    lsl(r1, r1, 24)
    mov(r2, 0x58)
    lsl(r2, r2, 12)
    add(r1, r1, r2)
    str(r0, [r1, 0x10])


_WRAPPER = """
def wrap(function, start, end, mark):
    def wrapped(%s):
        mark(start)
        result = function(%s)
        mark(end)
        return result
    return wrapped
"""


def wrapper(count):
    """wrap() for functions of *count* arguments: a call with * would cost more than the plain."""
    names = ", ".join("a%d" % i for i in range(count))
    space = {}
    exec(_WRAPPER % (names, names), space)
    return space["wrap"]


def calibrate(count):
    """Mark nothing, *count* times."""
    for _ in range(count):
        mark(2 * TAG_CALIBRATE)
        mark(2 * TAG_CALIBRATE + 1)


def start():
    """A pack with both FETs closed, as main() would have it."""
    os.dupterm(None)            # the prompt's watcher, which holds both FETs off (SAF-10)
    app = main.build()
    app.boot()
    for _ in range(2000):
        port.idle_until(app.scheduler.run_due(port.ticks_ms()))
        if app.pack.fets.actual == 3:
            return app
    raise RuntimeError("FETs stay open: state %d, faults %d" % (app.pack.state, app.pack.faults))


def cycles(app, count, run_due=None):
    """Run until *count* more scans were taken. *run_due* given: this loop allocates nothing."""
    run_due = run_due or app.scheduler.run_due
    measured = app.pack.measurements
    end = measured.seq + count
    steps = 100 * count
    while measured.seq < end:
        port.idle_until(run_due(port.ticks_ms()))
        steps -= 1
        if not steps:
            errors = [(task.name, task.last_error) for task in app.scheduler.tasks]
            raise RuntimeError("no scans any more: %r" % errors)


def arguments_of(app, owner, name):
    """How many arguments owner.name is called with."""
    function = getattr(owner, name)
    counts = []

    def counting(*arguments):
        counts.append(len(arguments))
        return function(*arguments)

    setattr(owner, name, counting)
    cycles(app, 1)
    setattr(owner, name, function)
    return counts[0]


def phases(app, count):
    """Mark each part of the control step for *count* cycles; print "tag name".

    The names are the firmware's: one that is gone there is printed as missing.
    """
    import bms.measure.measurements
    import bms.protect.protection
    import bq76952
    pack = app.pack
    control = app.control
    targets = (
        (10, control, "step"),
        (11, bq76952, "load_frames"),
        (12, bq76952, "run_frames"),
        (13, bq76952, "check_frames"),
        (14, pack.measurements, "take"),
        (15, bms.measure.measurements, "decode_scan"),
        (16, pack.protection, "step"),
        (17, bms.protect.protection, "protect_step"),
        (18, pack, "step"),
        (19, control, "_afe_is_sound"),
        (20, control, "_act"),
        (21, pack.fets, "read_back"),
        (22, pack, "_limit"),
    )
    calibrate(count)
    for tag, owner, name in targets:
        if not hasattr(owner, name):
            print("missing", name)
            continue
        wrap = wrapper(arguments_of(app, owner, name))
        function = getattr(owner, name)
        setattr(owner, name, wrap(function, 2 * tag, 2 * tag + 1, mark))
        cycles(app, count)
        setattr(owner, name, function)
        print(tag, name)


class _NoCollection:
    """Stands in for gc in the supervisor, which would give back what is to be counted."""

    def collect(self):
        pass


def memory(app, count):
    """Print bytes allocated in *count* cycles."""
    gc.collect()
    import tasks.supervisor
    kept = tasks.supervisor.gc
    tasks.supervisor.gc = _NoCollection()
    gc.disable()
    run_due = app.scheduler.run_due
    cycles(app, 1, run_due)
    before = gc.mem_alloc()
    cycles(app, count, run_due)
    after = gc.mem_alloc()
    print("allocated", after - before)
    for task in app.scheduler.tasks:
        step = task.work.step
        now_ms = port.ticks_ms()
        step(now_ms)
        before = gc.mem_alloc()
        for _ in range(20):
            step(now_ms)
        after = gc.mem_alloc()
        print("task", task.name, after - before)
    gc.enable()
    gc.collect()
    tasks.supervisor.gc = kept


def finish(app):
    app.stop()
    app.dead_man.hold_open()


# -- the protection step, three times ------------------------------------------------------


class _OneFile:
    """A file system that holds a compiled module, in RAM."""

    def __init__(self, name, data):
        self._name = name
        self._data = data

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        if path.lstrip("/") == self._name:
            return (0x8000, 0, 0, 0, 0, 0, len(self._data), 0, 0, 0)
        raise OSError(2)

    def open(self, path, mode):
        import io
        return io.BytesIO(self._data)


def load(name, data):
    """The module *name* of *data*, an .mpy."""
    import vfs
    vfs.mount(_OneFile(name + ".mpy", data), "/bench")
    sys.path.insert(0, "/bench")
    try:
        return __import__(name)
    finally:
        sys.path.remove("/bench")
        vfs.umount("/bench")


def variants(c_module):
    """[(tag, name, function)] of the protection step; c_module: the one in C."""
    from hot import protect_py
    from hot import protect_viper
    return ((30, "viper", protect_viper.protect_step), (31, "python", protect_py.protect_step),
            (32, "c", c_module.protect_step))


def calls(c_module, nothing):
    """[(tag, name, function)] of functions that take as many arguments and do nothing."""
    return ((2, "call viper", nothing.nothing_viper), (3, "call python", nothing.nothing_python),
            (4, "call c", c_module.nothing))


def recorded_call():
    """The arguments of the protection step that a healthy pack at rest gives it."""
    from array import array
    from bms.protect import protection as module
    from bms.words.parameters import Parameters
    from profiles import am5000 as profile
    values = array("i", (0 for _ in range(slots["COUNT"])))     # slots, STATE: sent by bench.py
    for name, slot in slots.items():
        if name.endswith("_DC"):
            for i in range(4 if name == "TEMP_DC" else 1):
                values[slot + i] = 250
        elif name in ("STACK_MV", "PACK_MV", "CELL_SUM_MV"):
            values[slot] = 53_200
    values[slots["MAX_CELL_MV"]] = 3330
    values[slots["MIN_CELL_MV"]] = 3320
    values[slots["SOC_CPCT"]] = 5000
    seen = []
    step = module.protect_step

    def recording(*arguments):
        seen.append(arguments)
        return step(*arguments)

    module.protect_step = recording
    protection = module.Protection(Parameters(profile.DEFAULTS))
    arguments = [values, 100, 0, 0, 0]
    while not seen:
        try:
            protection.step(*arguments)
        except TypeError:               # takes fewer
            arguments.pop()
    module.protect_step = step
    return seen[0]


def protection_time(c_module, nothing, count):
    """Time the three on the firmware's table, a healthy pack at rest; print "tag name"."""
    given = recorded_call()
    rows, state, values, items = given[:4]
    wrap = wrapper(len(given))
    calibrate(count)
    for tag, name, function in calls(c_module, nothing) + variants(c_module):
        for i in range(len(state)):
            state[i] = 0
        marked = wrap(function, 2 * tag, 2 * tag + 1, mark)
        for _ in range(count):
            marked(*given)
        print(tag, name)
    print("items", items)
    print("flags", sum(state))


def protection_same(c_module, steps, seed):
    """Step the three side by side on random tables and readings; print where they differ."""
    from array import array
    functions = variants(c_module)
    no_reading = -0x20000000
    items = 6
    number = seed

    def random(below):
        nonlocal number
        number = (number * 1103515245 + 12345) & 0x3FFFFFFF
        return (number >> 8) % below

    rows = array("i", (0 for _ in range(WIDTH * items)))
    states = [array("i", (0 for _ in range(STATE * items))) for _ in functions]
    readings = array("i", (0 for _ in range(8)))
    results = set()
    different = 0
    for step in range(steps):
        if step % 50 == 0:
            for state in states:
                for i in range(len(state)):
                    state[i] = 0
            for i in range(items):
                row = (random(8), random(2), random(200) - 100, random(200) - 100,
                       random(200) - 100, random(200) - 100, random(4) * 100, random(4),
                       random(8) & random(8), random(16) & random(16) & random(16),
                       random(3) * 300, random(3), random(4), random(16) & random(16),
                       random(256) & random(256) & random(256), random(2) * 400,
                       random(3) * 200)
                for column in range(WIDTH):
                    rows[i * WIDTH + column] = row[column]
        for i in range(8):
            readings[i] = no_reading if random(12) == 0 else random(240) - 120
        rest = (readings, items, random(2) * 100 + 50, random(16), 1000,
                random(256) & random(256) & random(256))
        said = [functions[k][2](rows, states[k], *rest) for k in range(len(functions))]
        results.add(said[1])
        for k in range(len(functions)):
            if said[k] != said[1] or states[k] != states[1]:
                different += 1
                if different < 5:
                    print("differ", step, functions[k][1], said, states[k], states[1])
    print("steps", steps, "results", len(results), "different", different)


def event_log(count):
    """Write *count* records into an empty log, open it anew as at a start; print what it took."""
    import time
    from flash_ring import FlashRing
    region = port.log_region()
    for sector in range(region.sectors):
        region.erase(sector)
    ring = FlashRing(region)
    ring.open()
    payload = bytearray(_RECORD_BYTES)
    write_us = worst_us = erases = 0
    for number in range(1, count + 1):
        if ring.wants_erase:
            ring.erase_ahead()
            erases += 1
        start_us = time.ticks_us()
        ring.append(number, payload)
        ring.commit()
        took_us = time.ticks_diff(time.ticks_us(), start_us)
        write_us += took_us
        worst_us = max(worst_us, took_us)
    start_us = time.ticks_us()
    again = FlashRing(region)
    again.open()
    print("open", time.ticks_diff(time.ticks_us(), start_us))
    start_us = time.ticks_us()
    held = 0
    for number in range(again.oldest, again.newest + 1):
        held += again.read(number, payload)
    print("read", time.ticks_diff(time.ticks_us(), start_us) // max(1, held))
    print("write", write_us // count)
    print("worst", worst_us)
    print("held", held)
    print("newest", again.newest)
    print("erases", erases)
