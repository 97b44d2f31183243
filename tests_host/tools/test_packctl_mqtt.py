"""`packctl mqtt` against a real broker (mosquitto), with a simulated pack."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

aiomqtt = pytest.importorskip("aiomqtt")

import packctl                                  # noqa: E402
from packctl import entities                    # noqa: E402
from packctl.schema import Param, Schema        # noqa: E402
from rig import Rig                             # noqa: E402

TOOLS = pathlib.Path(packctl.__file__).resolve().parent.parent
LIMIT_S = 600                   # of waiting for one message, on a busy machine


# ---- what is told, without a broker --------------------------------------------------------

SCHEMA = Schema("state;B;1;enum:self_test|standby;what it does\n"
                "alarms;I;1;bits:PRO-01|PRO-02;\n"
                "cell_mv;H;2;mV;cells\n"
                "soc_cpct;H;1;cpct;state of charge\n"
                "temp_dc;h;1;dC;\n"
                "worst_us;I;1;us;")


@pytest.mark.req("HST-05")
def test_units_classes_and_words_come_from_the_schema():
    parts = entities.components(SCHEMA)
    assert parts["state"]["device_class"] == "enum"
    assert parts["state"]["options"] == ["self test", "standby"]
    assert parts["cell_mv_1"]["name"] == "Cell 1"
    assert parts["cell_mv_1"]["unit_of_measurement"] == "V"
    assert parts["cell_mv_1"]["device_class"] == "voltage"
    assert parts["soc_cpct"]["device_class"] == "battery"
    assert parts["temp_dc"]["unit_of_measurement"] == "°C"
    assert parts["worst_us"]["entity_category"] == "diagnostic"
    message = entities.discovery({"serial": "PC 01"}, parts, "packctl/x")
    ids = [part["unique_id"] for part in message["cmps"].values()]
    assert len(ids) == len(set(ids)) and message["dev"]["ids"] == ["packctl_pc01"]


@pytest.mark.req("HST-05", "HST-02")
def test_a_number_has_the_range_of_the_registry_in_usual_units():
    cvl = Param("81;cvl_mv;mV;48000;58400;55600;55600;")
    number = entities.controls([cvl])["param_cvl_mv"]
    assert (number["min"], number["max"], number["step"]) == (48.0, 58.4, 0.001)
    assert number["unit_of_measurement"] == "V"


# ---- a broker ------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Broker:
    """A mosquitto of its own."""

    def __init__(self, folder):
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                                "persistence false\nuser root\n")
        self._process = None

    def start(self):
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is missing; make test installs it", pytrace=False)
        self._process = subprocess.Popen([program, "-c", self._config], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        pytest.fail("mosquitto does not listen")

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path):
    found = Broker(tmp_path)
    found.start()
    yield found
    found.stop()


@contextlib.contextmanager
def bridge(port, broker, *words):
    process = subprocess.Popen(
        [sys.executable, "-m", "packctl", "mqtt", "-p", port, "--timeout", "2", "--every", "0.3",
         "--broker", f"127.0.0.1:{broker.port}", *words],
        env={**os.environ, "PYTHONPATH": str(TOOLS)}, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def pack():
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55})
        rig.run(8_000)
        rig.play(2)
        rig.port = opened["urls"]["debug"]
        yield rig


class Listener:
    """Keeps what comes, and waits for what shall."""

    def __init__(self, client):
        self._client = client
        self.last = {}

    async def until(self, is_there, what):
        """Take messages until *is_there(topic, text)* of one is true; returns its text."""
        async def take():
            async for message in self._client.messages:
                topic, text = str(message.topic), message.payload.decode()
                self.last[topic] = text
                if is_there(topic, text):
                    return text
        try:
            return await asyncio.wait_for(take(), LIMIT_S)
        except asyncio.TimeoutError:
            pytest.fail(f"waited for {what}; there is {sorted(self.last)}")


@contextlib.asynccontextmanager
async def home(broker):
    """What Home Assistant would hear."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("homeassistant/#", qos=1)
        await client.subscribe("packctl/#", qos=1)
        yield client, Listener(client)


def is_config(topic, text):
    return topic.startswith("homeassistant/device/") and topic.endswith("/config")


def is_state(topic, text):
    return topic.endswith("/state")


def says(word):
    return lambda topic, text: topic.endswith("/availability") and text == word


@pytest.mark.req("HST-05")
def test_every_entity_has_a_value_and_goes_with_the_pack(pack, broker):
    async def scene():
        async with home(broker) as (client, ear):
            config = json.loads(await ear.until(is_config, "discovery"))
            state = json.loads(await ear.until(is_state, "values"))
            await ear.until(says("online"), "availability")
            assert len(config["cmps"]) > 100 and config["qos"] == 1
            for key, part in config["cmps"].items():
                assert part["p"] in ("sensor", "binary_sensor"), key   # nothing to command
                assert part["value_template"] == "{{ value_json.%s }}" % key
                assert key in state, key
                if "options" in part:
                    assert state[key] in part["options"], key
                if part["p"] == "binary_sensor":
                    assert state[key] in ("on", "off")
                assert len(str(state[key])) <= 255
            assert state["state"] == "standby" and 40 < state["pack_mv"] < 60
            assert config["availability_topic"] in ear.last
            await client.publish(config["availability_topic"].replace(
                "availability", "set/sleep"), "sleep")          # not allowed: nobody listens
            await client.publish("homeassistant/status", "online")
            await ear.until(is_config, "discovery once more")
            state = json.loads(await ear.until(is_state, "values"))
            assert state["power"] == "awake"
            await asyncio.to_thread(pack.close)                 # the cable is pulled
            await ear.until(says("offline"), "unavailability")
    with bridge(pack.port, broker):
        asyncio.run(scene())


@pytest.mark.req("HST-05", "HST-02")
def test_commands_are_obeyed_where_they_are_allowed_and_refusals_are_told(pack, broker):
    async def scene():
        async with home(broker) as (client, ear):
            config = json.loads(await ear.until(is_config, "discovery"))
            assert config["cmps"]["sleep"]["p"] == "button"
            base = config["availability_topic"].rpartition("/")[0]
            for key, text, seen in (
                    ("buzzer", "on", ("buzzer", "on")),
                    ("param_cvl_mv", "55.2", ("param_cvl_mv", 55.2)),
                    ("param_cvl_mv", "70", ("refused", "outside")),
                    ("sleep", "sleep", ("power", "asleep"))):
                await client.publish(f"{base}/set/{key}", text, qos=1)

                def is_seen(topic, text, seen=seen):
                    value = json.loads(text)[seen[0]] if is_state(topic, text) else ""
                    return value == seen[1] or seen[0] == "refused" and seen[1] in value
                await ear.until(is_seen, f"{key} {text}")
    with bridge(pack.port, broker, "--allow-commands", "--param", "cvl_mv"):
        asyncio.run(scene())


@pytest.mark.req("HST-05")
def test_a_broker_that_comes_back_is_found_and_the_last_will_is_heard(pack, broker):
    async def first():
        async with home(broker) as (_, ear):
            await ear.until(says("online"), "availability")

    async def second(process):
        async with home(broker) as (_, ear):
            await ear.until(is_config, "discovery after the broker's return")
            await ear.until(is_state, "values")
            await ear.until(says("online"), "availability")
            process.send_signal(signal.SIGKILL)
            await ear.until(says("offline"), "the last will")
    with bridge(pack.port, broker) as process:
        asyncio.run(first())
        broker.stop()
        broker.start()
        asyncio.run(second(process))
