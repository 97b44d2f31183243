"""Cuts the supply within every flash operation of what the firmware keeps, on MicroPython's unix
port with its real littlefs on a model of the flash (flash_model.py). Started by powercut.py.

    powercut_device.py WORKLOAD QUICK      prints one JSON object a line

A workload is a series of steps. Before each the flash is remembered; the step is done once whole,
to count its operations, then once for each operation and fraction with the supply cut there. After
each cut the controller starts again from what the flash holds, and what it says is compared with
what it said before the step and would say after it.
"""

import gc
import json
import sys
import time

HERE = __file__.rsplit("/", 1)[0]
TOOLS = HERE.rsplit("/", 2)[0]
ROOT = TOOLS.rsplit("/", 1)[0]
sys.path[0:0] = [ROOT + "/firmware", ROOT + "/lib", TOOLS + "/models"]

import vfs                                                  # noqa: E402 - the paths come first
from bms.words import events as ev  # noqa: E402
from bms.records import kept  # noqa: E402
from bms.pack import Pack  # noqa: E402
from bms.words.parameters import TABLE, Parameters  # noqa: E402
from clock import Clock                                     # noqa: E402
from flash_model import SECTOR, Cut, NorFlash, Partition    # noqa: E402
from flash_ring import FlashRing                            # noqa: E402
from profiles import am5000                                 # noqa: E402
from region import BlockRegion                              # noqa: E402
from slots import FlashFiles, Slots                         # noqa: E402
from tasks.storage import Storage                           # noqa: E402

FILES, LOG = 24, 6              # sectors: few, so that both go round
FRACTIONS = tuple([0.0] + [(2 * k + 1) / 32 for k in range(16)] + [0.999])
QUICK_FRACTIONS = (0.0, 0.28, 0.53, 0.97)
FOLDER = "/cut"


class Chip:
    """A clock chip that always shows the same time."""

    name = "fixed"

    def read(self, out):
        out[:] = [2026, 5, 17, 12, 0, 0]
        return True


class Starts:
    """The flash, and the controller that starts from it again and again."""

    def __init__(self):
        self.flash = NorFlash(FILES + LOG)
        self.parts = []
        part = Partition(self.flash, 0, FILES)
        vfs.VfsLfs2.mkfs(part, progsize=256)

    def start(self):
        """A controller as main.py builds it: what is kept is loaded, and its start is recorded."""
        for part in self.parts:
            part.dead = True
        try:
            vfs.umount(FOLDER)
        except OSError:
            pass
        self.parts = [Partition(self.flash, 0, FILES), Partition(self.flash, FILES, LOG)]
        vfs.mount(vfs.VfsLfs2(self.parts[0], progsize=256), FOLDER)
        params = Parameters(am5000.DEFAULTS)
        pack = Pack(am5000, params, 100)
        storage = Storage(pack, FlashFiles(FOLDER + "/"), "am5000",
                          FlashRing(BlockRegion(self.parts[1])), Clock([Chip()]))
        storage.keep("allowance", pack.allowance)
        storage.keep("soc", pack.soc)
        storage.keep("requests", pack.requests)
        storage.keep("power", pack.power)
        storage.open(0)
        pack.events.add(0, ev.BOOT)
        storage.start(0)
        return storage


def settled(storage, steps=60):
    """Let the storage do what is due, as the scheduler would."""
    for i in range(steps):
        storage.step(100 * i)


def seen(storage):
    """What a controller says of itself: parameters, charge, counters, records."""
    pack = storage.pack
    records = {}
    for seq in range(storage.records.oldest, pack.events.newest + 1):
        record = storage.records.read(seq, 0)
        if record is not None:
            records[seq] = record[1:6]
    first = pack.first_out
    return {"params": pack.params.pairs(), "soc": kept_soc(pack), "records": records,
            "trips": list(storage.counters.trips), "first": first[:4] if first else None,
            "power": (pack.power.tries, pack.power.full_trips, pack.power.full_s)}


