"""A pack as an object: what the command line does, as calls.

    with connect("/dev/ttyUSB0") as pack:
        print(pack.status().state, pack.why())
        pack.set({"cell_ov_alarm_mv": 3480})
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import units
from .client import Client
from .errors import LinkError, PinNeeded, Refused
from .frames import COMMAND, SEQ_CLIENT
from .ports import BAUD, Port, StreamExchange, choose_port

# words of a command that change nothing: a lost answer may be asked for again
QUESTIONS = frozenset(("why", "ends", "limits", "afe", "fleet", "codes", "counters", "errors",
                       "power"))
_EVENT_KINDS = {"alarms": "item", "protections": "item", "locked": "item", "faults": "fault"}


@dataclass(frozen=True)
class Cause:
    """Something that is active.

    id     of the specification; words: what a person reads
    ends   what ends it, in the pack's words; "" where it does not say
    """

    id: str
    words: str
    ends: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.id})" if self.words else self.id


@dataclass(frozen=True)
class Status:
    """What a pack is doing, in the units that a person uses; None: not measured.

    soc_bound_pct   the state of charge is off by at most this
    charge_on, discharge_on   the FET is closed
    report          everything else, by the names of the pack's schema
    """

    state: str
    soc_pct: float | None
    soc_bound_pct: float | None
    pack_v: float | None
    current_a: float | None
    cells_v: list[float | None]
    temps_c: list[float | None]
    charge_on: bool
    discharge_on: bool
    charge_limit_a: float | None
    discharge_limit_a: float | None
    charge_voltage_v: float | None
    alarms: list[Cause]
    protections: list[Cause]
    faults: list[Cause]
    locked: list[Cause]
    limit_reasons: list[str]
    report: dict[str, Any]

    @property
    def is_healthy(self) -> bool:
        """True while nothing is wrong: no alarm, protection, fault or lock."""
        return not (self.alarms or self.protections or self.faults or self.locked)


@dataclass(frozen=True)
class Module:
    """One pack of those that are summed up; values as in Status."""

    address: int
    age_s: float
    soc_pct: float
    current_a: float
    charge_limit_a: float
    discharge_limit_a: float
    charge_on: bool
    discharge_on: bool
    waits_for: str


def ends_of(text: str) -> dict[str, str]:
    """{id: words} in the answer to the command `ends`."""
    rows = (line.partition(";") for line in text.splitlines())
    return {name: words for name, _, words in rows if words}


def modules_of(text: str) -> list[Module]:
    """The packs in the answer to the command `fleet`."""
    found = []
    for line in text.splitlines()[1:]:
        parts = line.split(";")
        try:
            address, age_ms, soc, current, ccl, dcl, fets = (int(part) for part in parts[:7])
        except ValueError:
            raise LinkError(f"a line of the fleet makes no sense: {line!r}") from None
        found.append(Module(address, age_ms / 1000, soc / 100, current / 1000, ccl / 1000,
                            dcl / 1000, bool(fets & 1), bool(fets & 2),
                            parts[7] if len(parts) > 7 else ""))
    return found


def _scaled(value: int | None, by: int) -> float | None:
    return None if value is None else value / by


class Pack(Client):
    """A pack on an open port; all of Client's requests, and the commands as calls.

    stream   the port; exchange: requests over it; pin: the owner's, given when it is asked for
    """

    def __init__(self, stream: Port, exchange: StreamExchange, pin: str | None = None) -> None:
        super().__init__(self._with_pin)
        self._stream = stream
        self._stream_exchange = exchange
        self._pin = pin

    def _with_pin(self, kind: int, payload: bytes) -> bytes:
        try:
            return self._stream_exchange(kind, payload)
        except PinNeeded:
            if self._pin is None:
                raise
        pin, self._pin = self._pin, None        # a wrong one is not tried twice: tries are counted
        try:
            self._stream_exchange(COMMAND, f"pin {pin}".encode())
        except Refused as error:
            raise PinNeeded(error.request, error.code, error.text,
                            f"The PIN was not taken: {error.text}.") from None
        self._pin = pin
        return self._stream_exchange(kind, payload)

    def __enter__(self) -> Pack:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()

    @property
    def port(self) -> str:
        """Name of its port."""
        return self._stream.name

    @property
    def stream(self) -> Port:
        """The port itself, for a terminal."""
        return self._stream

    @property
    def others(self) -> int:
        """Answers heard that were to another program on the same port."""
        return self._stream_exchange.others

    def request(self, kind: int, payload: bytes = b"") -> bytes:
        """Payload of the answer to a request that this class has no name for."""
        return self._with_pin(kind, payload)

    # -- questions --------------------------------------------------------------------------

    def question(self, text: str) -> str:
        """Text of a command that changes nothing; asked again where the answer is lost."""
        answer = self._stream_exchange.ask(COMMAND, text.encode(), True)
        return answer.decode("utf-8", "replace")

    def why(self) -> str:
        """What opened a FET last, in words (REC-03)."""
        return self.question("why")

    def ends(self) -> dict[str, str]:
        """{id: what ends it} of each alarm, protection and fault that is up, as the pack says.

        {} from a firmware that cannot tell.
        """
        try:
            return ends_of(self.question("ends"))
        except Refused:
            return {}

    def limits(self) -> list[str]:
        """Why each limit is below nominal, a line each (DER-05)."""
        return self.question("limits").splitlines()

    def codes(self, code: int | None = None) -> list[str]:
        """Codes of the AS1 that hold now, or the text of one."""
        return self.question("codes" if code is None else f"codes {code}").splitlines()

    def power(self) -> str:
        """Awake or asleep, and why."""
        return self.question("power")

    def counters(self) -> str:
        """Energy, throughput, trips, extremes."""
        return self.question("counters")

    def modules(self) -> list[Module]:
        """The packs on the parallel bus that are summed up here (COM-03)."""
        return modules_of(self.question("fleet"))

    def causes(self, ids: list[str] | None, kind: str,
               ends: Mapping[str, str] | None = None) -> list[Cause]:
        """The words of *ids*; kind: "item" or "fault"; ends: what `ends()` says of them."""
        words = {name.id: name.words for (of, _), name in self.names().items() if of == kind}
        return [Cause(name, words.get(name, ""), (ends or {}).get(name, "")) for name in ids or ()]

    def status(self) -> Status:
        """What the pack is doing now."""
        report = self.report()
        fets = report.get("fets") or []
        ends = self.ends() if any(report.get(field) for field in _EVENT_KINDS) else {}
        named = {field: self.causes(report.get(field), kind, ends)
                 for field, kind in _EVENT_KINDS.items()}
        return Status(
            state=str(report.get("state")),
            soc_pct=_scaled(report.get("soc_cpct"), 100),
            soc_bound_pct=_scaled(report.get("soc_uncertainty_cpct"), 100),
            pack_v=_scaled(report.get("pack_mv"), 1000),
            current_a=_scaled(report.get("current_ma"), 1000),
            cells_v=[_scaled(mv, 1000) for mv in report.get("cell_mv") or ()],
            temps_c=[_scaled(dc, 10) for dc in report.get("temp_dc") or ()],
            charge_on="chg" in fets, discharge_on="dsg" in fets,
            charge_limit_a=_scaled(report.get("ccl_ma"), 1000),
            discharge_limit_a=_scaled(report.get("dcl_ma"), 1000),
            charge_voltage_v=_scaled(report.get("cvl_mv"), 1000),
            limit_reasons=list(report.get("limit_reasons") or ()), report=report, **named)

    def watch(self, every_s: float = 1.0, count: int | None = None) -> Iterator[Status]:
        """A Status each *every_s* seconds, for ever or *count* times."""
        due = time.monotonic()
        while count is None or count > 0:
            yield self.status()
            if count is not None:
                count -= 1
                if not count:
                    return
            due = max(due + every_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    # -- parameters -------------------------------------------------------------------------

    def get(self, name: str | int) -> int:
        """A parameter, in the unit of the registry."""
        return self.get_param(name)

    def set(self, values: Mapping[str, int]) -> dict[str, int]:
        """Set parameters, all or none (PAR-04); returns what the pack took."""
        return self.set_params(values)

    def set_text(self, values: Mapping[str, str]) -> dict[str, int]:
        """As set(), with values as a person types them: "3600", "3600mV", "3.6V"."""
        return self.set({name: units.parse(self.param(name), text)
                         for name, text in values.items()})

    def save(self) -> None:
        """Write the parameters to the pack's flash now."""
        self.command("save")
        self.stored = True

    def restore(self) -> None:
        """All parameters to the defaults of the profile; records and counters stay (RST-02)."""
        self.restore_params()

    # -- commands ---------------------------------------------------------------------------

    def clock(self) -> str:
        """The pack's clock as it says it, "not set ..." where it was never set."""
        return self.question("clock")

    def set_clock(self, when: datetime.datetime | None = None) -> str:
        """Set the pack's clock, to the time of this computer where none is given."""
        when = when or datetime.datetime.now(datetime.timezone.utc)
        if when.tzinfo is not None:
            when = when.astimezone(datetime.timezone.utc)
        return self.command(when.strftime("clock %Y-%m-%dT%H:%M:%S"))

    def buzzer(self, on: bool | None = None) -> bool:
        """Whether the buzzer may sound; set if *on* is given."""
        if on is not None:
            self.set({"buzzer_enable": int(on)})
        return bool(self.get("buzzer_enable"))

    def off(self) -> str:
        """Ask for an orderly shutdown and sleep (PWR-10); any question after it wakes the pack."""
        return self.command("sleep")

    def update_key(self, key: bytes | None = None) -> str:
        """The owner's public key for updates in the pack's words; set if *key* is given, b"" for
        none (SAF-06)."""
        if key is None:
            return self.question("key")
        return self.command(f"key set {key.hex()}" if key else "key off")

    def profile(self, name: str | None = None) -> str:
        """The profiles there are, or choose one for the next reset."""
        return self.command(f"profile {name}") if name else self.question("profile")


def connect(port: str | None = None, *, baud: int = BAUD, timeout_s: float = 1.0,
            pin: str | None = None) -> Pack:
    """Open *port* and greet the pack on it.

    port        serial port, pseudo-terminal or socket://host:port; None: the only one on USB
    timeout_s   how long an answer may take
    pin         the owner's PIN, where one is set
    raises      PackError: NoSuchPort, PortInUse, NoPermission, NoAnswer, WrongSpeed,
                OtherVersion, TwoPrograms, Unplugged
    """
    stream = Port(port or choose_port(), baud)
    exchange = StreamExchange(stream, timeout_s=timeout_s, start=random.randint(*SEQ_CLIENT))
    pack = Pack(stream, exchange, pin)
    try:
        pack.hello()
    except BaseException:
        pack.close()
        raise
    return pack
