"""A pack on an MQTT broker, as Home Assistant finds it (HST-05).

Both sides may go and come: the pack is unavailable while its port is gone, the broker's last will
says so while this program is gone, and each is tried again until it is there. Commands are obeyed
only where they are allowed; what the pack refuses is published as `refused`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiomqtt

from . import entities, units
from .errors import LinkError, PackError, PinNeeded
from .pack import Pack, connect

_RETRY_S = 2.0
_DISCOVERY = "homeassistant"


@dataclass(frozen=True)
class Broker:
    """Where to publish."""

    host: str = "127.0.0.1"
    port: int = 1883
    user: str | None = None
    password: str | None = None
    tls: bool = False
    prefix: str = "packctl"
    discovery: str = _DISCOVERY


@dataclass(frozen=True)
class Commands:
    """What may be commanded. allowed: anything at all; params: names of parameters as numbers."""

    allowed: bool = False
    params: tuple[str, ...] = ()


class Bridge:
    """One pack, one broker.

    open_pack   opens the pack; called again after it has gone
    say         is told what happens, in words
    """

    def __init__(self, open_pack: Callable[[], Pack], broker: Broker, commands: Commands,
                 every_s: float = 5.0, say: Callable[[str], object] = print) -> None:
        self._open = open_pack
        self._broker = broker
        self._commands = commands
        self._every_s = every_s
        self._say = say
        self._pack: Pack | None = None
        self._hello: dict[str, str] = {}
        self._refused = "none"
        self._lock = asyncio.Lock()         # the pack is asked by one task at a time
        self._told = ""

    # -- the pack, which blocks -------------------------------------------------------------

    async def _ask(self, function: Callable[[Pack], Any]) -> Any:
        async with self._lock:
            pack = self._pack
            if pack is None:
                raise LinkError("the pack is not there")
            try:
                return await asyncio.to_thread(function, pack)
            except LinkError as error:
                if type(error).exit_code < 20:      # of the link, and not the pack's own refusal
                    self._pack = None
                    await asyncio.to_thread(pack.close)
                raise

    async def _await_pack(self) -> None:
        """Until the pack is open."""
        while self._pack is None:
            try:
                self._pack = await asyncio.to_thread(self._open)
                self._hello = await self._ask(lambda pack: pack.hello())
                self._tell(f"pack {self._hello.get('serial', '').strip()} is there")
            except PinNeeded:
                raise
            except PackError as error:
                self._tell(str(error))
                await asyncio.sleep(_RETRY_S)

    def _tell(self, text: str) -> None:
        if text != self._told:              # the same again and again helps nobody
            self._told = text
            self._say(text)

    def _state_of(self, pack: Pack) -> dict[str, Any]:
        state = entities.state(pack.schema(), pack.status())
        state["refused"] = self._refused
        if self._commands.allowed:
            state["buzzer"] = "on" if pack.get("buzzer_enable") else "off"
            for name in self._commands.params:
                param = pack.param(name)
                factor = units.USUAL.get(param.unit, (1, 0, ""))[0]
                state[f"param_{name}"] = pack.get(name) / factor
        return state

    def _discovery_of(self, pack: Pack) -> dict[str, Any]:
        parts = entities.components(pack.schema())
        if self._commands.allowed:
            parts.update(entities.controls(pack.param(name) for name in self._commands.params))
        return entities.discovery(self._hello, parts, self._base)

    def _obey(self, pack: Pack, key: str, text: str) -> None:
        if key == "buzzer":
            pack.buzzer(text == "on")
        elif key == "sleep" and text == "sleep":
            pack.off()
        elif key.startswith("param_") and key[6:] in self._commands.params:
            param = pack.param(key[6:])
            usual = units.USUAL.get(param.unit, (1, 0, ""))[2]
            pack.set({param.name: units.parse(param, text + usual)})
        else:
            raise LinkError(f"{key} {text!r} is no command")

    # -- the broker -------------------------------------------------------------------------

    @property
    def _base(self) -> str:
        return f"{self._broker.prefix}/{entities.node_id(self._hello)}"

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host, broker.port, username=broker.user, password=broker.password,
            tls_params=aiomqtt.TLSParameters() if broker.tls else None, keepalive=15,
            will=aiomqtt.Will(f"{self._base}/availability", "offline", qos=1, retain=True))

    async def run(self) -> None:
        """For ever; ends by an error that trying again does not mend, or by being cancelled."""
        try:
            while True:
                await self._await_pack()
                try:
                    async with self._client() as client:
                        self._tell(f"publishing to {self._broker.host}:{self._broker.port} as "
                                   f"{self._base}")
                        await self._serve(client)
                except aiomqtt.MqttError as error:
                    self._tell(f"broker {self._broker.host}:{self._broker.port}: {error}; "
                               "trying again")
                    await asyncio.sleep(_RETRY_S)
        finally:
            if self._pack is not None:
                self._pack.close()

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe(f"{self._broker.discovery}/status")
        if self._commands.allowed:
            await client.subscribe(f"{self._base}/set/#", qos=1)
        listener = asyncio.create_task(self._listen(client))
        try:
            await self._publish(client, listener)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            try:
                await asyncio.wait_for(self._available(client, False), 1.0)
            except (aiomqtt.MqttError, asyncio.TimeoutError):
                pass                        # the will says it

    async def _publish(self, client: aiomqtt.Client, listener: asyncio.Task[None]) -> None:
        while True:
            base = self._base
            await self._await_pack()
            if self._base != base:
                return                      # another pack: another will
            try:
                await self._discover(client)
                while not listener.done():
                    await self._send_state(client)
                    await self._available(client, True)
                    await asyncio.wait((listener,), timeout=self._every_s)
                listener.result()
                return
            except PinNeeded:
                raise
            except PackError as error:
                self._tell(str(error))
                await self._available(client, False)

    async def _discover(self, client: aiomqtt.Client) -> None:
        topic = f"{self._broker.discovery}/device/{entities.node_id(self._hello)}/config"
        payload = await self._ask(self._discovery_of)
        await client.publish(topic, json.dumps(payload, ensure_ascii=False), qos=1, retain=True)

    async def _send_state(self, client: aiomqtt.Client) -> None:
        state = await self._ask(self._state_of)
        await client.publish(f"{self._base}/state", json.dumps(state, ensure_ascii=False), qos=1,
                             retain=True)

    async def _available(self, client: aiomqtt.Client, is_there: bool) -> None:
        await client.publish(f"{self._base}/availability", "online" if is_there else "offline",
                             qos=1, retain=True)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic = str(message.topic)
            payload = message.payload
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            try:
                if topic == f"{self._broker.discovery}/status":
                    if text == "online":            # Home Assistant has started anew
                        await self._discover(client)
                elif self._commands.allowed:
                    if message.retain:
                        continue                    # an old command is none
                    key = topic.rpartition("/")[2]
                    await self._ask(functools.partial(self._obey, key=key, text=text))
                    self._refused = "none"
                    self._say(f"{key} {text}")
                await self._send_state(client)
            except PackError as error:
                self._refused = str(error)[:entities.LONGEST]
                self._say(f"refused: {error}")


def run(how: dict[str, Any], broker: Broker, commands: Commands, every_s: float,
        say: Callable[[str], object]) -> None:
    """Publish the pack that connect(**how) opens, until Ctrl-C."""
    bridge = Bridge(lambda: connect(**how), broker, commands, every_s, say)
    if os.name == "nt":                     # aiomqtt needs a loop that watches sockets
        asyncio.set_event_loop_policy(
            asyncio.WindowsSelectorEventLoopPolicy())  # type: ignore[attr-defined,unused-ignore]
    asyncio.run(bridge.run())


