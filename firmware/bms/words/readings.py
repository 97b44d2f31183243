"""What one scan measured, as slots of one array of ints: the input of the protection table."""

from micropython import const

NO_READING = const(-0x20000000)     # not measured, or not to be believed

MAX_CELL_MV = const(0)
MIN_CELL_MV = const(1)
CELL_DIFF_MV = const(2)
CELL_SUM_MV = const(3)
STACK_MV = const(4)         # battery side of the FETs
PACK_MV = const(5)          # terminals
CURRENT_MA = const(6)       # charging positive
CHARGE_MA = const(7)        # 0 or more
DISCHARGE_MA = const(8)     # 0 or more
MIN_TEMP_DC = const(9)
MAX_TEMP_DC = const(10)
TEMP_DC = const(11)         # four slots, one a cell thermistor
MOS_DC = const(15)
AMBIENT_DC = const(16)
DIE_DC = const(17)
SOC_CPCT = const(18)
MAX_CELL = const(19)        # index of the highest cell
MIN_CELL = const(20)
REVERSED = const(21)        # 1: charger connected the wrong way round
SHORTED = const(22)         # after a short circuit: 0, OVER or TRY
LD_MV = const(23)           # load-detect pin
SCAN_HASH = const(24)       # of cells, stack, terminals and current: the same means nothing moved
DEEP_CELL_MV = const(25)    # lowest cell as the floor of deep discharge looks at it (PRO-29)
CHARGE_IGNORED_S = const(26)        # time beyond the told charge limit (PRO-30)
DISCHARGE_IGNORED_S = const(27)
PRECHARGE = const(28)       # 1: pre-discharge is refused, -1: it may be tried again (PWR-03)
COUNT = const(29)

OVER = const(-1)            # of SHORTED: it is seen to be gone
TRY = const(-2)             # nothing says so, and it is time to try

UNITS = {MAX_CELL_MV: "mV", MIN_CELL_MV: "mV", CELL_DIFF_MV: "mV", CELL_SUM_MV: "mV",
         CURRENT_MA: "mA", CHARGE_MA: "mA", DISCHARGE_MA: "mA", MIN_TEMP_DC: "dC",
         DEEP_CELL_MV: "mV", CHARGE_IGNORED_S: "s", DISCHARGE_IGNORED_S: "s",
         MAX_TEMP_DC: "dC", MOS_DC: "dC", AMBIENT_DC: "dC", SOC_CPCT: "cpct"}

# Calibration array: gains as 32768ths beyond 1, offsets to subtract
CAL_CELL_GAIN = const(0)
CAL_CELL_OFFSET = const(16)
CAL_CURRENT_GAIN = const(32)
CAL_CURRENT_OFFSET = const(33)
CAL_TEMP_OFFSET = const(34)     # cells 1..4, MOSFET, ambient
CAL_STACK_GAIN = const(40)      # then gain and offset of terminals and of the load-detect pin
CAL_STACK_OFFSET = const(41)
CAL_PACK_GAIN = const(42)
CAL_PACK_OFFSET = const(43)
CAL_LD_GAIN = const(44)
CAL_LD_OFFSET = const(45)
CAL_COUNT = const(46)

# Doubts about a scan, bits
CELL_IMPLAUSIBLE = const(0x01)      # a cell at 0 V or beyond the chip's range
SUM_IMPLAUSIBLE = const(0x02)       # sum of cells and stack voltage do not agree
NTC_OPEN = const(0x04)
NTC_SHORT = const(0x08)
WIRE_OPEN = const(0x10)             # two neighbours off by as much, in opposite directions
