"""Other people's programs, unmodified, on the port to the inverter: what they read is what the
debug port reports at the same time."""

import os
import pathlib
import socket
import sys
import threading

import pytest

from pylontech import Pylontech

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / ".venv" / "clients"
CELLS_MV = [3301 + 2 * i for i in range(16)]
SAG_MV = 8          # of a cell at 12.34 A
TEMPS_DC = [210, 220, 230, 240]
_WAIT_MS = 2000         # what the clients wait for an answer


class Line:
    """Stands in for a client's serial port: time passes on the bench while it waits."""

    def __init__(self, rig, path):
        self._rig = rig
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.port = path
        self.timeout = _WAIT_MS / 1000
        self.is_open = True
        self.baudrate = 9600

    def write(self, data):
        os.write(self._fd, data)
        return len(data)

    def _read(self, is_enough):
        data = b""
        for _ in range(0, _WAIT_MS, 20):
            self._rig.run(20)
            try:
                data += os.read(self._fd, 4096)
            except BlockingIOError:
                pass
            if is_enough(data):
                break
        return data

    def readline(self):
        return self._read(lambda data: data.endswith(b"\r"))

    def read(self, size=1):
        return self._read(lambda data: len(data) >= size)[:size]

    def reset_input_buffer(self):
        pass

    def reset_output_buffer(self):
        pass

    def open(self):
        pass

    def close(self):
        os.close(self._fd)


def pack(rig, target, **params):
    """A pack with sixteen different cells and four different sensors, discharging."""
    ports = rig.open(target, plant={"soc": 0.62}, params=params)["ports"]
    rig.set(cell_mv=[mv + SAG_MV for mv in CELLS_MV], cell_temp_dc=TEMPS_DC, mos_dc=300)
    rig.run(6000)
    rig.set(load_ma=12_340, cell_mv=CELLS_MV)   # a current that no cell feels is a fault (MEA-07)
    rig.run(3000)
    return ports


def master(rig, path):
    """python-pylontech with the bench behind its serial port."""
    client = Pylontech.__new__(Pylontech)
    client.s = Line(rig, path)
    return client


NOISE_DC = 5        # between two readings of a thermistor, which are of different scans


def near(value, wanted, within):
    assert abs(value - wanted) <= within, (value, wanted)


ROUND_MS = 2000     # of the master's polling: the state of a slave is at most this old
TENTH_A_MA = 50     # a frame tells tenths of an ampere
NOISE_MA = 50       # between two readings of a current, which are of different scans


class Told:
    """Currents that the reports of a fleet tell one after another: frames tell older ones.

    Between packs of different charge a current flows that fades by 1 to 2 % a second.
    """

    def __init__(self, rig, modules):
        self._rig = rig
        self._modules = modules
        self._told = []             # (ms, [current of each module])
        self.listen(ROUND_MS)

    def reports(self):
        seen = [self._rig.command({"cmd": "get", "module": k}) for k in range(self._modules)]
        reports = [one["report"] for one in seen]
        self._told.append((seen[0]["t_ms"], [report["current_ma"] for report in reports]))
        return reports

    def listen(self, ms):
        for _ in range(0, ms, 500):
            self.reports()
            self._rig.run(500)
        self.reports()

    def moments(self):
        """{module: (lowest, highest)} that a frame of just now may tell."""
        self.reports()
        since_ms = self._told[-1][0] - ROUND_MS
        first = max(i for i, (ms, _) in enumerate(self._told) if ms <= since_ms)
        flows = list(zip(*(flow for _, flow in self._told[first:])))
        return {k: (min(flow), max(flow)) for k, flow in enumerate(flows)}


def is_one_of(current_ma, moments):
    low_ma, high_ma = moments
    within_ma = TENTH_A_MA + NOISE_MA
    assert low_ma - within_ma <= current_ma <= high_ma + within_ma, (current_ma, moments)


