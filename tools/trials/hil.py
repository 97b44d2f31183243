#!/usr/bin/env python3
"""The scenarios on a real board with a box on its pins: make hil [PORT=... BOX=...].

PORT is the board's debug port (RS232, or an adapter for 3.3 V), BOX the USB port of the second
Pico. Where one is not given it is looked for: the box by its own word, the board by its answer on
a debug port. FLASH=<the board's USB port> puts this version on the board first. Scenarios that
need what this bench does not have are skipped, each with the reason.
"""

import argparse
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402
from packctl import errors, link  # noqa: E402
from packctl.ports import list_ports  # noqa: E402
import rig_box  # noqa: E402
from rig_targets import TargetError  # noqa: E402

REPORT = ("--html=build/report.html", "--self-contained-html", "--junitxml=build/report.xml")


def find_board(names, open_port=link.open_serial):
    """The one port among *names* at which a pack answers on its debug port."""
    found = []
    for name in names:
        try:
            stream = open_port(name)
        except errors.PackError:
            continue
        try:
            link.Client(link.StreamExchange(stream, timeout_s=0.5)).hello()
            found.append(name)
        except errors.PackError:
            pass
        finally:
            stream.close()
    if not found:
        raise TargetError("the bench: no board answers on a debug port; name it: PORT=<port> "
                          "(a board that does not run answers nowhere)")
    if len(found) > 1:
        raise TargetError(f"the bench: {len(found)} boards answer, at {' and '.join(found)}; "
                          "name the one that is wired to the box: PORT=<port>")
    return found[0]


def ports_of(port, box, names, open_port=link.open_serial):
    """(port of the board, port of the box); what is not given is looked for among *names*."""
    if port and port == box:
        raise TargetError(f"the bench: PORT and BOX are the same port, {port}")
    box = box or rig_box.only_box([name for name in names if name != port], open_port)
    return port or find_board([name for name in names if name != box], open_port), box


def main(argv=None):
    parser = argparse.ArgumentParser(description="The scenarios on a real board with a box.")
    parser.add_argument("--port", help="debug port of the board")
    parser.add_argument("--box", help="USB port of the box")
    parser.add_argument("--flash", metavar="PORT", help="USB port of the board: flash it first")
    parser.add_argument("-k", metavar="TEXT", help="scenarios whose name has TEXT")
    args = parser.parse_args(argv)
    if args.flash:
        done = subprocess.run([sys.executable, rooms.TOOLS / "image" / "flash.py", args.flash],
                              check=False)
        if done.returncode:
            return done.returncode
    try:
        port, box = ports_of(args.port, args.box, [p.name for p in list_ports() if p.usb])
    except (TargetError, errors.PackError) as error:
        print(f"hil: {error}", file=sys.stderr)
        return 1
    print(f"hil: board at {port}, box at {box}", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-n", "0", "tests_host/scenarios", "--targets",
         "serial", "-m", "serial", *(("-k", args.k) if args.k else ()), *REPORT],
        cwd=rooms.ROOT, check=False,
        env={**os.environ, "PACKCTL_PORT": port, "PACKCTL_BOX": box}).returncode


if __name__ == "__main__":
    sys.exit(main())
