"""What one board and what hangs on its terminals are like: figures drawn from a seed.

No two boards are alike: gains, latencies, resistors and capacitors each lie somewhere in their
tolerance. draw() throws the dice for all of them at once; the stand hands the result to the cell
model and to the chip models. The same seed gives the same board on every interpreter, and a
figure does not move when the range of another one changes.

One source for CPython and MicroPython's unix port.
"""

import math
from plant import CELLS, Xorshift

LINEAR, LOG, INVERSE = 0, 1, 2

# ONE table of ranges. Append new rows at the end: each row takes its dice in turn.
#
# `full` is the tolerance that the requirement names. `today` is what the stand hands on, because
# the firmware does not live with all of it yet: widen a row by making `today` None once it does.
# A range of one value, (x, x), is not spread at all. A fault sets a figure to anything.
#
# INVERSE: the reciprocal is drawn evenly; None is infinity (no leak at all).
#
#   name             count  ideal    scale    full             today
ROWS = (
    # AFE: chip select high until the answer to a direct command is there
    ("answer_us", 1, 30.0, LOG, (20.0, 1000.0), None),
    # AFE: the same after a sub-command or a write of its configuration
    ("config_answer_us", 1, 50.0, LOG, (50.0, 5000.0), None),
    # AFE: cells, before calibration; reference, cell and offset together stay within +-10 mV
    ("cell_gain", CELLS, 1.0, LINEAR, (0.9992, 1.0008), (1.0, 1.0)),
    ("cell_offset_mv", CELLS, 0.0, LINEAR, (-4.0, 4.0), (-1.5, 1.5)),
    ("reference_gain", 1, 1.0, LINEAR, (0.9992, 1.0008), (1.0, 1.0)),
    # AFE: top of the stack and the two terminal inputs, each on its own, before calibration
    ("stack_gain", 1, 1.0, LINEAR, (0.975, 1.025), None),
    ("pack_gain", 1, 1.0, LINEAR, (0.975, 1.025), None),
    ("ld_gain", 1, 1.0, LINEAR, (0.975, 1.025), None),
    # shunt, its amplifier and VREF2
    ("current_gain", 1, 1.0, LINEAR, (0.985, 1.015), (0.999, 1.001)),
    ("current_offset_ma", 1, 0.0, LINEAR, (-10.0, 10.0), (-10.0, 10.0)),
    # AFE: current source of the load detection on LD
    ("ld_source_ua", 1, 100.0, LOG, (35.0, 172.0), (35.0, 172.0)),
    # AFE: pull-up of the thermistor inputs against its factory trim; thermistors in 0.1 K
    ("ntc_pull_gain", 1, 1.0, LINEAR, (0.9, 1.1), None),
    ("ntc_offset_dc", 6, 0.0, LINEAR, (-3.0, 3.0), (-3.0, 3.0)),
    # what hangs on the terminals: capacitors of an inverter with their series resistance
    # (leads, switch, their own), and what leaks
    ("terminal_uf", 1, 0.0, LINEAR, (0.0, 40_000.0), (0.0, 0.0)),
    ("terminal_ohm", 1, 1.0, LOG, (0.1, 50.0), (0.1, 50.0)),
    ("terminal_kohm", 1, None, INVERSE, (20.0, None), (None, None)),
    # resistor in the pre-discharge path
    ("pdsg_ohm", 1, 1.0, LINEAR, (0.95, 1.05), (0.95, 1.05)),
    # AFE: silence after SET_CFGUPDATE and after EXIT_CFGUPDATE
    ("entry_silence_us", 1, 0.0, LINEAR, (0.0, 2000.0), None),
    ("exit_silence_us", 1, 0.0, LINEAR, (0.0, 1000.0), None),
    # AFE: beyond one half: a frame that comes while it is busy waits and is not lost
    ("latches", 1, 0.0, LINEAR, (0.0, 1.0), None),
    # AFE: beyond one half: Cell Balance Max Cells limits the host's masks too
    ("host_max_cells", 1, 0.0, LINEAR, (0.0, 1.0), None),
    # CAN controller: recessive bits before its first frame after a change of mode
    ("can_idle_bits", 1, 0.0, LINEAR, (0.0, 11.0), None),
    # AFE: noise of a thermistor's conversion, in counts of 24 bits: 16 of them are good
    ("ntc_noise_counts", 1, 30.0, LOG, (4.0, 100.0), None),
    # AFE: noise of the current's conversion, likewise; 34 are 1 uV
    ("cc_noise_counts", 1, 50.0, LOG, (10.0, 100.0), None),
)
NAMES = tuple([row[0] for row in ROWS])


def _round(value):
    """To nine digits, so that the last bit of a libm does not show."""
    if value is None or not value:
        return value
    scale = 10.0 ** (8 - math.floor(math.log10(abs(value))))
    return math.floor(value * scale + 0.5) / scale


def _between(part, ideal, scale, low, high, spread):
    """The value at *part* (0..1) of the range low..high shrunk by *spread* towards *ideal*."""
    if scale == INVERSE:
        least, most = (0.0 if v is None else 1.0 / v for v in (high, low))
        middle = 0.0 if ideal is None else 1.0 / ideal
    elif scale == LOG:
        least, middle, most = math.log(low), math.log(ideal), math.log(high)
    else:
        least, middle, most = low, ideal, high
    least = middle + (least - middle) * spread
    most = middle + (most - middle) * spread
    value = least + (most - least) * part
    if scale == INVERSE:
        return 1.0 / value if value > 1e-9 else None
    return math.exp(value) if scale == LOG else value


def draw(seed, spread=1.0, full=False):
    """{name: figure, or a list of them} of the board that *seed* means.

    spread   0: the ideal board; 1: anywhere in its tolerance
    full     the whole of each tolerance, whether the firmware is known to live with it or not
    """
    rng = Xorshift(seed ^ 0xB0A2D)
    board = {}
    for name, count, ideal, scale, whole, today in ROWS:
        low, high = whole if full or today is None else today
        values = []
        for _ in range(count):
            part = rng.next() / 4294967296.0
            values.append(ideal if not spread or low == high == ideal else
                          _round(_between(part, ideal, scale, low, high, spread)))
        board[name] = values if count > 1 else values[0]
    return board


def ideal():
    """The board with no errors at all."""
    return draw(0, 0)