@pytest.mark.req("COM-01")
@pytest.mark.slow
def test_python_pylontech_reads_what_the_pack_reports(rig, target):
    ports = pack(rig, target)
    client = master(rig, ports["pcs"])
    assert client.get_protocol_version().ver == b"\x20"
    maker = client.get_manufacturer_info()
    assert maker.DeviceName.rstrip(b"\0") == b"AM5000"
    assert maker.ManufacturerName.startswith(b"Pylon")
    serial = client.get_module_serial_number(2).ModuleSerialNumber.decode()
    assert serial.startswith("PC") and len(serial) == 16
    assert client.get_module_serial_number().ModuleSerialNumber.decode() == serial
    assert client.scan_for_batteries(0, 4) == {2: serial}

    limits = client.get_system_parameters()
    assert limits == client.get_system_parameters(2)
    for name, param, unit in (
            ("CellHighVoltageLimit", "cell_ov_trip_mv", 1000),
            ("CellLowVoltageLimit", "cell_uv_alarm_mv", 1000),
            ("CellUnderVoltageLimit", "cell_uv_trip_mv", 1000),
            ("ChargeHighTemperatureLimit", "chg_ot_trip_dc", 10),
            ("ChargeLowTemperatureLimit", "chg_ut_trip_dc", 10),
            ("ChargeCurrentLimit", "nominal_ma", 1000),
            ("ModuleHighVoltageLimit", "pack_ov_trip_mv", 1000),
            ("ModuleLowVoltageLimit", "pack_uv_alarm_mv", 1000),
            ("ModuleUnderVoltageLimit", "pack_uv_trip_mv", 1000),
            ("DischargeHighTemperatureLimit", "dsg_ot_trip_dc", 10),
            ("DischargeLowTemperatureLimit", "dsg_ut_trip_dc", 10)):
        near(limits[name], rig.param(param)["value"] / unit, 1e-9)
    near(limits.DischargeCurrentLimit, -limits.ChargeCurrentLimit, 1e-9)

    moving = 0.1
    if target == "rp2040":
        moving = 2.0            # they still rise by 2 A/s: a minute of it takes too long here
    else:
        rig.run(60_000)
    managed = client.get_management_info(2)
    report = rig.get()["report"]
    near(managed.ChargeVoltageLimit, report["cvl_mv"] / 1000, 1e-9)
    near(managed.DischargeVoltageLimit, rig.param("dvl_mv")["value"] / 1000, 1e-9)
    near(managed.ChargeCurrentLimit, report["ccl_ma"] / 1000, moving)
    near(managed.DischargeCurrentLimit, -report["dcl_ma"] / 1000, moving)
    assert managed.status.ChargeEnable and managed.status.DischargeEnable
    assert not managed.status.ShouldCharge

    one = client.get_values_single(2)
    report = rig.get()["report"]
    every = client.get_values()
    assert (one.NumberOfModule, every.NumberOfModules, len(every.Module)) == (2, 1, 1)
    for seen in (one, every.Module[0]):
        for cell_v, cell_mv in zip(seen.CellVoltages, report["cell_mv"]):
            near(1000 * cell_v, cell_mv, 4)
        near(10 * seen.AverageBMSTemperature, report["mos_dc"], NOISE_DC)
        for sensor, temp_dc in zip(seen.GroupedCellsTemperatures, report["temp_dc"]):
            near(10 * sensor, temp_dc, NOISE_DC)
        near(1000 * seen.Current, report["current_ma"], 100)
        near(1000 * seen.Voltage, report["stack_mv"], 40)
        near(1000 * seen.RemainingCapacity, report["remaining_mah"], 30)
        near(1000 * seen.TotalCapacity, report["full_mah"], 0.5)
        assert seen.CycleNumber == report["cycles"]
        near(10_000 * seen.RemainingCapacity / seen.TotalCapacity, report["soc_cpct"], 3)
    near(every.StateOfCharge, report["soc_cpct"] / 10_000, 0.0003)
    for cell_mv, wanted in zip(report["cell_mv"], CELLS_MV):
        near(cell_mv, wanted, 6)
    client.s.close()