def kept_soc(pack):
    soc = pack.soc
    return (soc.remaining_mah, soc.full_mah, soc.cycles) if soc.is_set else None


# ---- what is cut -------------------------------------------------------------------------------


def log(starts, step):
    """Records, as they come: alarms, trips, first-outs; sectors are begun and erased ahead."""
    def do(storage):
        events = storage.pack.events
        for i in range(5):
            event = (ev.ALARM, ev.TRIP, ev.FIRST_OUT, ev.STATE, ev.RELEASE)[i]
            events.add(i, event, (step + i) % 18, i - 1, 1000 * step + i, -step)
            storage.step(100 * i)
        settled(storage, 25)
    return do


def params(starts, step):
    """A parameter is set, and kept by itself."""
    def do(storage):
        storage.pack.params.set("cell_ov_trip_mv", 3600 + step)
        if step % 5 == 0:
            storage.pack.params.set("boost_s", step % 180)
        settled(storage, 30)
    return do


def many_params(starts, step):
    """So many that they do not fit beside their name: littlefs gives them a block."""
    def do(storage):
        for row in TABLE:
            if row[1].startswith("cal_"):
                storage.pack.params.set(row[1], 1 + step % 9)
        settled(storage, 30)
    return do


def save(starts, step):
    """The host says save."""
    def do(storage):
        storage.pack.params.set("cell_uv_trip_mv", 2700 - step)
        storage.save_params(0)
    return do


def soc(starts, step):
    """The state of charge has moved."""
    def do(storage):
        estimate = storage.pack.soc
        if not estimate.is_set:
            estimate.start(3300, 250)
        for _ in range(8):
            estimate.step(-11_000 * 10, 10_000, -39_600, 3300, 3290, 250, False)
        estimate.saved()
        estimate._saved_cpct = -1       # dirty, however little has moved
        settled(storage, 30)
    return do


def power(starts, step):
    """Timed wakes in vain, an over-charge protection and how long it has waited."""
    def do(storage):
        kept_power = storage.pack.power
        kept_power.tries = step % 10
        kept_power.full_trips = 5 if step % 3 else 0
        kept_power.full_s = 4000 * step if step % 3 else 0
        settled(storage, 30)
    return do


def everything(starts, step):
    """A reset by command or button, a sleep, the rocker: all is written."""
    def do(storage):
        estimate = storage.pack.soc
        if not estimate.is_set:
            estimate.start(3300, 250)
        storage.pack.params.set("cell_ov_trip_mv", 3600 + step)
        storage.pack.events.add(1, ev.TRIP, step % 18, 3, step, 2)
        storage.save_all(0)
    return do


def restore(starts, step):
    """Some values set and kept, then the defaults restored."""
    def do(storage):
        if step % 2:
            storage.pack.params.restore()
        else:
            storage.pack.params.set("cell_ov_trip_mv", 3610 + step)
            storage.pack.params.set("nominal_ma", 40_000 + step)
        storage.pack.events.add(1, ev.PARAMETER, 0xFF)
        settled(storage, 30)
    return do


def migration(starts, step):
    """A set of another version: an id that is gone, a value out of its range, two against a rule;
    the start takes what it can, and keeps what it has become."""
    old = [(2, 3610 + step), (4, 2500), (9999, 7), (1, 9000), (5, 2500), (6, 2650)]
    part = Partition(starts.flash, 0, FILES)
    vfs.umount(FOLDER)
    vfs.mount(vfs.VfsLfs2(part, progsize=256), FOLDER)
    Slots(FlashFiles(FOLDER + "/"), "params-am5000").save(kept.pack_set(old))

    def do(storage):
        settled(storage, 30)
    return do


WORKLOADS = {"log": (log, 60), "params": (params, 30), "many-params": (many_params, 8),
             "save": (save, 12), "soc": (soc, 24), "power": (power, 12), "reset": (everything, 10),
             "restore": (restore, 12), "migration": (migration, 8)}


