"""The bench of one controller inside a web page: sim_worker.py with the page in place of pipes."""

import sys

_TOOLS = "/packctl/tools"
sys.path[0:0] = [_TOOLS + "/testbed/on_device", _TOOLS + "/testbed"]

import page                 # made by worker.mjs
import sim_worker
from rig_inverter import OFF, Inverter


class Lines:
    def readline(self):
        return page.readline()


class Out:
    def write(self, text):
        page.write(text)


class PageWorker(sim_worker.Worker):
    """Worker, with the simulated inverter in the same interpreter.

    inverter   None | Inverter of rig_inverter.py, which sees the wire alone. It acts at the
               beginning of each run, so the page runs a tenth of a second at a time
    """

    inverter = None

    def do_inverter(self, command):
        """Attach an inverter; port null: take it away."""
        options = command["options"]
        now_us = self.clock.now_us
        if self.inverter is not None:
            self.stand.set(dict(OFF), now_us)
        self.inverter = None if options["port"] is None else Inverter(now_us=now_us, **options)
        return {"ok": True}

    def do_run(self, command):
        if self.inverter is not None:
            self.let_inverter(command["io"])
        return super().do_run(command)

    def let_inverter(self, io):
        now_us = self.clock.now_us
        say, frames, fields = self.inverter.step(now_us)
        if say:
            io.append(["pcs", 0, say.hex(), None])
        for ident, text in frames:
            io.append(["can", 0, (ident.to_bytes(4, "big") + bytes((len(text) // 2,))
                                  + bytes.fromhex(text)).hex(), 0])
        if fields is not None:
            self.stand.set(dict(fields), now_us)

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
