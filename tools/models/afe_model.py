"""The battery front end BQ76952 as its registers show it: SPI frames in, FETs out.

It stands where the chip would, in the variant that starts up in SPI with CRC, and shares no
code with the driver it judges. One source for CPython and MicroPython's unix port.

Time is an integer in microseconds and comes with every call. Between events nothing is
computed: a measurement is worked out when its register is read, from the cells as they were
at that register's own last slot; comparators are looked at when the cells change and then
only wait for their delay. So advance() costs one comparison while nothing happens, and it has
to be called at next_us at the latest.

What differs from chip to chip is an attribute with the value of an ideal chip; the board that
a seed draws sets it (see AfeModel).

Not modelled: permanent failures, fuse, OTP, the pre-charge path, automatic balancing (balancing
by mask and by level are), I2C.
"""

import math
from array import array
from afe_memory import (COV, CUV, DM_BASE, DM_SIZE, OCC, OCD1, OCD2, SCD, THERMISTORS,
                        Settings)
from plant import CELLS, FAR_US, Xorshift
from quick import micropython

_floor = math.floor

T_PROC_US = 30              # an ideal chip's answer is ready this long after chip select rises
T_FRAME_US = 24             # 24 clocks at 1 MHz, for frame3() without an end
_GRID_COMP_US = 3300        # comparators of voltage and over-current
_T_GATE_US = 30             # comparator, driver and gate, after the detector's own delay
_T_CC1_US = 250_000
_T_SECOND_US = 1_000_000
_T_START_US = 4_300         # power-on to first answer
_T_RESET_US = 60_000        # sub-command RESET to first answer
_UV_PER_COUNT = 7.5684      # coulomb counter, 16-bit count
_CAP_PER_GAIN = 298261.6178
_BODY_US = 6_000            # pace at which it looks at its own current for the body diodes
_PDSG_US = 5_000            # pace at which it compares LD with the stack in pre-discharge
_HOST_BALANCE_S = 20        # a mask that is not written again ends after this long

# modes
NORMAL, SLEEP, DEEPSLEEP, SHUTDOWN, STARTING = 0, 1, 2, 3, 4

# parts of the measurement that may stand still alone: words of the direct commands
PARTS = {"cells": tuple(range(0x0A, 0x1A)), "stack": (0x1A,), "terminals": (0x1B, 0x1C),
         "current": (0x1D,), "temps": tuple(range(0x34, 0x3E))}

_COMMANDS_US = {            # execution times that are not the ordinary one
    0x0004: 8500, 0x0005: 450, 0x0009: 650, 0x0071: 660, 0x0072: 660, 0x0073: 660,
    0x0074: 660, 0x0075: 660, 0x0076: 660, 0x0077: 660, 0x0090: 2000, 0x0092: 1000,
    0x0080: 100, 0x0081: 100, 0x0086: 100, 0x0087: 100,
}
_ORDINARY_US = 50


def _crc_table():
    table = bytearray(256)
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
        table[value] = crc
    return bytes(table)


_CRC = _crc_table()


def crc8(b0, b1):
    """CRC of the first two bytes of a frame."""
    return _CRC[_CRC[b0] ^ b1]


def ntc_ohm(temp_c):
    """The board's thermistor: 10k at 25 degC, B = 3435 K."""
    return 10_000.0 * math.exp(3435.0 * (1.0 / (temp_c + 273.15) - 1.0 / 298.15))


def _s16(value):
    """To a 16-bit register, clamped."""
    if value > 32767:
        value = 32767
    elif value < -32768:
        value = -32768
    return value & 0xFFFF


