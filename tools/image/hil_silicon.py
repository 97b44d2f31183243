#!/usr/bin/env python3
"""What a real BQ76952 does, against what the models say it may do: make hil-silicon PORT=...

The chip, or TI's evaluation module set to SPI with CRC, is wired to the pins AFE_* of a Pico with
MicroPython (boards/README.md); PORT is that Pico's USB port. It must not be packctl that runs
there: its dead man's switch opens the FETs meanwhile. No load at the terminals. Prints a
table and writes build/silicon.md and build/silicon.json, which are to be sent to us.
"""

import argparse
import ast
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402

rooms.use(rooms.MODELS)
import board as model_board  # noqa: E402

SCRIPT = pathlib.Path(__file__).with_name("on_device") / "silicon_device.py"
_IDENTITY = "9576"
_NO_CELLS_MV = 500
_FASTEST_US = 35                # what a frame and MicroPython take before a pause is one


def ranges():
    """{figure: (lowest, highest)} of the models, over the whole tolerance."""
    return {row[0]: row[4] for row in model_board.ROWS}


def judged(found):
    """[(what, measured, what the models allow, verdict)] of the dict that the board printed.

    verdict: "as modelled", "OUTSIDE", or "not seen" with the reason
    """
    rows = []
    allowed = ranges()

    def row(what, measured, right, good, why=None):
        rows.append((what, measured, right,
                     f"not seen: {why}" if good is None else "as modelled" if good else "OUTSIDE"))

    if not found["there"]:
        row("any answer", "none", "an answer within 40 ms", False)
        return rows
    low, high = allowed["answer_us"]
    missing, enough = found["answer_us"]
    row("answer time of a direct command", f"more than {missing} us, at most {enough} us",
        f"{low:g} to {high:g} us", enough is not None and enough <= high * 1.5
        and (not missing or missing <= high))
    flags = found["patterns"]
    row("answer to a frame with a wrong CRC", flags["wrong_crc"], "ffffaa",
        flags["wrong_crc"] == "ffffaa")
    row("answer to a question that came too soon", flags["too_soon"], "ffff00, or the answer",
        flags["too_soon"] == "ffff00" or flags["too_soon"].startswith("12"))
    row("device number", found["device"], _IDENTITY, found["device"] == _IDENTITY)
    row("firmware version", found["version"], "any", True)
    high = allowed["config_answer_us"][1]
    times = [us for us in found["sub_us"] if us is not None]
    row("time of a sub-command", f"{min(times)} to {max(times)} us" if times else "never",
        f"at most {high:g} us and its own 9 ms", bool(times) and max(times) <= high + 9_000)
    for name, key, own in (("SET_CFGUPDATE", "entry_silence_us", 2000),
                           ("EXIT_CFGUPDATE", "exit_silence_us", 1000)):
        took = found["entry_us" if name.startswith("SET") else "exit_us"]
        most = allowed[key][1] + high + own + 1_000
        row(f"time of {name}", "never" if took is None else f"{took} us", f"at most {most:g} us",
            took is not None and took <= most)
    row("CONFIG_UPDATE is shown", f"battery status {found['in_update']:#04x}", "bit 0 set",
        bool(found["in_update"] & 1))
    for address, wanted, read in found["memory"]:
        row(f"data memory {address:#06x}", read, wanted, read == wanted)
    cells, (stack, pack, ld) = found["cells_mv"], found["terminals"]
    total = sum(cells)
    low, high = allowed["stack_gain"]
    if min(cells) < _NO_CELLS_MV:
        row("gain of STACK against the cells", f"lowest cell {min(cells)} mV",
            f"{low:g} to {high:g}", None, "there are no cells")
    else:
        # the user unit is 1 mV or 10 mV, as the chip is set
        stack_mv = stack if abs(stack - total) < total / 2 else stack * 10
        gain = stack_mv / total
        row("gain of STACK against the cells", f"{gain:.4f}", f"{low:g} to {high:g}",
            low - 0.003 <= gain <= high + 0.003)
    fets = found["fets"]
    row("both FETs close by their test", f"FET status {fets:#x}", "0x5", fets == 5)
    for name, before, value, key in (("PACK", pack, found["closed"][1], "pack_gain"),
                                     ("LD", ld, found["closed"][2], "ld_gain")):
        low, high = allowed[key]
        if fets != 5 or not found["closed"][0] or min(cells) < _NO_CELLS_MV:
            row(f"gain of {name} against STACK", f"{before}, {value}", f"{low:g} to {high:g}",
                None, "the FETs are open or there are no cells")
            continue
        gain = value / found["closed"][0]
        low, high = low / high, high / low          # both of them are off
        row(f"gain of {name} against STACK", f"{gain:.4f}", f"{low:.3f} to {high:.3f}",
            low - 0.003 <= gain <= high + 0.003)
    line = {int(level): seen for level, seen in found["bothoff"].items()}
    row("BOTHOFF by 0x92FB = 0xC6", f"high: {line[1]:#x}, low: {line[0]:#x}",
        "high: 0x5, low: 0x0", line == {1: 5, 0: 0})
    return rows


def page(rows, about):
    """The table as Markdown."""
    out = ["# A BQ76952 against the models", "", about, "",
           "| what | measured | the models allow | verdict |", "| --- | --- | --- | --- |"]
    out += ["| " + " | ".join(row) + " |" for row in rows]
    outside = sum(row[3] == "OUTSIDE" for row in rows)
    out += ["", f"{len(rows)} rows, {outside} outside."]
    return "\n".join(out) + "\n"


def main(argv=None):
    parser = argparse.ArgumentParser(description="A real BQ76952 against the models.")
    parser.add_argument("port", help="USB port of the board that the chip is wired to")
    parser.add_argument("--out", default="build", help="folder of silicon.md and silicon.json")
    args = parser.parse_args(argv)
    import flash
    try:
        wired = flash.Board(args.port)
        try:
            wired.interrupt(soft_reset=False)
            about = wired.about()
            if about[4]:
                raise flash.FlashError(
                    f"packctl {about[4]} is in this board's image, and its dead man's switch "
                    "would act within the measurement; use a Pico with MicroPython alone")
            about = " ".join(str(word) for word in about[:3])
            said = wired.run(SCRIPT.read_text("utf-8"), "asking the chip")
        finally:
            wired.close()
    except flash.FlashError as error:
        print(f"hil-silicon: {error}", file=sys.stderr)
        return 1
    found = ast.literal_eval(said.strip().splitlines()[-1])
    rows = judged(found)
    text = page(rows, about)
    folder = pathlib.Path(args.out)
    folder.mkdir(exist_ok=True)
    (folder / "silicon.md").write_text(text, "utf-8")
    (folder / "silicon.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(text)
    return int(any(row[3] == "OUTSIDE" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
