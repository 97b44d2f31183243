#!/usr/bin/env python3
"""Any bytes on every port (COM-06), on CPython and on MicroPython's unix port.

    make fuzz                       10 million bytes a port on host, 1 million on unix
    make fuzz BYTES=50000 SEED=3    fewer, others

Each run is a process of its own (on_device/fuzz_driver.py); prints a line for each. Exit code 1 if
one has found something: the line says what was sent.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402, F401 - the path comes first

from rig_targets import TargetError, find_unix                  # noqa: E402

DRIVER = pathlib.Path(__file__).resolve().parent / "on_device" / "fuzz_driver.py"

PORTS = ("pcs", "pace-modbus", "voltronic", "debug", "slave", "master")
BYTES = {"host": 10_000_000, "unix": 1_000_000}


def fuzz(target, port, count, seed):
    """Run one; what the driver says as a dict. RuntimeError with its last words."""
    command = ([sys.executable, "-X", "utf8"] if target == "host"
               else [find_unix(), "-X", "heapsize=8M"])
    environment = dict(os.environ, PYTHONHASHSEED="0", MICROPYPATH=".frozen")
    done = subprocess.run([*command, str(DRIVER), port, str(count), str(seed)],
                          capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr).strip()[-3000:])
    return json.loads(done.stdout)


def main():
    seed = int(os.environ.get("SEED", "1"))
    jobs = [(target, port, int(os.environ.get("BYTES") or BYTES[target]), seed)
            for target in BYTES for port in PORTS]
    failed = False

    def run(job):
        start = time.monotonic()
        try:
            return job, fuzz(*job), time.monotonic() - start
        except (RuntimeError, TargetError) as error:
            return job, str(error), 0.0

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for (target, port, _, _), found, took_s in pool.map(run, jobs):
            if isinstance(found, str):
                failed = True
                print(f"{target:5} {port:12} FAILED: {found}", flush=True)
            else:
                print(f"{target:5} {port:12} {found['bytes']:>9} bytes, {found['answers']:>7} "
                      f"answers, {took_s:5.0f} s: nothing wrong", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
