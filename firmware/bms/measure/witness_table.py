"""Who can contradict whom: the witnesses of every measured channel (MEA-07), as data.

A channel that is alive moves by itself: its converter's noise, its cell, its air. One that stands
still bit for bit while its witness moves far enough is stuck. What moves, but wrongly, is told
by another channel that measures the same thing in another way.

  channel     witness                          contradicts it from on             worked by
  cells       the other cells, the stack       8 mV moved while it stands still   life.py
              neighbours, terminals            an open wire                       end_wires.py
  cells       sum beside the stack             0.15 V at rest, within 12 s        odd_sum.py
                                               ... 4 mV/A more, within a minute
  stack       the cells                        8 mV a cell                        life.py
              sum of the cells                 0.6 V of change, 4 % in all        levels.py
  terminals   the stack, both FETs closed      8 mV a cell                        life.py
  current     its own noise                    13 s of the same raw counts        witness.py
              sag of all cells and             a step of 3 A (sign: 1 A)          witness.py
              drop to the terminals            3 A that last, within a minute     witness.py
              both, for 20 s                   a gain below 0.7, above 1.4        witness.py
  every NTC   the others' noise                24 s of the same raw counts,       life.py
                                               4 s if all stand still
  cell NTCs   two of the others                1.5 K while it stands still        life.py
              heat of the current              6 (kA)2 s                          life.py
  MOSFET NTC  heat of the current, AFE's die   0.5 (kA)2 s, 5 K                   life.py
  ambient     AFE's die                        5 K                                life.py

Every one of these faults holds both FETs off. The ways back: a channel that stood still counts
again when it has moved 3 times; the current when it was near 0 for a minute with both FETs open,
but not a third time within an hour. The host's `clear` ends them all.
"""

from bms.words.rules import FAULT_CELLS, FAULT_STACK, FAULT_TEMPS, FAULT_TERMINALS
from bms.words.readings import AMBIENT_DC, MOS_DC, PACK_MV, STACK_MV, TEMP_DC
from micropython import const

# What has to move while a channel stands still
BY_CELLS = const(0)         # cells or stack
BY_STACK = const(1)         # the same, both FETs closed
BY_CELL_HEAT = const(2)     # two other thermistors of cells, or the heat of the current in them
BY_FET_HEAT = const(3)      # the heat of the current in the FETs, or the die
BY_DIE = const(4)           # the die

# How far: uV of a cell, or A2 in blocks of 0.8 s
OWED_UV = const(8_000)
CELL_HEAT = const(7_500_000)
FET_HEAT = const(625_000)
NEIGHBOURS_DC = const(15)
DIE_DC = const(50)

# Raw counts of thermistors and current, of 24 bits: the last bits are the converter's noise. Each
# is looked at every 2.1 s; so many looks in a row at one count are no noise, nor fewer of all
SENSORS = const(6)
SAME_COUNTS = const(12)
SAME_CURRENT = const(6)
ALL_SAME_COUNTS = const(2)
# sensor (cells 0..3, MOSFET 4, ambient 5) of each place in the AFE's raw counts
SENSOR_OF = (5, 0, 1, 2, 3, 4)

# witness, reading (-1: cells), channels, number of the first one in the fault, fault, visits
# (each 8 scans) that a channel has to stand still
CHANNELS: tuple = (
    (BY_CELLS, -1, 16, 0, FAULT_CELLS, 3),
    (BY_CELLS, STACK_MV, 1, -1, FAULT_STACK, 3),
    (BY_STACK, PACK_MV, 1, -1, FAULT_TERMINALS, 3),
    (BY_CELL_HEAT, TEMP_DC, 4, 0, FAULT_TEMPS, 75),
    (BY_FET_HEAT, MOS_DC, 1, 4, FAULT_TEMPS, 75),
    (BY_DIE, AMBIENT_DC, 1, 5, FAULT_TEMPS, 750),
)
