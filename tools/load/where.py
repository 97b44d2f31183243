#!/usr/bin/env python3
"""Where the core's time goes: samples the emulated board, by Python function and C function.

    .venv/bin/python tools/load/where.py [SECONDS] [--every MICROSECONDS] [--asks]

While the pack runs in steady state the emulator is stopped at even steps. The Python function is
the innermost one whose function object lies on the C stack, so a C function's time (a bus
transfer, say) counts for the Python function that called it. *self* is time in that function,
*with* the time in it and in what it called. --asks puts questions on RS485 and the debug port.
"""

import argparse
import bisect
import collections
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402, F401 - the path
import bench                                                    # noqa: E402
from packctl import link                                                     # noqa: E402
import toolchain                                                # noqa: E402

_RAM, _RAM_END = 0x20000000, 0x20042000
_STACK_WORDS = 600


class Symbols:
    """Names of addresses in an image."""

    def __init__(self, elf):
        lines = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        named = sorted((int(parts[0], 16), parts[2]) for parts in map(str.split, lines)
                       if len(parts) == 3)
        self._addresses = [address for address, _ in named]
        self._names = [name for _, name in named]
        self.of = dict(zip(self._names, self._addresses))

    def name(self, address):
        at = bisect.bisect_right(self._addresses, address) - 1
        return self._names[at] if at >= 0 else "?"

    def python_name(self, address):
        """module and function of frozen code, None if it is not that."""
        name = self.name(address)
        return readable(name) if name.startswith("fun_data_") else None


def readable(name):
    """fun_data_tasks_control__lt_module_gt__Control_step -> tasks_control: Control_step"""
    name = name[len("fun_data_"):].replace("__lt_module_gt_", ": ").replace(": _", ": ")
    return re.sub(r"_slash_|_dot_py", "", name)


class Sampler:
    def __init__(self, meter, elf):
        self.meter = meter
        self.core = meter.pico._core
        if self.core.kind != "c":
            raise SystemExit("where: the emulator's compiled core is needed (a C compiler)")
        self.ram = meter.pico.chip.sram
        self.symbols = Symbols(elf)
        self.kinds = {self.symbols.of[name] for name in
                      ("mp_type_fun_bc", "mp_type_fun_native", "mp_type_fun_viper",
                       "mp_type_fun_asm", "mp_type_gen_wrap") if name in self.symbols.of}
        self.python_self = collections.Counter()
        self.python_with = collections.Counter()
        self.c_self = collections.Counter()
        self.pairs = collections.Counter()
        self.samples = self.awake = 0

    def word(self, address):
        at = address - _RAM
        return int.from_bytes(self.ram[at:at + 4], "little")

    def function_at(self, value):
        """Name of the Python function whose object is at *value*, else None."""
        if value & 3 or not _RAM <= value < _RAM_END - 16:
            return None
        if self.word(value) not in self.kinds:
            return None
        return self.symbols.python_name(self.word(value + 12))

    def sample(self):
        pc, asleep = self.core.where()
        self.samples += 1
        if asleep:
            return
        self.awake += 1
        name = self.symbols.name(pc)
        seen = []
        if name.startswith("fun_data_"):
            seen.append(readable(name))
            name = "(machine code of Python)"
        stack = self.core._state.r[13]
        for address in range(stack, min(stack + 4 * _STACK_WORDS, _RAM_END - 16), 4):
            function = self.function_at(self.word(address))
            if function and function not in seen:
                seen.append(function)
        self.c_self[name] += 1
        self.python_self[seen[0] if seen else "(none)"] += 1
        self.pairs[seen[0] if seen else "(none)", name] += 1
        for function in seen:
            self.python_with[function] += 1


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seconds", nargs="?", type=float, default=4.0)
    parser.add_argument("--every", type=int, default=37, metavar="MICROSECONDS")
    parser.add_argument("--asks", action="store_true")
    parser.add_argument("--lines", type=int, default=40)
    args = parser.parse_args(argv)
    image = toolchain.firmware()
    meter = bench.new_meter(image)
    meter.run_until_edges(("fets.chg", "fets.dsg"))
    meter.run(2_000_000)
    sampler = Sampler(meter, image.elf)
    steps = int(args.seconds * 1_000_000 / args.every)
    for step in range(steps):
        if args.asks and step % (100_000 // args.every) == 0:
            number = step // (100_000 // args.every)
            if number % 2:
                meter.pico.uart_feed(0, bench.pylontech_request(0x42), 9600)
            else:
                meter.pico.debug_feed(link.encode(1 + number // 2 % 100, link.REPORT))
        meter.pico.run_for(args.every)
        sampler.sample()
    scale = args.every * 1000 / (steps * args.every / 1000)     # us in a second, per sample
    print(f"emulated: awake {100 * sampler.awake / sampler.samples:.2f} % of {args.seconds:g} s")
    print("\n  us/s self    with   Python function")
    for name, count in sampler.python_self.most_common(args.lines):
        print(f"{count * scale:11.0f} {sampler.python_with[name] * scale:7.0f}   {name}")
    print("\n  us/s self   Python function: C function")
    for (python, c), count in sampler.pairs.most_common(args.lines):
        print(f"{count * scale:11.0f}   {python}: {c}")
    print("\n  us/s self   C function")
    for name, count in sampler.c_self.most_common(args.lines // 2):
        print(f"{count * scale:11.0f}   {name}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:             # `... | head` has seen enough
        sys.stderr.close()