# what a start records of itself
OF_A_START = (ev.BOOT, ev.PARAM_DROPPED, ev.STORE_LOST, ev.FAULT)
LOST = (ev.FIRST_OUT, 18 + 23)      # first-out of SAF-09-lost


def judge(before, after, during, now):
    """What is wrong with *now*, said after a cut: list of texts.

    during   numbers of records that were in flash before the cut; the one in work may be missing
    """
    wrong = []
    if now["params"] not in (before["params"], after["params"]):
        wrong.append("parameters: %r" % (now["params"],))
    if now["soc"] not in (before["soc"], after["soc"]):
        wrong.append("charge: %r, not %r or %r" % (now["soc"], before["soc"], after["soc"]))
    if now["power"] not in (before["power"], after["power"]):
        wrong.append("power: %r, not %r or %r" % (now["power"], before["power"], after["power"]))
    whole = dict(before["records"])
    whole.update(after["records"])
    for seq in during:
        if seq not in now["records"] and seq >= min(after["records"]):
            wrong.append("record %d is lost" % seq)
    newest = max(before["records"])
    for seq, record in now["records"].items():
        if record != whole.get(seq) and record[0] not in OF_A_START and record[:2] != LOST:
            if seq <= newest or record[0] != ev.BOOT:
                wrong.append("record %d is %r, was %r" % (seq, record, whole.get(seq)))
    return wrong


def run(name, quick):
    make, steps = WORKLOADS[name]
    fractions = QUICK_FRACTIONS if quick else FRACTIONS
    starts = Starts()
    flash = starts.flash
    storage = starts.start()
    settled(storage)
    result = {"workload": name, "steps": steps, "operations": 0, "erases": 0, "cuts": 0,
              "missing": 0, "wrong": 0, "failed": 0, "slowest_ms": 0, "examples": []}
    for step in range(steps):
        do = make(starts, step)
        origin = bytes(flash.data)
        storage = starts.start()
        before = seen(storage)
        ops = flash.ops
        erases = sum(flash.erases)
        do(storage)
        after = seen(storage)
        count = flash.ops - ops
        final = bytes(flash.data)
        erased = sum(flash.erases) > erases
        if quick and step % 8 and not erased:
            continue
        result["operations"] += count
        result["erases"] += sum(flash.erases) - erases
        for k in range(1, count + 1):
            for torn in fractions:
                flash.data[:] = origin
                cut_once(starts, do, k, torn, before, after, result)
        flash.data[:] = final
        gc.collect()
    print(json.dumps(result))


def cut_once(starts, do, k, torn, before, after, result):
    flash = starts.flash
    storage = starts.start()
    flash.cut(k, torn)
    try:
        do(storage)
        raise RuntimeError("the cut did not come")
    except Cut:
        pass
    finally:
        flash.cut(0, 0)
    during = list(range(storage.records.oldest, storage.records.written + 1))
    result["cuts"] += 1
    begun = time.ticks_ms()
    try:
        again = starts.start()
        took_ms = time.ticks_diff(time.ticks_ms(), begun)
        now = seen(again)
        work = storage.records.written + 1
        if result["workload"] == "log" and now["records"].get(work) != after["records"].get(work):
            result["missing"] += 1
        wrong = judge(before, after, during, now)
    except Exception as error:
        import io
        text = io.StringIO()
        sys.print_exception(error, text)
        result["failed"] += 1
        note(result, k, torn, ["does not start: " + text.getvalue()])
        return
    result["slowest_ms"] = max(result["slowest_ms"], took_ms)
    if wrong:
        result["wrong"] += 1
        note(result, k, torn, wrong)


def note(result, k, torn, texts):
    if len(result["examples"]) < 5:
        result["examples"].append("operation %d, %.3f done: %s" % (k, torn, "; ".join(texts[:3])))


if __name__ == "__main__":
    assert SECTOR == 4096
    run(sys.argv[1], sys.argv[2] == "1")
