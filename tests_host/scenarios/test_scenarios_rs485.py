"""The port to the inverter on the bench: rights, loss of the inverter, changing loads."""

import os

import pytest

from test_clients_rs485 import Line


def frame(body):
    return ("~%s%04X\r" % (body, -sum(map(ord, body)) & 0xFFFF)).encode()


@pytest.mark.sample
@pytest.mark.req("COM-07")
def test_nothing_opens_a_fet_from_the_inverters_port_until_unlocked(rig, target):
    ports = rig.open(target, dip=1)["ports"]
    rig.run(6000)               # the FETs close after the start's checks (PRO-27)
    line = Line(rig, ports["pcs"])

    def ask(body):
        line.write(frame(body))
        return line.readline()

    locked = (("2501469AE00201", b"~25014609"), ("2501469BE00201", b"~25014609"),
              ("2501469CE00201", b"~25014609"), ("20024695E00202", b"~20024609"),
              ("200246640000", b"~20024609"), ("250146D0F010010DDE0E420D340A", b"~25014609"),
              ("250146EEC0040032", b"~25014609"), ("20024691E00208", b"~20024609"))
    for body, begin in locked:
        assert ask(body).startswith(begin), body
    seen = rig.get()
    assert seen["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    assert seen["report"]["held"] == [] and seen["report"]["unlocked_s"] == 0
    assert rig.param("cell_ov_trip_mv")["value"] == 3600

    rig._client.command("unlock 1")
    assert ask("2501469AE00201") == frame("25014600E00204")
    rig.run(1000)
    seen = rig.get()
    assert seen["wire"]["fets"] == {"chg": 0, "dsg": 1, "pchg": 0}
    assert seen["report"]["held"] == ["chg"] and seen["report"]["ccl_ma"] == 0
    assert 55 <= seen["report"]["unlocked_s"] <= 60
    assert ask("250146D0F010010DDE0E420D340A") == frame("250146000000")
    assert rig.param("cell_ov_trip_mv")["value"] == 3650      # 3700 mV is the ceiling (PRO-31)
    assert ask("2501469AE00200").startswith(b"~25014600")
    rig._client.command("unlock 0")
    assert ask("2501469AE00201").startswith(b"~25014609")
    rig.run(8000)               # the front end was configured anew, with both FETs open
    assert rig.get()["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    kinds = [event["event"] for event in rig.events()["events"]]
    assert kinds.count("held") == 2 and "parameter" in kinds
    line.close()


@pytest.mark.req("COM-07", "PWR-10")
@pytest.mark.targets("host", "unix")
def test_switched_off_by_command_it_sleeps_until_woken(rig, target):
    ports = rig.open(target)["ports"]
    rig.run(3000)
    line = Line(rig, ports["pcs"])
    rig._client.command("unlock 1")
    line.write(frame("2500469CE00201"))
    assert line.readline() == frame("250046000000")
    rig.run(20_000)
    seen = rig.get()
    assert seen["wire"]["fets"] == {"chg": 0, "dsg": 0, "pchg": 0}
    assert seen["report"]["state"] == "sleep"
    rig.set(charger_mv=54_000, charger_ma=5000)
    rig.run(20_000)
    seen = rig.get()
    assert seen["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    assert seen["report"]["held"] == []
    line.close()


@pytest.mark.req("COM-08")
@pytest.mark.targets("host", "unix")
def test_a_lost_inverter_is_recorded_and_reported_until_it_is_back(rig, target):
    ports = rig.open(target, params={"inverter_lost_s": 10})["ports"]
    line = Line(rig, ports["pcs"])
    line.write(b"~2002464F0000FD98\r")
    assert line.readline() == b"~200246000000FDB2\r"
    rig.run(8000)
    assert rig.get()["report"]["inverter_lost"] == 0
    rig.run(4000)
    report = rig.get()["report"]
    assert report["inverter_lost"] == 1 and 10 <= report["inverter_silent_s"] <= 13

    def red_ms(ms):
        """Time that ALM lights within the next *ms*."""
        start_ms = rig.get()["t_ms"]
        rig.run(ms)
        edges = [e for e in rig.trace(since_ms=start_ms)["edges"] if e[1] == "lamps.alm"]
        return sum(b[0] - a[0] for a, b in zip(edges, edges[1:]) if a[2] and not b[2])

    assert red_ms(8_500) == pytest.approx(2000, abs=501)        # Flash 3: an alarm
    line.write(b"~2002464F0000FD98\r")
    line.readline()
    rig.run(3500)
    assert rig.get()["report"]["inverter_lost"] == 0 and red_ms(4_000) == 0
    rig.run(12_000)
    assert rig.get()["report"]["inverter_lost"] == 1 and red_ms(4_000) > 0
    rig.command_text("clear")                                   # taken away on purpose
    rig.run(2_000)
    assert rig.get()["report"]["inverter_lost"] == 1 and red_ms(4_000) == 0
    kinds = [event["event"] for event in rig.events()["events"]]
    assert (kinds.count("inverter_lost"), kinds.count("inverter_back")) == (2, 1)
    line.close()


@pytest.mark.req("COM-08", "LED-03")
@pytest.mark.targets("host")
def test_an_inverter_that_never_was_there_lights_no_lamp(rig, target):
    rig.open(target, params={"inverter_lost_s": 10})
    rig.run(30_000)
    assert rig.get()["report"]["inverter_lost"] == 1
    assert not [e for e in rig.trace(since_ms=8_000)["edges"] if e[1] == "lamps.alm"]


@pytest.mark.req("COM-05")
@pytest.mark.targets("host", "unix")
def test_what_63_allows_is_0_before_a_protection_opens_a_fet(rig, target):
    ports = rig.open(target)["ports"]
    rig.run(60_000)
    line = Line(rig, ports["pcs"])

    def charge():
        line.write(b"~200246630000FDA9\r")
        answer = line.readline()
        return int(answer[21:25], 16), int(answer[29:31], 16) & 0x80

    assert charge() == (1000, 0x80)
    rig.set(cell_mv={"7": 3620})
    zero_ms = None
    for _ in range(60):
        allowed = charge()
        if zero_ms is None and allowed == (0, 0):
            zero_ms = rig.get()["t_ms"]
        if not rig.get()["wire"]["fets"]["chg"]:
            break
    opened_ms = [t_ms for t_ms, name, value in rig.trace()["edges"]
                 if name == "fets.chg" and not value][-1]
    assert zero_ms is not None and zero_ms < opened_ms
    line.close()


@pytest.mark.req("COM-01")
@pytest.mark.targets("host")
def test_the_port_runs_at_the_baud_rate_of_its_parameter(rig, target):
    """Default 9600 bit/s: 144 characters of 42 take 150 ms."""
    ports = rig.open(target)["ports"]
    rig.run(3000)
    fd = os.open(ports["pcs"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(fd, b"~20024642E00202FD33\r")
    rig.run(130)
    first = len(os.read(fd, 4096))
    rig.run(100)
    assert 60 < first < 110 and first + len(os.read(fd, 4096)) == 144
    os.close(fd)
