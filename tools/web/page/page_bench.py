"""The bench of one controller inside a web page: sim_worker.py with the page in place of pipes."""

import random
import sys

_TOOLS = "/packctl/tools"
sys.path[0:0] = [_TOOLS + "/testbed/on_device", _TOOLS + "/testbed"]

import page                 # made by worker.mjs
import sim_worker
from rig_inverter import OFF, Inverter

_PATH = list(sys.path)
sys.path[0:0] = [_TOOLS, _TOOLS + "/models"]
from fleet_wires import Wires

sys.path[:] = _PATH         # the firmware must not find the bench's modules

_INVERTER_US = 100_000


class Lines:
    def readline(self):
        return page.readline()


class Out:
    def write(self, text):
        page.write(text)


class PageWorker(sim_worker.Worker):
    """Worker, with the simulated inverter in the same interpreter.

    inverter   None | Inverter of rig_inverter.py, which sees the wire alone. It acts at the
               beginning of a run, each tenth of a second
    wires      None | Wires, bus and bar of a fleet, in the interpreter of its first pack
    """

    inverter = wires = None
    inverter_us = 0             # when it acts next
    bar_fields = None           # what it did to charger and load, if a fleet has them

    def do_wires(self, command):
        """Join *count* packs; or let them have passed a chunk; or change charger and load."""
        if "count" in command:
            random.seed(command["seed"])
            self.wires = Wires(command["count"], random)
        if command.get("bar"):
            self.wires.set_bar(command["bar"])
        wires = self.wires
        if "packs" in command:
            for sender, start_us, data, baud in command["sent"]:
                wires.bus.put(sender, start_us, bytes.fromhex(data), baud)
            wires.settle(self.clock.now_us, command["us"], command["packs"])
        answer = {"ok": True, "bar_mv": wires.bar_mv, "load_ma": wires.bar.load_ma,
                  "only_ma": wires.only_ma, "chunk_us": wires.chunk_us}
        if "packs" in command:
            answer["hears"] = [[[port, delay_us, data.hex(), baud] for port, delay_us, data, baud
                                in wires.hears(i)] for i in range(len(wires.only_ma))]
        return answer

    def do_inverter(self, command):
        """Attach an inverter, or put another world around it; port null: take it away."""
        options = command["options"]
        now_us = self.clock.now_us
        if self.inverter is not None and self.inverter.port == options["port"]:
            self.inverter.change(**options)
            return {"ok": True}
        if self.inverter is not None:
            self.charger_and_load(OFF, now_us)
        self.inverter = None if options["port"] is None else Inverter(now_us=now_us, **options)
        return {"ok": True}

    def do_run(self, command):
        now_us = self.clock.now_us
        self.on_bar = "bar_mv" in command
        if self.inverter is not None and now_us >= self.inverter_us:
            self.inverter_us = now_us + _INVERTER_US
            self.let_inverter(command["io"])
        return super().do_run(command)

    def charger_and_load(self, fields, now_us):
        if self.on_bar:
            self.bar_fields = dict(fields)
        else:
            self.stand.set(dict(fields), now_us)

    def let_inverter(self, io):
        now_us = self.clock.now_us
        say, frames, fields = self.inverter.step(now_us)
        if say:
            io.append(["pcs", 0, say.hex(), None])
        for ident, text in frames:
            io.append(["can", 0, (ident.to_bytes(4, "big") + bytes((len(text) // 2,))
                                  + bytes.fromhex(text)).hex(), 0])
        if fields is not None:
            self.charger_and_load(fields, now_us)

    def run_answer(self):
        answer = super().run_answer()
        inverter = self.inverter
        if inverter is not None:
            for port, _, data, _ in answer["io"]:
                if port == "pcs":
                    inverter.pcs_bytes(bytes.fromhex(data))
                elif port == "can":
                    frame = bytes.fromhex(data)
                    inverter.can_frame(int.from_bytes(frame[:4], "big") & 0x1FFFFFFF,
                                       frame[5:5 + frame[4]])
            answer["inverter"] = inverter.told()
        if self.bar_fields is not None:
            answer["bar_fields"] = self.bar_fields
            self.bar_fields = None
        return answer


def run():
    worker = PageWorker(Lines(), Out())
    try:
        while worker.stand is None:
            worker.serve()
        worker.main()
    except sim_worker.Close:
        pass
    except BaseException as error:
        worker.answer({"ok": False, "fatal": True, "error": sim_worker.traceback_text(error)})