@pytest.mark.req("COM-01", "COM-03")
@pytest.mark.slow
@pytest.mark.targets("unix")
def test_python_pylontech_reads_a_fleet_of_four_from_its_master(rig, target):
    opened = rig.fleet(modules=4, board=target, plant=[{"soc": 0.5}, {"soc": 0.52}, {"soc": 0.55},
                                                       {"soc": 0.6}])
    rig.run(10_000)
    client = master(rig, opened["modules"][0]["ports"]["pcs"])
    serials = {2 + i: module["hello"]["serial"] for i, module in enumerate(opened["modules"])}
    assert client.scan_for_batteries(1, 7) == serials
    assert client.get_protocol_version().ver == b"\x20"
    assert client.get_manufacturer_info().DeviceName.rstrip(b"\0") == b"AM5000"
    told = Told(rig, 4)
    every = client.get_values()
    moments = told.moments()
    assert max(low for low, _ in moments.values()) > 1000       # currents to be told apart
    assert min(high for _, high in moments.values()) < -1000
    assert every.NumberOfModules == 4
    for k, flow in moments.items():
        is_one_of(1000 * every.Module[k].Current, flow)
    remaining = full = 0
    for k in range(4):
        adr = 2 + k
        one = client.get_values_single(adr)
        is_one_of(1000 * one.Current, told.moments()[k])
        assert one.NumberOfModule == adr
        managed = client.get_management_info(adr)
        assert client.get_system_parameters(adr).CellHighVoltageLimit == 3.6
        report = rig.command({"cmd": "get", "module": k})["report"]
        near(managed.ChargeVoltageLimit, report["cvl_mv"] / 1000, 1e-9)
        near(managed.ChargeCurrentLimit, report["ccl_ma"] / 1000, 4)
        for seen in (one, every.Module[k]):
            for cell_v, cell_mv in zip(seen.CellVoltages, report["cell_mv"]):
                near(1000 * cell_v, cell_mv, 5)
            near(10 * seen.AverageBMSTemperature, report["mos_dc"], NOISE_DC)
            for sensor, temp_dc in zip(seen.GroupedCellsTemperatures, report["temp_dc"]):
                near(10 * sensor, temp_dc, NOISE_DC)
            near(1000 * seen.Voltage, report["stack_mv"], 50)
            near(1000 * seen.RemainingCapacity, report["remaining_mah"], 100)
            assert seen.CycleNumber == report["cycles"]
        remaining += report["remaining_mah"]
        full += report["full_mah"]
    near(every.StateOfCharge, remaining / full, 0.002)
    client.s.close()


@pytest.mark.req("COM-06")
@pytest.mark.targets("host", "unix")
def test_python_pylontech_on_a_line_that_echoes_babbles_and_errs(rig, target):
    """One byte in 10 000 is wrong, in both directions: nothing wrong is ever accepted."""
    ports = pack(rig, target)
    client = master(rig, ports["pcs"])
    rig.set(fault={"rs485_noise": 1e-4})
    good = lost = 0
    for _ in range(150 if target == "host" else 40):
        try:
            seen = client.get_values_single(2)
        except Exception:       # the client's own checks, or a timeout
            lost += 1
            continue
        good += 1
        for cell_v, cell_mv in zip(seen.CellVoltages, CELLS_MV):
            near(1000 * cell_v, cell_mv, 6)
        near(seen.Current, -12.3, 0.2)
    assert good > 4 * lost
    rig.set(fault={"rs485_noise": None, "rs485_echo": True})
    os.write(client.s._fd, b"~200246FE0000FD8A\r")              # an error echoed as a request
    rig.run(3000)
    answers = client.s.readline()
    assert answers.count(b"\r") <= 1, answers                   # no storm
    rig.set(fault={"rs485_echo": None, "rs485_babble": 0.9})
    rig.run(3000)
    rig.set(fault={"rs485_babble": None})
    rig.run(1500)
    client.s.readline()
    assert client.get_protocol_version().ver == b"\x20"
    client.s.close()