class AfeModel:
    """The chip on *plant*.

    seed    its own errors and its noise
    noise   scale of these: 1 is a good board, 0 a perfect one
    board   figures of this board, as board.draw() makes them; None: ideal, with small errors of
            its own in the scale of *noise*
    on_edge called with (t_us, signal, value) when chg, dsg or the balancing changes

    Bus: select(now), shift(byte) three times, deselect(now); or frame3() for all of it.
    Faults are plain attributes; faults_changed() after a change.

    The board's figures, each with its ideal value; faults_changed() after a change:
    latency_us        from a frame's end until its answer is ready
    write_latency_us  the same after a sub-command (0x3F) or a committed block (0x61)
    entry_silence_us, exit_silence_us   the same after SET_CFGUPDATE and after EXIT_CFGUPDATE
    latches           a frame that comes meanwhile: True: is worked on next | False: is lost
    cell_error_mv     16 offsets; cell_gain: 16 gains
    stack_gain, pack_gain, ld_gain, current_gain
    reference         gain of every voltage that the ADC measures
    pullup_gain       the thermistors' pull-up before its factory trim
    host_max_cells    Cell Balance Max Cells limits a mask of the host too
    ld_source_ua      of load detection
    """

    def __init__(self, plant, seed=1, noise=1.0, now_us=0, board=None):
        self.plant = plant
        # the cells' wires by the manual: from the lowest input on, but the last cell at the top
        # one; the inputs between are shorted
        self.count = plant.cells
        self.input_of = list(range(self.count - 1)) + [CELLS - 1]
        self._cell_of = [min(k, self.count - 1) for k in range(CELLS)]
        self._shorted = [0.0] * (CELLS - self.count)
        self._uv_ma = plant.shunt_uohm / 1000.0
        self.on_edge = None
        rng = Xorshift(seed ^ 0xAFE)
        self._rng = rng
        scale = noise
        self._cell_offset = [rng.uniform(-1.5, 1.5) * scale for _ in range(CELLS)]
        self._noise_mv = self._noise_table(rng, 0.3 * scale)
        self._noise_uv = self._noise_table(rng, 1.5 * scale)                # 6 mA a slot
        self._gain = 1.0 + rng.uniform(-0.001, 0.001) * scale
        self._offset_uv = rng.uniform(-2.5, 2.5) * scale                    # +-10 mA
        self._stack_gain = 1.0 + rng.uniform(-0.0005, 0.0005) * scale
        self._ntc_offset = [rng.uniform(-0.3, 0.3) * scale for _ in range(6)]
        self._ntc_noise, self._cc_noise = 30.0, 50.0
        # faults of the wires and of the chip
        self.silent = self.stuck_low = self.stuck_high = self.frozen = False
        self.crc_rate = 0.0
        self.late_us = 0
        self.bothoff_fault = None       # None | "inverted": the other level opens | "dead"
        self.fault_latency_us = None    # None: the board's | every answer takes this long
        self.shunt_stuck_ma = None      # None | what the current's ADC shows for ever
        self.ntc_stuck = {}             # sensor: dC that it shows for ever
        self.frozen_parts = ()          # of cells stack terminals current temps
        self._held = ()                 # register words of these
        self._stood = {}                # pin: raw counts that its thermistor stands at
        # the board's figures
        self.latency_us = self.write_latency_us = T_PROC_US
        self.entry_silence_us = self.exit_silence_us = 0
        self.latches = False
        self.cell_error_mv = [0.0] * CELLS
        self.cell_gain = [1.0] * CELLS
        self.stack_gain = self.pack_gain = self.ld_gain = self.current_gain = 1.0
        self.reference = 1.0
        self.pullup_gain = 1.0
        self.host_max_cells = False
        self.ld_source_ua = 100.0
        self._answer_us = T_PROC_US
        self.board = board
        if board is not None:
            self._take_board(board)
        self._word_gain = [1.0] * 3
        self._sense_gain = 1.0
        self.open_wire = None
        self._wire_shift = 0.0
        self.swapped = None
        self.ntc_open = self.ntc_short = None
        self.shunt_gain = 1.0
        self.shunt_offset_ma = 0.0
        self.shunt_sign = 1
        self._sense_odd = False
        self._shunt_odd = False
        # pins
        self.bothoff = 0                # level of the controller's line
        self.chg = self.dsg = self.pdsg = 0     # drivers
        # bus
        self.selected = False
        self._slow = True
        self._clocks = 0
        self._rx = 0
        self._tx = 0
        self._sending = False
        self.out = 0                    # answer to the newest frame, there from ready_us on
        self.fresh = False              # it was not fetched yet
        self.ready_us = 0
        self._before = -1               # -1 | the answer before it, not fetched either
        self._latched = -1              # -1 | frame that came while the chip was busy
        self._end_us = now_us
        self._ok_us = now_us
        self._hfo_off = False
        self.frame_errors = 0
        self.frames = 0
        # measurement
        self.regs = bytearray(128)
        self._valid_us = [FAR_US] * 64
        self._hist = [self._wired(self.plant.epoch)]
        self.balance = 0
        self._power_on(now_us, _T_START_US)

    def _take_board(self, board):
        """The figures that were drawn for this board instead of the model's own small errors."""
        self.latency_us = int(board["answer_us"])
        self.write_latency_us = int(board["config_answer_us"])
        self.entry_silence_us = int(board["entry_silence_us"])
        self.exit_silence_us = int(board["exit_silence_us"])
        self.latches = board["latches"] > 0.5
        self.host_max_cells = board["host_max_cells"] > 0.5
        self._cell_offset = [0.0] * CELLS
        self.cell_error_mv = list(board["cell_offset_mv"])
        self.cell_gain = list(board["cell_gain"])
        self.reference = board["reference_gain"]
        self.stack_gain = board["stack_gain"]
        self.pack_gain = board["pack_gain"]
        self.ld_gain = board["ld_gain"]
        self.current_gain = board["current_gain"]
        self._stack_gain = self._gain = 1.0
        self._offset_uv = board["current_offset_ma"] * self._uv_ma
        self.ld_source_ua = board["ld_source_ua"]
        self.pullup_gain = board["ntc_pull_gain"]
        self._ntc_offset = [dc / 10.0 for dc in board["ntc_offset_dc"]]
        self._ntc_noise = board["ntc_noise_counts"]
        self._cc_noise = board["cc_noise_counts"]

    @staticmethod
    def _noise_table(rng, scale):
        table = array("d", bytes(8 * 1024))
        for k in range(1024):
            table[k] = rng.gauss() * scale
        return table

    # -- power --------

    def _power_on(self, now, wait_us):
        """Everything volatile to its start value; answers after *wait_us*."""
        self.cfg = Settings()
        self._take_figures()
        regs = self.regs
        for i in range(128):
            regs[i] = 0
        self.mode = STARTING
        self.alarm = 0
        self._alarm_loops = 0
        self.alert_a = self.alert_b = self.alert_c = 0
        self.status_a = self.status_b = self.status_c = 0
        self._up_us = now + wait_us
        self.cfgupdate = False
        self.por = True
        self.sealed = 1
        self._key = 0
        self._comm_dead = False
        self.host_off = 0
        self.fet_en = self.pf_en = self.chg_test = self.dsg_test = False
        self._cond = 0
        self._due = [FAR_US] * 8
        self._recover_due = [FAR_US] * 8
        self._count_ocd = self._count_scd = self._count_cov = 0
        self._count_due = FAR_US
        self._sec_count = [0] * 16
        self._sec_good = [0] * 16
        self._ocd3_s = self._ocd3_good_s = 0
        self.ld_on = False
        self._host_mask = 0
        self._balance_s = 0
        self._balance_total = [0] * CELLS
        self._balance_us = now
        self._level_mv = 0
        self._snap = [[0] * CELLS, [0] * CELLS]
        self.cc1_ua = 0                 # CC1 in userA
        self.cc1_ma = 0.0
        self._acc = 0.0
        self._acc_us = now
        self._i_ma = 0.0
        self.passed_uah = 0.5
        self.passed_s = 0.0
        self._sub = 0
        self._sub_us = FAR_US
        self._sub_lo = 0
        self._control_ff = 0
        self._deep_us = self._shut_us = -10_000_000
        self._body_us = FAR_US
        self._pdsg_us = self._pdsg_end_us = FAR_US
        self._awake_us = now
        self.fresh = False
        self.out = 0
        self._before = self._latched = -1
        self.ready_us = self._up_us
        self._ok_us = self._up_us
        self._cc1_us = self._up_us + _T_CC1_US
        self._second_us = self._up_us + _T_SECOND_US
        self._hwd_us = FAR_US
        self.sleep_enabled = bool(self.cfg.u2(0x9234) & 0x0100)
        regs[0x66], regs[0x67] = self.cfg.alarm_mask & 0xFF, self.cfg.alarm_mask >> 8
        self._start_loop(self._up_us, False)
        self._drive(now)
        self._set_balance(0, now)
        self._flags()
        self._sense(now)
        self._schedule()

    # -- measurement loop --------

    def _start_loop(self, now, keep):
        """Begin a loop at *now*. Registers hold (keep) or are 0 until their first slot."""
        self._loop0 = now
        self._measuring = True
        if self.mode == SLEEP:
            self._period = max(1, self.cfg.memory[0x924A - DM_BASE]) * 1_000_000
        else:
            self._period = self.cfg.loop_us
        valid = self._valid_us
        regs = self.regs
        for word in range(0x0A, 0x1E):
            valid[word] = now
            if not keep:
                regs[word * 2] = regs[word * 2 + 1] = 0
        for word in range(0x34, 0x3E):
            valid[word] = now if word in self.cfg.slots else FAR_US
            if not keep or word not in self.cfg.slots:
                regs[word * 2] = regs[word * 2 + 1] = 0
        valid[0x1D] = now + self.cfg.slot_us           # CC2
        valid[0x31] = valid[0x32] = now             # alarms: scan flags come by themselves
        self._alarm_loops = 0
        self._first_us = now
        if self.frozen:
            self._hold(now)

    def _stop_loop(self, now):
        """Measure what is due, then hold it."""
        if self._measuring:
            self._hold(now)
            self._measuring = False

    def _hold(self, now):
        valid = self._valid_us
        for word in range(0x0A, 0x3E):
            if valid[word] <= now:
                self._measure(word, now)
        for word in range(0x0A, 0x1E):
            valid[word] = FAR_US
        for word in range(0x34, 0x3E):
            valid[word] = FAR_US

    @micropython.native
    def _at(self, t):
        """The epoch that was running at time *t*."""
        hist = self._hist
        k = len(hist) - 1
        while k > 0 and hist[k][0] > t:
            k -= 1
        return hist[k]

    @micropython.native
    def _measure(self, word, now):
        """Bring one register pair up to its last slot before *now*."""
        regs = self.regs
        a = word * 2
        if word == 0x31 or word == 0x32:
            self._scan_flags(now)
            return
        if word == 0x1D:                            # CC2, every slot
            slot = self.cfg.slot_us
            k = (now - self._loop0) // slot
            self._valid_us[word] = self._loop0 + (k + 1) * slot
            if word in self._held:
                return
            value = self._user_a(self._at(self._loop0 + k * slot)[2],
                                 self._noise_uv[k & 1023] * self.cfg.noise)
            regs[a] = value & 0xFF
            regs[a + 1] = value >> 8 & 0xFF
            return
        slot, phase = self.cfg.slots[word]
        period = self._period
        due = self._loop0 + (slot + 1) * self.cfg.slot_us
        if phase >= 0 and self.mode != SLEEP:       # a burst in SLEEP measures everything
            due += phase * period
            period *= 3
        if now < due:
            self._valid_us[word] = due
            return
        k = (now - due) // period
        due += k * period
        self._valid_us[word] = due + period
        if word in self._held:
            return
        if word < 0x1A:
            cell = word - 0x0A
            epoch = self._at(due)
            if not self.cfg.cells_used >> cell & 1:
                value = 0
            else:
                mv = epoch[1][cell] * self.cell_gain[cell] + self._cell_offset[cell]
                mv = (mv + self.cell_error_mv[cell]) * self.reference
                if self.cfg.cell_trimmed:
                    mv = mv * self.cfg.cell_trim[cell] + self.cfg.cell_offset_mv
                mv += self._noise_mv[(k * 37 + cell * 61) & 1023] * self.cfg.noise
                mask = epoch[5]
                if mask:
                    # bled cells read low, their neighbours high: the sense lines are shared
                    cell = self._cell_of[cell]
                    if mask >> cell & 1:
                        mv -= 24.0
                    if mask << 1 >> cell & 1:
                        mv += 12.0
                    if mask >> 1 >> cell & 1:
                        mv += 12.0
                value = _s16(int(_floor(mv + 0.5)))
        elif word < 0x1D:
            epoch = self._at(due)
            mv = epoch[3 if word == 0x1A else 4] * self._word_gain[word - 0x1A]
            mv += self._noise_mv[(k * 37 + word * 61) & 1023] * 20.0 * self.cfg.noise
            if mv < -300.0:
                mv = -300.0                         # the pin's protection diode
            value = _s16(int(_floor(mv / self.cfg.user_mv + 0.5)))
        elif word == 0x34:
            value = int((self.plant.die_c + 273.15) * 10.0 + 0.5)
        else:
            value = self._thermistor((a - 0x6A) >> 1, k)
        regs[a] = value & 0xFF
        regs[a + 1] = value >> 8 & 0xFF

    @micropython.native
    def _user_a(self, true_ma, noise_uv):
        """What the current registers would show for *true_ma*, in userA."""
        if self.shunt_stuck_ma is not None:
            uv = self.shunt_stuck_ma * self._uv_ma
        else:
            uv = true_ma * self._uv_ma * self._sense_gain + self._offset_uv + noise_uv
        counts = uv / _UV_PER_COUNT - self.cfg.board_offset
        if -self.cfg.deadband_uv < counts * _UV_PER_COUNT < self.cfg.deadband_uv:
            return 0
        if counts > 32767.0 or counts < -32768.0:
            counts = 32767.0 if counts > 0 else -32768.0
        return _s16(int(_floor(counts * self.cfg.cc_gain / self.cfg.user_ma + 0.5)))

    @micropython.native
    def _thermistor(self, pin, k):
        """0.1 K, or counts, of thermistor input number *pin*."""
        _register, address, sensor = THERMISTORS[pin]
        config = self.cfg.memory[address - DM_BASE]
        ratio = self._ratio(sensor, config, k)
        if config >> 2 & 3 == 0:
            return _s16(int(ratio * 1800.0 / self.cfg.user_mv))
        if config >> 4 & 3 == 3:
            return int(ratio * 0.6 * 32768.0 + 0.5)
        if ratio > 0.99995:
            ratio = 0.99995
        model = 180_000.0 if config >> 4 & 3 == 1 else 18_000.0
        ohm = max(1.0, ratio / (1.0 - ratio) * model)
        kelvin = 1.0 / (math.log(ohm / 10_000.0) / 3435.0 + 1.0 / 298.15)
        return int(kelvin * 10.0 + 0.5)

    @micropython.native
    def _ratio(self, sensor, config, k):
        pull = config >> 6 & 3
        if sensor < 0 or pull >= 2:
            return 1.0
        if self._has(self.ntc_open, sensor):
            return 0.9999
        if self._has(self.ntc_short, sensor):
            return 0.0005
        plant = self.plant
        if sensor < 4:
            temp = plant.group_c[sensor]
        else:
            temp = plant.mos_c if sensor == 4 else plant.ambient_c
        temp += self._ntc_offset[sensor]
        temp += self._noise_mv[(k * 29 + sensor * 97) & 1023] * 0.2 * self.cfg.noise
        if sensor in self.ntc_stuck:
            temp = self.ntc_stuck[sensor] / 10.0
        ohm = ntc_ohm(temp)
        up = 180_000.0 if pull == 1 else 18_000.0
        if config >> 4 & 3 == 3 or config >> 2 & 3 == 0:
            up *= self.pullup_gain          # the trim belongs to the chip's own conversion
        return ohm / (ohm + up)

    @staticmethod
    def _has(fault, sensor):
        if fault is None:
            return False
        if isinstance(fault, int):
            return fault == sensor
        return sensor in fault

    def _scan_flags(self, now):
        """ADSCAN and FULLSCAN: one flag at the end of each loop, of each third."""
        valid = self._valid_us
        if not self._measuring or now < self._loop0:
            valid[0x31] = valid[0x32] = max(now + 1, self._loop0)
        else:
            loops = (now - self._loop0) // self._period
            if loops > self._alarm_loops:
                bits = 0x0002
                if loops // 3 > self._alarm_loops // 3:
                    bits |= 0x0080
                self._alarm_loops = loops
                self.alarm |= bits & (self.regs[0x66] | self.regs[0x67] << 8)
            valid[0x31] = valid[0x32] = self._loop0 + (loops + 1) * self._period
        self._put_alarm()

    # -- the wires between cells and chip --------

    def _sensed(self, epoch):
        """The epoch as the chip's pins see it, with the faults of wires and shunt."""
        t, cells, i, stack, pack, mask = epoch
        if self._shunt_odd:
            i = (i * self.shunt_gain + self.shunt_offset_ma) * self.shunt_sign
        wire = self.open_wire
        if wire is not None:
            cells = list(cells)
            shift = self._wire_shift
            if wire == 0:
                cells[0] -= min(shift, cells[0] + 200.0)
            elif wire == self.count:
                shift = min(shift, cells[-1] + 200.0)
                cells[-1] -= shift
                stack -= shift
            else:
                low, high = cells[wire - 1], cells[wire]
                # a free node settles between its neighbours; the check current pulls it down
                middle = (low + high) / 2
                shift = min(shift, middle + 200.0)
                cells[wire - 1] = middle - shift
                cells[wire] = low + high - cells[wire - 1]
        if self.swapped is not None:
            a, b = self.swapped
            cells = list(cells)
            cells[a], cells[b] = cells[b], cells[a]
        return (t, cells, i, stack, pack, mask)

    def _wired(self, epoch):
        """The epoch with one voltage for each input."""
        cells = epoch[1]
        return (epoch[0], cells[:-1] + self._shorted + cells[-1:]) + epoch[2:]

    def _extremes(self, cells):
        """(lowest, highest) of the inputs that are used."""
        used = self.cfg.cells_used
        if used != 0xFFFF:
            cells = [cells[k] for k in range(CELLS) if used >> k & 1]
        return min(cells), max(cells)

    def _drift_wire(self, now):
        """Once a second: what a sense wire that hangs loose does."""
        if self.open_wire in (0, self.count):
            cell = self.plant.epoch[1][0 if self.open_wire == 0 else -1]
            self._wire_shift += (cell - self._wire_shift) * 0.2
        else:
            check_s = self.cfg.memory[0x9314 - DM_BASE]
            second = (now - self._up_us) // 1_000_000
            if check_s and second % check_s == 0 and self.mode == NORMAL:
                self._wire_shift = min(self._wire_shift + 750.0, 6000.0)   # 55 uA, 3 ms, 220 nF
            elif not check_s:
                self._wire_shift *= 0.9
        self._sense(now)

    @micropython.native
    def _sense(self, now):
        """The cells, the current or the terminals changed (or may have): take it in."""
        epoch = self.plant.epoch
        if self._sense_odd or self._shunt_odd:
            epoch = self._sensed(epoch)
        if self._shorted:
            epoch = self._wired(epoch)
        hist = self._hist
        if epoch[0] < now:
            epoch = (now,) + epoch[1:]
        if hist[-1][0] >= now:
            hist[-1] = epoch
        else:
            hist.append(epoch)
            if len(hist) > 24:
                k = 0
                while k < len(hist) - 8 and hist[k + 1][0] < now - 600_000:
                    k += 1
                del hist[:k]
        i = epoch[2]
        self._acc += self._i_ma * (now - self._acc_us)
        self._acc_us = now
        self._i_ma = i
        mode = self.mode
        if mode > SLEEP:
            if mode != STARTING and epoch[4] > 3000.0 and not (self.chg or self.dsg):
                self._wake(now, epoch)
            return
        if self.cfgupdate:
            return
        low, high = self._extremes(epoch[1])
        uv = i * self._uv_ma
        cond = 0
        if low < self.cfg.cuv:
            cond = 1 << CUV
        if high > self.cfg.cov:
            cond |= 1 << COV
        if uv > self.cfg.occ:
            cond |= 1 << OCC
        elif -uv >= self.cfg.over:
            if -uv >= self.cfg.ocd1:
                cond |= 1 << OCD1
            if -uv >= self.cfg.ocd2:
                cond |= 1 << OCD2
            if -uv >= self.cfg.scd:
                cond |= 1 << SCD
        if cond != self._cond:
            self._conditions(cond, now)
        if self.status_a:
            self._watch_recovery(now, low, high, epoch)
        if self.chg_want != self.dsg_want or self._body_on:
            if self._body_us == FAR_US and self._body_on != self._body(i):
                self._body_us = now + _BODY_US
                self._schedule()
        if mode == SLEEP:
            wake_ma = self.cfg.i2(0x924B)
            if cond or i > wake_ma or i < -wake_ma:
                self._leave_sleep(now)

    def _conditions(self, cond, now):
        """Some comparator changed its mind."""
        changed = cond ^ self._cond
        self._cond = cond
        due = self._due
        for bit in range(CUV, SCD + 1):
            mask = 1 << bit
            if not changed & mask:
                continue
            if cond & mask:
                if self.status_a & mask:
                    continue
                self.alert_a |= mask
                if bit == SCD:
                    due[bit] = now + self.cfg.delays[bit] + _T_GATE_US
                else:
                    grid = -(-(now - self._up_us) // _GRID_COMP_US) * _GRID_COMP_US
                    due[bit] = self._up_us + grid + self.cfg.delays[bit]
            else:
                self.alert_a &= ~mask
                due[bit] = FAR_US
        self._put_safety()
        self._schedule()

    def _watch_recovery(self, now, low, high, epoch):
        """Start or stop the recovery clocks of what has tripped."""
        due = self._recover_due
        status = self.status_a
        changed = False
        for bit in range(CUV, SCD):
            if not status >> bit & 1:
                continue
            if bit == CUV:
                good = low >= self.cfg.cuv_back
            elif bit == COV:
                good = high <= self.cfg.cov_back
            elif bit == OCC:
                delta = self.cfg.i2(0x92B0) * 10.0
                good = epoch[4] < epoch[3] - delta or self.cc1_ma <= self.cfg.i2(0x9288)
            else:
                good = self.cc1_ma >= self.cfg.i2(0x928D)
            if good:
                if due[bit] == FAR_US:
                    due[bit] = now + self.cfg.recovery_us
                    changed = True
            elif due[bit] != FAR_US:
                due[bit] = FAR_US
                changed = True
        if changed:
            self._schedule()

    # -- events --------

    def _schedule(self):
        """Find the next moment at which something happens by itself."""
        t = min(self._cc1_us, self._second_us, self._sub_us, self._hwd_us, self._body_us,
                self._pdsg_us)
        t = min(t, min(self._due), min(self._recover_due), self._count_due)
        if self.mode == STARTING:
            t = min(t, self._up_us)
        self._event_us = t
        p = self.plant.next_us
        self.next_us = t if t < p else p

    def advance(self, now):
        """Bring cells and chip up to *now*, in order."""
        plant = self.plant
        while self.next_us <= now:
            t = self.next_us
            if plant.next_us <= t:
                plant.step_to(t)
                self._sense(t)
            if self._event_us <= t:
                self._events(t)
            p = plant.next_us
            self.next_us = self._event_us if self._event_us < p else p

    def plant_changed(self, now):
        """Somebody else changed the plant at *now*."""
        self._sense(now)
        self._schedule()

    def _events(self, t):
        if self.mode == STARTING and self._up_us <= t:
            self.mode = NORMAL
            self._awake_us = t
            self._flags()
            self._sense(t)
            self._acc = 0.0
            self._drive(t)
        if self._sub_us <= t:
            self._sub_us = FAR_US
            self._execute(self._sub, t)
        if min(self._due) <= t:
            self._trip(t)
        if min(self._recover_due) <= t:
            self._recover(t)
        if self._body_us <= t:
            self._body_us = FAR_US
            self._drive(t)
        if self._pdsg_us <= t:
            self._pdsg_us = FAR_US
            self._drive(t)
        if self._hwd_us <= t:
            self._watchdog(t)
        if self._cc1_us <= t:
            self._cc1(t)
        if self._second_us <= t:
            self._second(t)
        if self._count_due <= t:
            self._count_down(t)
        self._schedule()

    def _trip(self, t):
        due = self._due
        hit = 0
        for bit in range(CUV, SCD + 1):
            if due[bit] > t:
                continue
            due[bit] = FAR_US
            mask = 1 << bit
            hit |= mask
            self.alert_a &= ~mask
            self.status_a |= mask
            if bit == CUV or bit == COV:
                cells = self._at(t)[1]
                self._snap[bit - CUV] = [int(_floor(v + 0.5)) for v in cells]
            if bit == COV:
                self._count_cov = self._latch(self._count_cov, 0x927D, 0x10, t)
            elif bit == OCD1 or bit == OCD2:
                self._count_ocd = self._latch(self._count_ocd, 0x928F, 0x20, t)
            elif bit == SCD:
                self._count_scd = self._latch(self._count_scd, 0x9295, 0x40, t)
                self._recover_due[SCD] = t + self.cfg.memory[0x9294 - DM_BASE] * 1_000_000
        self._put_safety()
        if not hit:
            return
        # fast only with one of the two settings the manual names for each FET
        fast = self.cfg.chg_mask[0] in (0x98, 0x18) and self.cfg.dsg_mask[0] in (0x80, 0xE4)
        if fast:
            self._drive(t)
        low, high = self._extremes(self._hist[-1][1])
        self._watch_recovery(t, low, high, self._hist[-1])

    def _latch(self, count, address, bit, t):
        """Count a trip; at the limit set the latch *bit* of Safety C."""
        limit = self.cfg.memory[address - DM_BASE]
        if not limit or not self.cfg.en[2] & bit:
            return 0
        count += 1
        if count >= limit:
            self.status_c |= bit
            self.alert_c &= ~bit
        else:
            self.alert_c |= bit
        self._count_due = t + self.cfg.memory[address + 1 - DM_BASE] * 1_000_000
        return count

    def _count_down(self, t):
        self._count_cov = max(0, self._count_cov - 1)
        self._count_ocd = max(0, self._count_ocd - 1)
        self._count_scd = max(0, self._count_scd - 1)
        if not self._count_cov:
            self.alert_c &= ~0x10
        if not self._count_ocd:
            self.alert_c &= ~0x20
        if not self._count_scd:
            self.alert_c &= ~0x40
        self._count_due = FAR_US
        if self._count_cov or self._count_ocd or self._count_scd:
            self._count_due = t + 10_000_000
        self._put_safety()

    def _recover(self, t):
        due = self._recover_due
        for bit in range(CUV, SCD + 1):
            if due[bit] > t:
                continue
            due[bit] = FAR_US
            if not self.fet_en:
                due[bit] = t + 1_000_000
                continue
            mask = 1 << bit
            self.status_a &= ~mask
            if self._cond & mask:           # still there: starts again
                self._cond &= ~mask
        self._put_safety()
        self._drive(t)
        self._sense(t)

    def _watchdog(self, t):
        """Nothing heard for a while?"""
        if not self.cfg.en[2] & 0x02 or not self.cfg.hwd_s:
            self._hwd_us = FAR_US
            return
        due = self._ok_us + self.cfg.hwd_s * 1_000_000
        if due > t:
            self._hwd_us = due
            return
        self._hwd_us = FAR_US
        self.status_c |= 0x02
        self._slow = True
        self._put_safety()
        self._drive(t)

    def _cc1(self, t):
        """A quarter of a second of current is complete."""
        self._acc += self._i_ma * (t - self._acc_us)
        self._acc_us = t
        self._cc1_us = t + _T_CC1_US
        mean = self._acc / _T_CC1_US
        self._acc = 0.0
        if self.mode > SLEEP or self.frozen or self.cfgupdate or 0x1D in self._held:
            return
        noise = self._noise_uv[(t // _T_CC1_US) & 1023] * 0.11
        value = self._user_a(mean, noise)
        self.cc1_ua = value - 0x10000 if value & 0x8000 else value
        self.cc1_ma = self.cc1_ua * self.cfg.user_ma
        uv = mean * self._uv_ma * self._sense_gain + self._offset_uv + noise
        if self.shunt_stuck_ma is not None:
            uv = self.shunt_stuck_ma * self._uv_ma
        counts = uv / _UV_PER_COUNT - self.cfg.board_offset
        if not -self.cfg.deadband_uv < counts * _UV_PER_COUNT < self.cfg.deadband_uv:
            ma = counts * self.cfg.cap_gain / _CAP_PER_GAIN
            self.passed_uah += ma / self.cfg.user_ma * (_T_CC1_US / 3.6e9)
        self.passed_s += 0.25
        if self.status_a:
            low, high = self._extremes(self._hist[-1][1])
            self._watch_recovery(t, low, high, self._hist[-1])
        self._drive(t)

    def _second(self, t):
        """What the chip's own firmware does once a second."""
        self._second_us = t + _T_SECOND_US
        if self.open_wire is not None:
            self._drift_wire(t)
        if self.mode > SLEEP or self.cfgupdate:
            return
        self._temperatures(t)
        self._ocd3(t)
        if self.ld_on and self._hist[-1][4] > 4000.0 and self.status_c & 0x60:
            self.status_c &= ~0x60
            self._count_ocd = self._count_scd = 0
        if self.balance:
            self._balance_s += 1
            for k in range(CELLS):
                if self.balance >> k & 1:
                    self._balance_total[k] += 1
        if self._host_mask or self._level_mv:
            self._balance_tick(t)
        self._put_safety()
        self._drive(t)
        # SLEEP
        sleep_ma = self.cfg.i2(0x9248)
        quiet = self.sleep_enabled and abs(self.cc1_ma) < sleep_ma and not self.status_a
        if self.mode == NORMAL and quiet:
            wait = max(2, self.cfg.memory[0x924D - DM_BASE]) * 1_000_000
            if t - self._awake_us >= wait and not (self.balance and not self._cb(2)):
                self._stop_loop(t)
                self.mode = SLEEP
                self._start_loop(t, True)
                self._slow = True
                self._flags()
                self._drive(t)
        elif self.mode == SLEEP and not self.sleep_enabled:
            self._leave_sleep(t)

    def _cb(self, bit):
        return self.cfg.memory[0x9335 - DM_BASE] >> bit & 1

    def _leave_sleep(self, now):
        self._stop_loop(now)
        self.mode = NORMAL
        self._awake_us = now
        self._start_loop(now, True)
        self._flags()
        self._drive(now)

    def _temp_dk(self, use, now):
        """Last readings, 0.1 K, of the thermistor pins with *use* 1 (cell) or 3 (FET)."""
        found = []
        for pin in self.cfg.pins:
            register, address, _sensor = THERMISTORS[pin]
            config = self.cfg.memory[address - DM_BASE]
            if config >> 2 & 3 == use and config >> 4 & 3 != 3:
                value = self._read2(register, now)
                if value:
                    found.append(value)
        return found

    def _temperatures(self, t):
        """OTC OTD OTF OTINT UTC UTD UTINT: threshold, delay and recovery in seconds."""
        cells = self._temp_dk(1, t)
        fets = self._temp_dk(3, t)
        die = self._read2(0x68, t)
        if self.cfg.tint_cell and die:
            cells.append(die)
        if self.cfg.tint_fet and die:
            fets.append(die)
        enabled = self.cfg.en[1]
        rows = (
            (4, 0x929A, 1, cells), (5, 0x929D, 1, cells), (7, 0x92A0, 1, fets),
            (6, 0x92A3, 1, [die] if die else ()), (0, 0x92A6, -1, cells),
            (1, 0x92A9, -1, cells), (2, 0x92AC, -1, [die] if die else ()),
        )
        alert, status = self.alert_b, self.status_b
        for bit, address, worse, values in rows:
            mask = 1 << bit
            if not enabled & mask or not values:
                alert &= ~mask
                continue
            value = max(values) if worse > 0 else min(values)
            limit = self.cfg.i1(address) * 10 + 2731
            back = self.cfg.i1(address + 2) * 10 + 2731
            if bit == 7:                            # OTF alone is unsigned
                limit = self.cfg.memory[address - DM_BASE] * 10 + 2731
                back = self.cfg.memory[address + 2 - DM_BASE] * 10 + 2731
            if status & mask:
                if (value - back) * worse <= 0:
                    self._sec_good[bit] += 1
                    if self._sec_good[bit] * 1_000_000 > self.cfg.recovery_us and self.fet_en:
                        status &= ~mask
                        self._sec_count[bit] = 0
                else:
                    self._sec_good[bit] = 0
            elif (value - limit) * worse >= 0:
                self._sec_count[bit] += 1
                alert |= mask
                if self._sec_count[bit] > self.cfg.memory[address + 1 - DM_BASE]:
                    alert &= ~mask
                    status |= mask
                    self._sec_good[bit] = 0
            else:
                self._sec_count[bit] = 0
                alert &= ~mask
        self.alert_b, self.status_b = alert, status

    def _ocd3(self, t):
        mask = 0x80
        limit = self.cfg.i2(0x928A)
        if not self.cfg.en[2] & mask:
            self.alert_c &= ~mask
            return
        if self.status_c & mask:
            if self.cc1_ma >= self.cfg.i2(0x928D):
                self._ocd3_good_s += 1
                if self._ocd3_good_s * 1_000_000 > self.cfg.recovery_us and self.fet_en:
                    self.status_c &= ~mask
                    self._ocd3_s = 0
            else:
                self._ocd3_good_s = 0
        elif self.cc1_ua <= limit:
            self._ocd3_s += 1
            self.alert_c |= mask
            if self._ocd3_s > self.cfg.memory[0x928C - DM_BASE]:
                self.alert_c &= ~mask
                self.status_c |= mask
                self._ocd3_good_s = 0
        else:
            self._ocd3_s = 0
            self.alert_c &= ~mask

    # -- outputs --------

    chg_want = dsg_want = 0
    _body_on = 0

    def _body(self, i_ma):
        """1 or 2: current runs through the charge or the discharge FET's diode."""
        if not self.cfg.fet_options & 1:
            return 0
        shown = self._user_a(i_ma, 0.0)
        shown = (shown - 0x10000 if shown & 0x8000 else shown) * self.cfg.user_ma
        if self.dsg_want and not self.chg_want and shown < -self.cfg.body_ma:
            return 1
        if self.chg_want and not self.dsg_want and shown > self.cfg.body_ma:
            return 2
        return 0

    def _drive(self, now):
        """Decide what the drivers put out; tell the FETs if it changed."""
        pin = self.cfg.pin_dsg_off and bool(self.bothoff) != self.cfg.pin_low
        if self.bothoff_fault:
            pin = self.bothoff_fault == "inverted" and not pin
        both = pin and self.cfg.pin_both
        if self.mode > SLEEP or self.cfgupdate or both:
            chg = dsg = 0
        elif not self.fet_en:
            chg, dsg = int(self.chg_test), int(self.dsg_test)
        elif not self.cfg.fet_options & 8:
            chg = dsg = 0
        else:
            off = self.host_off
            m = self.cfg.chg_mask
            bad = self.status_a & m[0] | self.status_b & m[1] | self.status_c & m[2]
            chg = 0 if bad or off & 4 else 1
            m = self.cfg.dsg_mask
            bad = self.status_a & m[0] | self.status_b & m[1] | self.status_c & m[2]
            dsg = 0 if bad or off & 1 else 1
            if self.mode == SLEEP and not self.cfg.fet_options & 2:
                chg = 0
        if pin:
            dsg = 0
        self.chg_want, self.dsg_want = chg, dsg
        if chg != dsg and self._body_us == FAR_US:
            body = self._body(self._i_ma)
            if body == 1:
                chg = 1
            elif body == 2 and not pin:
                dsg = 1
            self._body_on = body
        elif chg == dsg:
            self._body_on = 0
        elif self._body_on:
            chg, dsg = self.chg, self.dsg           # keep until the next look
        pdsg = 0
        if dsg and self.cfg.fet_options & 0x10 and not self.dsg:
            pdsg = self._predischarge(now)
            dsg = 1 - pdsg
        elif not dsg or self.dsg:
            self._pdsg_end_us = FAR_US
        if chg == self.chg and dsg == self.dsg and pdsg == self.pdsg:
            return
        if pdsg != self.pdsg:
            self.pdsg = pdsg
            if self.on_edge is not None:
                self.on_edge(now, "fets.pchg", pdsg)
            self.plant.apply(now, pdsg=bool(pdsg))
        if self.on_edge is not None:
            if chg != self.chg:
                self.on_edge(now, "fets.chg", chg)
            if dsg != self.dsg:
                self.on_edge(now, "fets.dsg", dsg)
        fell = self.chg & ~chg, self.dsg & ~dsg
        self.chg, self.dsg = chg, dsg
        self.regs[0x7F] = chg | dsg << 2 | pdsg << 3
        if fell[0] or fell[1]:
            bits = (0x40 if fell[0] else 0) | (0x20 if fell[1] else 0)
            self.alarm |= bits & (self.regs[0x66] | self.regs[0x67] << 8)
        self._put_alarm()
        self.plant.set_fets(chg, dsg, now)
        self._sense(now)
        self._schedule()

    def _predischarge(self, now):
        """1: the pre-discharge FET still goes first. 0: it is the discharge FET's turn.

        It ends when LD has come within the stop delta of the stack, or by its time-out (0: none).
        """
        memory = self.cfg.memory
        timeout = memory[0x930E - DM_BASE]
        if self._pdsg_end_us == FAR_US:
            self._pdsg_end_us = now + timeout * 10_000 if timeout else FAR_US - 1
        epoch = self._hist[-1]
        near = epoch[3] * self.stack_gain - epoch[4] * self.ld_gain
        if near <= memory[0x930F - DM_BASE] * 10.0 or now >= self._pdsg_end_us:
            self._pdsg_us = self._pdsg_end_us = FAR_US
            return 0
        if self._pdsg_us == FAR_US:
            self._pdsg_us = min(now + _PDSG_US, self._pdsg_end_us)
            self._schedule()
        return 1

    def set_bothoff(self, level, now):
        """The line from the controller; what it does is a matter of configuration."""
        self.bothoff = level
        self._drive(now)

    def _set_balance(self, mask, now):
        if mask == self.balance:
            return
        self.balance = mask
        if not mask:
            self._balance_s = 0
        cells = 0
        for k in range(self.count):
            cells |= (mask >> self.input_of[k] & 1) << k
        self.plant.set_balance(cells, now)
        if self.on_edge is not None:
            self.on_edge(now, "balance", self.bled())
        self._sense(now)
        self._put_alarm()

    def bled(self):
        """Numbers of the cells that are bled."""
        return [k for k in range(self.count) if self.balance >> self.input_of[k] & 1]

    def _balance_allowed(self, now):
        if self.cfgupdate or self.mode > SLEEP or self.mode == SLEEP and not self._cb(2):
            return False
        die = self._read2(0x68, now)
        if die and die - 2731 > self.cfg.i1(0x9338) * 10:
            return False
        for value in self._temp_dk(1, now):
            if value - 2731 < self.cfg.i1(0x9336) * 10 or value - 2731 > self.cfg.i1(0x9337) * 10:
                return False
        return True

    def _balance_tick(self, now):
        if now - self._balance_us > _HOST_BALANCE_S * 1_000_000 and self._host_mask:
            self._host_mask = 0
        mask = self._host_mask
        if self.host_max_cells:
            most = max(1, self.cfg.memory[0x933A - DM_BASE])
            for k in range(CELLS):
                if mask >> k & 1:
                    if not most:
                        mask &= ~(1 << k)
                    else:
                        most -= 1
        if self._level_mv:
            mask = self._level_mask(now)
        self._set_balance(mask if self._balance_allowed(now) else 0, now)

    def _level_mask(self, now):
        """The highest cells above the level that are not neighbours, up to the maximum."""
        above = []
        for k in range(CELLS):
            value = self._read2(0x14 + 2 * k, now)
            if value > self._level_mv:
                above.append((-value, k))
        above.sort()
        mask = 0
        count = 0
        for _value, k in above:
            if count < max(1, self.cfg.memory[0x933A - DM_BASE]):
                if not (mask << 1 | mask >> 1) >> k & 1:
                    mask |= 1 << k
                    count += 1
        return mask

    def _wake(self, now, epoch):
        """A charger at the terminals ends DEEPSLEEP and SHUTDOWN."""
        if self.plant.charger_mv is None and not (self.plant.force_ma or 0) > 0:
            return
        if self.mode == DEEPSLEEP:
            self._end_deepsleep(now)
        elif self.mode == SHUTDOWN:
            self._power_on(now, 250_000)

    def _end_deepsleep(self, now):
        self.mode = NORMAL
        self._awake_us = now
        self._start_loop(now + 250_000, True)
        self._flags()
        self._sense(now)
        self._drive(now)
        self._schedule()

    # -- status registers --------

    def _flags(self):
        """Battery Status and Control Status."""
        value = 0
        if self.cfgupdate:
            value |= 0x0001
        if self.sleep_enabled:
            value |= 0x0004
        if self.por:
            value |= 0x0008
        value |= self.sealed << 8
        if self.status_a or self.status_b or self.status_c:
            value |= 0x0800
        if self.mode == SLEEP:
            value |= 0x8000
        self.regs[0x12] = value & 0xFF
        self.regs[0x13] = value >> 8
        self.regs[0x00] = (1 if self.ld_on else 0) | (4 if self.mode == DEEPSLEEP else 0)
        self._slow = (self.silent or self.stuck_low or self.stuck_high or self._comm_dead
                      or self.crc_rate > 0 or self.mode != NORMAL
                      or bool(self.status_c & 2))

    def _put_safety(self):
        regs = self.regs
        old = regs[3] | regs[5] << 8 | regs[7] << 16
        regs[2], regs[3] = self.alert_a, self.status_a
        regs[4], regs[5] = self.alert_b, self.status_b
        regs[6], regs[7] = self.alert_c, self.status_c
        new = regs[3] | regs[5] << 8 | regs[7] << 16
        if new != old:
            risen = new & ~old
            bits = 0
            if risen & 0xFF:
                bits |= 0x4000
            if risen & 0xFFFF00:
                bits |= 0x8000
            self.alarm |= bits & (regs[0x66] | regs[0x67] << 8)
            self._flags()
        self._put_alarm()

    def _put_alarm(self):
        regs = self.regs
        raw = 0
        if self.status_a:
            raw |= 0x4000
        if self.status_b or self.status_c:
            raw |= 0x8000
        m = self.cfg.memory
        if self.alert_a & m[0xEF] or self.alert_b & m[0xF0] or self.alert_c & m[0xF1]:
            raw |= 0x1000
        if not self.chg:
            raw |= 0x0040
        if not self.dsg:
            raw |= 0x0020
        if self.balance:
            raw |= 0x0004
        if self._alarm_loops >= 1:
            raw |= 0x0200
        enable = regs[0x66] | regs[0x67] << 8
        self.alarm |= raw & enable & 0x1064
        regs[0x64], regs[0x65] = raw & 0xFF, raw >> 8
        regs[0x62], regs[0x63] = self.alarm & 0xFF, self.alarm >> 8
        if self.alarm:
            regs[0x7F] |= 0x40
        else:
            regs[0x7F] &= 0xBF

    # -- SPI --------

    def select(self, now):
        """Chip select falls."""
        if now >= self.next_us:
            self.advance(now)
        self.selected = True
        self._clocks = 0
        self._rx = 0
        self._tx = self._begin(now)

    def shift(self, mosi):
        """Eight clocks; returns what was on MISO."""
        if not self.selected:
            return 0xFF
        n = self._clocks
        self._clocks = n + 1
        if n >= 3:
            return 0xFF
        self._rx = self._rx << 8 | mosi
        return self._tx >> (16 - 8 * n) & 0xFF

    def shift3(self, b0, b1, b2):
        """Twenty-four clocks of a frame that was begun with select()."""
        if not self.selected or self._clocks:
            return self.shift(b0) << 16 | self.shift(b1) << 8 | self.shift(b2)
        self._clocks = 3
        self._rx = b0 << 16 | b1 << 8 | b2
        return self._tx

    def deselect(self, now):
        """Chip select rises."""
        if not self.selected:
            return
        self.selected = False
        if now >= self.next_us:
            self.advance(now)
        if self._clocks != 3:
            if self._clocks:
                self.frame_errors += 1
            return
        rx = self._rx
        self._end(rx >> 16, rx >> 8 & 0xFF, rx & 0xFF, now)

    @micropython.native
    def frame3(self, b0, b1, b2, now_us, end_us=0):
        """A whole frame: chip select falls at *now_us* and rises at *end_us*.

        Without an end it takes 24 us, a frame at 1 MHz. Returns 24 bits of MISO. The same
        as select, shift three times, deselect.
        """
        if now_us >= self.next_us:
            self.advance(now_us)
        if not end_us:
            end_us = now_us + T_FRAME_US
        if self._slow or end_us >= self.next_us or end_us < self.ready_us or self._latched >= 0:
            out = self._begin(now_us)
            if end_us >= self.next_us:
                self.advance(end_us)
            self._end(b0, b1, b2, end_us)
            return out
        if now_us >= self.ready_us:
            self._before = -1
            out = self.out if self.fresh else 0xFFFF00
            self.fresh = False
        elif self._before >= 0:
            out = self._before
            self._before = -1
        else:
            out = 0xFFFF00
        if self.fresh:                              # became ready meanwhile
            self._before = self.out
        self._end_us = end_us
        if _CRC[_CRC[b0] ^ b1] != b2:
            self._bad_frame(end_us)
            return out
        self.frames += 1
        self._ok_us = end_us
        if b0 < 0x80:
            if end_us >= self._valid_us[b0 >> 1]:
                self._measure(b0 >> 1, end_us)
            data = self.regs[b0]
        elif self._write(b0 & 0x7F, b1, end_us):
            data = b1
        else:
            self.fresh = False
            return out
        self.out = b0 << 16 | data << 8 | _CRC[_CRC[b0] ^ data]
        self.fresh = True
        self.ready_us = end_us + self._answer_us
        if b0 == 0xBF or b0 == 0xE1:
            self.ready_us = end_us + self._write_us(b0)
        return out

    def _begin(self, now):
        """The 24 bits that this frame will carry to the controller."""
        self._hfo_off = False
        if self.silent or self._comm_dead or self.mode >= SHUTDOWN:
            self._hfo_off = True                    # nothing is heard either
            return 0xFFFFFF
        if self.mode == SLEEP or self.mode == DEEPSLEEP:
            idle_s = max(1, self.cfg.memory[0x923D - DM_BASE])
            if now - self._end_us > idle_s * 1_000_000:
                self._hfo_off = True
                return 0xFFFFFF
        if self._latched >= 0:
            self._take_latched(now)
        if now >= self.ready_us:
            self._before = -1
            out = self.out if self.fresh else 0xFFFF00
            self.fresh = False
        elif self._before >= 0:
            out = self._before
            self._before = -1
        else:
            out = 0xFFFF00
        if self.crc_rate > 0 and self._rng.next() < self.crc_rate * 4294967296.0:
            bit = self._rng.next() % 48
            if bit < 24:
                out ^= 1 << bit
            else:
                self._flip = 1 << (bit - 24)
        if self.stuck_low:
            return 0
        if self.stuck_high:
            return 0xFFFFFF
        return out

    _flip = 0

    def _end(self, b0, b1, b2, now):
        """A frame of 24 clocks is complete."""
        self._end_us = now
        if self._hfo_off:
            self._hfo_off = False
            return
        if self._flip:
            b0 ^= self._flip >> 16
            b1 ^= self._flip >> 8 & 0xFF
            b2 ^= self._flip & 0xFF
            self._flip = 0
        if self._latched >= 0:
            self._take_latched(now)
        if now < self.ready_us:                     # still busy with the frame before
            if self.latches:
                self._latched = b0 << 16 | b1 << 8 | b2
            return
        if self.fresh:                              # became ready while this one came
            self._before = self.out
        self._work_on(b0, b1, b2, now)

    def _take_latched(self, now):
        """A frame that came while the chip was busy gets its turn as soon as that is over."""
        while self._latched >= 0 and self.ready_us <= now:
            frame = self._latched
            self._latched = -1
            if self.fresh:
                self._before = self.out
            self._work_on(frame >> 16, frame >> 8 & 0xFF, frame & 0xFF, self.ready_us)

    def _work_on(self, b0, b1, b2, now):
        """Do what a frame asks; its answer is ready some time after *now*."""
        if _CRC[_CRC[b0] ^ b1] != b2:
            self._bad_frame(now)
            return
        self.frames += 1
        self._ok_us = now
        if self.status_c & 0x02:                    # heard again
            self.status_c &= ~0x02
            self._put_safety()
            self._drive(now)
            self._hwd_us = now + self.cfg.hwd_s * 1_000_000
            self._schedule()
        if b0 < 0x80:
            if now >= self._valid_us[b0 >> 1]:
                self._measure(b0 >> 1, now)
            data = self.regs[b0]
        elif self._write(b0 & 0x7F, b1, now):
            data = b1
        else:
            self.fresh = False
            return
        self.out = b0 << 16 | data << 8 | _CRC[_CRC[b0] ^ data]
        self.fresh = True
        self.ready_us = now + self._answer_us
        if b0 == 0xBF or b0 == 0xE1:
            self.ready_us = now + self._write_us(b0)

    def _write_us(self, b0):
        """Until the answer to a write that starts something is ready."""
        us = max(self.write_latency_us if self.fault_latency_us is None else 0, self._answer_us)
        if b0 == 0xBF and self._sub == 0x0090:
            us = max(us, self.entry_silence_us)
        elif b0 == 0xBF and self._sub == 0x0092:
            us = max(us, self.exit_silence_us)
        return us

    def _bad_frame(self, now):
        self.frame_errors += 1
        self.out = 0xFFFFAA
        self.fresh = True
        self.ready_us = now + self._answer_us

    def _read2(self, address, now):
        """A register pair as the chip's own logic sees it."""
        word = address >> 1
        if now >= self._valid_us[word]:
            self._measure(word, now)
        return self.regs[address] | self.regs[address + 1] << 8

    def _write(self, address, data, now):
        """One byte into a register. False: busy, not taken."""
        regs = self.regs
        if 0x3E <= address <= 0x61:
            if self._sub_us != FAR_US:
                return False
            if address == 0x3E:
                self._sub_lo = data
                regs[0x3E] = data
            elif address == 0x3F:
                self._start(self._sub_lo | data << 8, now)
            else:
                regs[address] = data
                if address == 0x61:
                    self._commit(now)
            return True
        if address == 0x62 or address == 0x63:
            self._scan_flags(now)
            self.alarm &= ~(data << (8 if address == 0x63 else 0))
            self._put_alarm()
        elif address == 0x66 or address == 0x67:
            regs[address] = data
            self._put_alarm()
        elif address == 0x00:
            self._sub_lo = data
        elif address == 0x01:
            self._start(self._sub_lo | data << 8, now)
        return True

    # -- for somebody who answers on the wire in its place --------

    def taken(self, address, data, now):
        """A write that was taken and echoed already: whatever it is at work on is over."""
        self.advance(now)
        if self._sub_us != FAR_US:
            self._sub_us = FAR_US
            self._execute(self._sub, now)
        self.heard(now)
        self._write(address, data, now)
        self._schedule()

    def heard(self, now):
        """A frame with a right CRC."""
        self._ok_us = now
        if self.status_c & 0x02:
            self.status_c &= ~0x02
            self._put_safety()
            self._drive(now)
            self._hwd_us = now + self.cfg.hwd_s * 1_000_000
            self._schedule()

    def image(self, now):
        """What all 128 registers would read."""
        self.advance(now)
        for word in range(64):
            if now >= self._valid_us[word]:
                self._measure(word, now)
        return bytes(self.regs)

    def payload(self, command, now):
        """What sub-command *command* would give now, or None."""
        return self._answer(command, now)

    # -- sub-commands and data memory --------

    def _start(self, command, now):
        self._sub = command
        self._sub_us = now + _COMMANDS_US.get(command, _ORDINARY_US)
        self.regs[0x3E] = self.regs[0x3F] = 0xFF
        self._schedule()

    def _fill(self, data):
        """Put *data* into the transfer buffer with its checksum and length."""
        regs = self.regs
        total = (self._sub & 0xFF) + (self._sub >> 8)
        for i in range(len(data)):
            regs[0x40 + i] = data[i]
            total += data[i]
        regs[0x60] = ~total & 0xFF
        regs[0x61] = len(data) + 4

    def _execute(self, command, now):
        """The time of a sub-command is over: do it, show its number and its data."""
        self.regs[0x3E] = command & 0xFF
        self.regs[0x3F] = command >> 8
        if DM_BASE <= command < DM_BASE + DM_SIZE:
            if self.sealed != 3:
                at = command - DM_BASE
                data = bytearray(32)
                part = self.cfg.memory[at:at + 32]
                data[0:len(part)] = part
                self._fill(data)
            return
        if self.mode == DEEPSLEEP and command != 0x000E:
            return
        data = self._answer(command, now)
        if data is not None:
            self._fill(data)
        else:
            self._command(command, now)
        self._flags()
        self._schedule()

    def _answer(self, command, now):
        """Payload of a sub-command with data, or None."""
        if command == 0x0001:
            return b"\x95\x76"
        if command == 0x0002:
            return b"\x76\x95\x00\x36\x00\x80"
        if command == 0x0003:
            return b"\x00\x00"
        if command == 0x0004:
            return b"\x7b\x29"
        if command == 0x0005:
            return self._le(self.cfg.signature(), 2)
        if command == 0x0009:
            return b"\x52\x11"
        if command == 0x0053:
            return bytes(4)
        if command == 0x0057:
            value = 0x10 if self.fet_en else 0
            value |= 0x40 if self.pf_en else 0
            value |= (2 if self.chg_test else 0) | (4 if self.dsg_test else 0)
            return self._le(value, 2)
        if 0x0071 <= command <= 0x0074:
            return self._cell_counts((command - 0x71) * 4, now)
        if command == 0x0075:
            return self._dastatus5(now)
        if command == 0x0076:
            return self._dastatus6(now)
        if command == 0x0077:
            return self._counts((5, 6, 7, 8), now)
        if command == 0x0080 or command == 0x0081:
            data = bytearray()
            for value in self._snap[command & 1]:
                data.extend(self._le(value, 2))
            return data
        if command == 0x0083:
            return self._le(self.balance, 2)
        if command == 0x0084:
            return self._le(self._level_mv, 2)
        if command == 0x0085:
            return self._le(self._balance_s, 2)
        if command == 0x0086 or command == 0x0087:
            data = bytearray()
            first = 0 if command == 0x0086 else 8
            for k in range(first, first + 8):
                data.extend(self._le(self._balance_total[k], 4))
            return data
        if command == 0x0097:
            return bytes([self.host_off])
        if command == 0x0098:
            return bytes([self.cfg.memory[0x9236 - DM_BASE]])
        return None

    @staticmethod
    def _le(value, size):
        """Little-endian bytes of an integer, two's complement."""
        data = bytearray(size)
        for i in range(size):
            data[i] = value >> (8 * i) & 0xFF
        return data

    def _cell_counts(self, first, now):
        """Raw 24-bit counts of four cells and of the current with each."""
        data = bytearray()
        for k in range(first, first + 4):
            mv = self._read2(0x14 + 2 * k, now)
            data.extend(self._le(int(mv * 1384.2), 4))
            data.extend(self._le(self._raw_current(now), 4))
        return data

    @staticmethod
    def _dice(k, pin):
        """Noise of conversion *k*, of a deviation of 1."""
        return (((k * 40_503 + pin * 9_973) * 2_654_435_761 >> 13 & 1023) - 511.5) / 295.6

    def _raw_current(self, now):
        """CC2's counts, of 24 bits, with the converter's own noise."""
        slot = self.cfg.slot_us
        k = (now - self._loop0) // slot
        stands = self.frozen or 0x1D in self._held or not self._measuring
        if stands and 0x1D in self._stood:
            return self._stood[0x1D]
        uv = self._at(now)[2] * self._uv_ma * self._sense_gain + self._offset_uv
        if self.shunt_stuck_ma is not None:
            uv = self.shunt_stuck_ma * self._uv_ma
            return int(uv / 0.02956)
        value = int(uv / 0.02956 + self._dice(k, 0x1D) * self._cc_noise)
        if stands:
            self._stood[0x1D] = value
        elif 0x1D in self._stood:
            del self._stood[0x1D]
        return value

    def _mean_ma(self, now):
        """CC3: mean current of its last full window."""
        window = max(2, self.cfg.memory[0x9307 - DM_BASE]) * 3000
        end = now - (now - self._loop0) % window
        start = end - window
        total = 0.0
        hist = self._hist
        k = len(hist) - 1
        upper = end
        while k >= 0 and upper > start:
            begin = max(start, hist[k][0]) if k else start
            if begin < upper:
                total += hist[k][2] * (upper - begin)
                upper = begin
            k -= 1
        return total / window

    def _dastatus5(self, now):
        data = bytearray(32)
        cells = []
        for k in range(CELLS):
            if self.cfg.cells_used >> k & 1:
                cells.append(self._read2(0x14 + 2 * k, now))
        cells = [v - 0x10000 if v & 0x8000 else v for v in cells] or [0]
        temps = self._temp_dk(1, now) or [0]
        fets = self._temp_dk(3, now) or [0]
        mean = sum(temps) // len(temps)
        value = self._user_a(self._mean_ma(now), 0.0)
        put = (
            (0, 25_000), (2, 1), (4, max(cells)), (6, min(cells)),
            (8, int(sum(cells) / self.cfg.user_mv)), (10, mean), (12, fets[0]),
            (14, max(temps)), (16, min(temps)), (18, mean), (20, value), (22, self.cc1_ua),
        )
        for at, number in put:
            data[at:at + 2] = self._le(number, 2)
        raw = self._raw_current(now)
        data[24:28] = self._le(raw, 4)
        data[28:32] = self._le(int(self._mean_ma(now) * self._uv_ma / 0.02956), 4)
        return data

    def _dastatus6(self, now):
        units = int(_floor(self.passed_uah))
        part = int((self.passed_uah - units) * 4294967296.0)
        data = bytearray(self._le(units, 4))
        data.extend(self._le(part, 4))
        data.extend(self._le(int(self.passed_s), 4))
        data.extend(self._counts((0, 1, 2, 3, 4), now))
        return data

    def _counts(self, pins, now):
        data = bytearray()
        for pin in pins:
            data.extend(self._le(self._count(pin, now) if pin in self.cfg.pins else 0, 4))
        return data

    def _count(self, pin, now):
        """Raw counts, of 24 bits, of a thermistor's last conversion.

        They have the converter's own noise, whatever hangs on the pin.
        """
        register, address, sensor = THERMISTORS[pin]
        word = register >> 1
        stands = self.frozen or word in self._held or not self._measuring
        if stands and pin in self._stood:
            return self._stood[pin]
        slot, phase = self.cfg.slots[word]
        period = self._period
        due = self._loop0 + (slot + 1) * self.cfg.slot_us
        if phase >= 0 and self.mode != SLEEP:
            due += phase * period
            period *= 3
        k = max(0, (now - due) // period)
        ratio = self._ratio(sensor, self.cfg.memory[address - DM_BASE], k)
        value = int(ratio * 0.6 * 8388608.0 + self._dice(k, pin) * self._ntc_noise)
        if stands:
            self._stood[pin] = value
        elif pin in self._stood:
            del self._stood[pin]
        return value

    def _command(self, command, now):
        """Sub-commands without data."""
        if command == 0x0012:
            self._reset(now)
        elif command == 0x000E:
            if self.mode == DEEPSLEEP:
                self._end_deepsleep(now)
        elif command == 0x000F:
            if now - self._deep_us <= 4_000_000:
                self._stop_loop(now)
                self.mode = DEEPSLEEP
                self._set_balance(0, now)
                self._drive(now)
            self._deep_us = now
        elif command == 0x0010:
            if self.sealed != 3 or now - self._shut_us <= 4_000_000:
                self.mode = SHUTDOWN
                self._set_balance(0, now)
                self._drive(now)
                if 4 in self.cfg.pins and not self.cfg.u2(0x9234) & 0x1000:
                    self._power_on(now, 250_000)    # TS2 wakes it: a thermistor pulls it low
            self._shut_us = now
        elif command == 0x001F:
            self.chg_test = not self.chg_test and not self.fet_en
        elif command == 0x0020:
            self.dsg_test = not self.dsg_test and not self.fet_en
        elif command == 0x0022:
            self.fet_en = not self.fet_en
            self.chg_test = self.dsg_test = False
        elif command == 0x0024:
            self.pf_en = not self.pf_en
        elif command == 0x0030:
            self.sealed = 3
        elif command == 0x0082:
            self.passed_uah = 0.5
            self.passed_s = 0.0
        elif command == 0x0090:
            if not self.cfgupdate:
                self._stop_loop(now)
                self.cfgupdate = True
                self._host_mask = self._level_mv = 0
                self._set_balance(0, now)
        elif command == 0x0092:
            if self.cfgupdate:
                self._leave_config(now)
        elif 0x0093 <= command <= 0x0096:
            if self.cfg.fet_options & 4:
                if command == 0x0096:
                    self.host_off = 0
                else:
                    self.host_off |= (0x03, 0x0C, 0x0F)[command - 0x93]
        elif command == 0x0099:
            self.sleep_enabled = True
        elif command == 0x009A:
            self.sleep_enabled = False
            if self.mode == SLEEP:
                self._leave_sleep(now)
        elif command == 0x009B:
            self.status_c &= ~0x20
            self._count_ocd = 0
        elif command == 0x009C:
            self.status_c &= ~0x40
            self._count_scd = 0
        elif command == 0x009D or command == 0x009E:
            self.ld_on = True
            self.plant.apply(now, ld_source=True)
            self._sense(now)
        elif command == 0x009F:
            self.ld_on = False
            self.plant.apply(now, ld_source=False)
            self._sense(now)
        elif command == 0xF090 or command == 0xF091:
            cells = self._extremes(self._hist[-1][1])
            value = min(cells) if command == 0xF090 else max(cells)
            at = (0x91D4 if command == 0xF090 else 0x91D6) - DM_BASE
            self.cfg.memory[at:at + 2] = self._le(int(value + 0.5), 2)
            self.cfg.load()
            self._take_figures()
        elif command == 0x29BC:
            self._comm_dead = self.cfg.memory[0x9239 - DM_BASE] not in (0x10, 0)
        elif command == 0x29E7 or command == 0x7C40:
            self._comm_dead = True
        if self.mode != STARTING:
            self._put_safety()
            self._drive(now)

    def _leave_config(self, now):
        """EXIT_CFGUPDATE: the settings count from here on."""
        self.cfgupdate = False
        self.por = False
        self.cfg.load()
        self._take_figures()
        self.regs[0x66] = self.cfg.alarm_mask & 0xFF
        self.regs[0x67] = self.cfg.alarm_mask >> 8
        self.sleep_enabled = bool(self.cfg.u2(0x9234) & 0x0100) and self.sleep_enabled
        self._cond = 0
        self.alert_a = 0
        self._due = [FAR_US] * 8
        self._hwd_us = now + self.cfg.hwd_s * 1_000_000 if self.cfg.en[2] & 2 else FAR_US
        self._start_loop(now, True)
        self._sense(now)
        self._flags()

    def _commit(self, now):
        """0x61 was written: take the block if length and checksum agree."""
        regs = self.regs
        length = regs[0x61] - 4
        command = regs[0x3E] | regs[0x3F] << 8
        if length < 1 or length > 32:
            return
        total = regs[0x3E] + regs[0x3F]
        for i in range(length):
            total += regs[0x40 + i]
        if ~total & 0xFF != regs[0x60]:
            return
        data = bytes(regs[0x40:0x40 + length])
        if DM_BASE <= command < DM_BASE + DM_SIZE:
            at = command - DM_BASE
            if self.sealed != 3 and at + length <= DM_SIZE:
                self.cfg.memory[at:at + length] = data
                if not self.cfgupdate:
                    self._stop_loop(now)
                    self.cfg.load()
                    self._take_figures()
                    self._start_loop(now, True)
                    self._sense(now)
                    self._drive(now)
                    self._schedule()
        elif command == 0x0097 and length == 1:
            if self.cfg.fet_options & 4:
                self.host_off = data[0] & 0x0F
                self._drive(now)
        elif command == 0x0083 and length == 2:
            if not self._cb(4):
                self._host_mask = data[0] | data[1] << 8
                self._level_mv = 0
                self._balance_us = now
                self._balance_tick(now)
                self._schedule()
        elif command == 0x0084 and length == 2:
            if not self._cb(4):
                self._level_mv = data[0] | data[1] << 8
                self._host_mask = 0
                self._balance_us = now
                self._balance_tick(now)
                self._schedule()
        elif command == 0x0098 and length == 1:
            self.cfg.memory[0x9236 - DM_BASE] = data[0]
        elif command == 0x0035 and length == 4:
            key = data[0] | data[1] << 8 | data[2] << 16 | data[3] << 24
            if key == 0x36720414 and self.sealed == 3:
                self.sealed = 2
            elif key == 0xFFFFFFFF and self.sealed == 2:
                self.sealed = 1
            self._flags()

    def _reset(self, now, wait_us=_T_RESET_US):
        self._power_on(now, wait_us)

    # -- faults --------

    def brownout(self, now):
        """The supply dipped: everything in RAM is gone."""
        self._power_on(now, _T_START_US)

    def lose_config(self, now):
        """Data memory falls back to its defaults; nothing else tells of it."""
        self._stop_loop(now)
        self.cfg = Settings()
        self._take_figures()
        self._start_loop(now, True)
        self._sense(now)
        self._drive(now)
        self._flags()
        self._schedule()

    def freeze(self, on, now):
        """Measurement registers stop changing (comparators go on), or go on."""
        if on and not self.frozen:
            self._hold(now)
            self.frozen = True
        elif not on and self.frozen:
            self.frozen = False
            if self._measuring:
                self._start_loop(now, True)

    def freeze_parts(self, parts, now):
        """The registers of *parts* (of PARTS) stand still from now on; those of others go on."""
        held = [word for part in parts for word in PARTS[part]]
        for word in held:
            if word not in self._held and now >= self._valid_us[word]:
                self._measure(word, now)
        self.frozen_parts = tuple(parts)
        self._held = tuple(held)

    def _take_figures(self):
        """What answers and readings are made with, from the board's figures and the faults."""
        latency_us = self.latency_us if self.fault_latency_us is None else self.fault_latency_us
        self._answer_us = max(int(latency_us), self.late_us)
        trim = self.cfg.divider_trim
        self._word_gain = [self._stack_gain * self.reference * gain for gain in (
            self.stack_gain * trim[0], self.pack_gain * trim[1], self.ld_gain * trim[2])]
        self._sense_gain = self._gain * self.current_gain

    def faults_changed(self, now):
        """Attributes of board, wires, shunt or bus were changed."""
        self._take_figures()
        self._sense_odd = self.open_wire is not None or self.swapped is not None
        self._shunt_odd = (self.shunt_gain != 1.0 or self.shunt_offset_ma != 0.0
                           or self.shunt_sign != 1)
        if self.open_wire is None:
            self._wire_shift = 0.0
        self._drive(now)
        self._flags()
        self._sense(now)
        self._schedule()