class Bridge:
    """A pseudo-terminal as a TCP socket, for a client that sets modem lines."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = "socket://127.0.0.1:%d" % self._server.getsockname()[1]
        self._line = None
        threading.Thread(target=self._to_pack, daemon=True).start()
        threading.Thread(target=self._to_client, daemon=True).start()

    def _to_pack(self):
        self._line, _ = self._server.accept()
        while True:
            data = self._line.recv(4096)
            if not data:
                return
            os.write(self._fd, data)

    def _to_client(self):
        while True:
            try:
                data = os.read(self._fd, 4096)
                self._line.sendall(data)
            except (OSError, AttributeError):
                return


@pytest.mark.req("COM-01")
@pytest.mark.slow
def test_pylontech_stack_reads_what_the_pack_reports(rig):
    """Another program of nearly the same name; its requests have an INFO of two bytes."""
    ports = pack(rig, "host")
    theirs = {name: sys.modules.pop(name) for name in list(sys.modules)
              if name.split(".")[0] == "pylontech"}
    sys.path.insert(0, str(CLIENTS))
    try:
        from pylontech import PylontechStack
    finally:
        sys.path.remove(str(CLIENTS))
        for name in list(sys.modules):
            if name.split(".")[0] == "pylontech":
                del sys.modules[name]
        sys.modules.update(theirs)
    rig.play(1)
    bridge = Bridge(ports["pcs"])
    stack = PylontechStack(bridge.url, baud=9600, manualBattcountLimit=1)
    seen = stack.update()
    rig.pause()
    report = rig.get()["report"]
    assert len(seen["AnaloglList"]) == 1
    values = seen["AnaloglList"][0]
    for cell_v, cell_mv in zip(values["CellVoltages"], report["cell_mv"]):
        near(1000 * cell_v, cell_mv, 4)
    near(1000 * values["Current"], report["current_ma"], 100)
    near(1000 * values["Voltage"], report["stack_mv"], 40)
    near(1000 * values["RemainCapacity"], report["remaining_mah"], 60)
    managed = seen["ChargeDischargeManagementList"][0]
    near(1000 * managed["ChargeVoltage"], report["cvl_mv"], 0.5)
    assert managed["StatusChargeEnable"] and managed["StatusDischargeEnable"]
    alarms = seen["AlarmInfoList"][0]
    assert set(alarms["CellAlarm"]) == set(alarms["TemperatureAlarm"]) == {"Ok"}


@pytest.mark.req("COM-01")
@pytest.mark.targets("host", "unix")
def test_minimalmodbus_reads_what_the_pack_reports(rig, target, monkeypatch):
    import minimalmodbus
    ports = pack(rig, target, pcs_protocol=3)
    line = Line(rig, ports["pcs"])
    monkeypatch.setattr(minimalmodbus, "_is_serial_object", lambda port: port is line)
    client = minimalmodbus.Instrument(line, 1)
    values = client.read_registers(0, 37)
    report = rig.get()["report"]
    signed = [value - 0x10000 if value & 0x8000 else value for value in values]
    near(10 * signed[0], report["current_ma"], 20)
    near(10 * values[1], report["stack_mv"], 40)
    near(values[2], report["soc_cpct"] / 100, 1)
    assert values[3] == report["soh_pct"]
    near(10 * values[4], report["remaining_mah"], 30)
    near(10 * values[5], report["full_mah"], 5)
    for seen_mv, cell_mv in zip(values[15:31], report["cell_mv"]):
        near(seen_mv, cell_mv, 4)
    for seen_dc, temp_dc in zip(signed[31:35], report["temp_dc"]):
        near(seen_dc, temp_dc, NOISE_DC)
    assert values[9:11] == [0, 0] and values[11] == 0x0E00      # discharging, both FETs closed
    with pytest.raises(minimalmodbus.IllegalRequestError):      # COM-07: locked
        client.write_registers(64, [3400, 3600, 3300, 30])
    assert rig.param("cell_ov_alarm_mv")["value"] == 3500
    with pytest.raises(minimalmodbus.IllegalRequestError):
        client.read_register(300)


@pytest.mark.req("COM-01")
@pytest.mark.slow
def test_pymodbus_reads_what_the_pack_reports(rig):
    from pymodbus.client import ModbusSerialClient
    ports = pack(rig, "host", pcs_protocol=4)
    rig.play(1)
    client = ModbusSerialClient(ports["pcs"], baudrate=9600, timeout=20)
    assert client.connect()
    values = client.read_holding_registers(0x30, count=4, device_id=1).registers
    limits = client.read_holding_registers(0x70, count=5, device_id=1).registers
    client.close()
    rig.pause()
    report = rig.get()["report"]
    assert values[0] == 0
    near(100 * values[1], -report["current_ma"], 100)
    near(100 * values[2], report["stack_mv"], 100)
    near(values[3], report["soc_cpct"] / 100, 1)
    near(100 * limits[0], report["cvl_mv"], 100)
    assert limits[4] == 0xC0
