"""What a person or a host tool can tell the pack: each command takes its words and answers text.

The framed protocol's command request and the console both come here (COM-10). A command that is
refused raises ValueError with the reason; rights are the caller's business (SAF-11).
"""

import binascii

import civil
from bms.host import blocked
from bms.host.products import check, find, names
from bms.limits import reasons
from bms.protect import second_line
from bms.words import events as ev
from bms.words import phrases
from bms.words.rules import FAULT_PROFILE, FIRST_OUT_FAULT, number_of
from clock import SET
from protocols import as1_codes
from ticks import MASK

# in the order in which a person reads them
NAMES = ("why", "ends", "limits", "power", "fleet", "codes", "counters", "errors", "afe", "clock",
         "profile", "pin", "key", "unlock", "save", "clear", "deep_try", "sleep", "reset",
         "prompt")


def _whole(word):
    """*word* as a number; ValueError in a person's words."""
    if not word.isdigit() or len(word) > 6:
        raise ValueError("%s is no number" % word)
    return int(word)


class Commands:
    """The commands by name.

    parts     what main has put together: pack, params, storage, clock, choice, system, parallel,
              reporter, supervisor, prompt, refused, shunt_uohm, update_key, restart()
    ticks_ms  function
    """

    def __init__(self, parts, ticks_ms):
        self._parts = parts
        self._ticks_ms = ticks_ms

    def __iter__(self):
        return iter(NAMES)

    def get(self, name):
        """The function of command *name*: list of words -> text or None. None: no such command."""
        return getattr(self, "_" + name) if name in NAMES else None

    def _why(self, words):
        """The first-out record as text (REC-03)."""
        parts = self._parts
        pack = parts.pack
        first = pack.first_out
        if first is None:
            return "no FET has been opened by a protection or fault since start"
        item, cell, value, limit, at_ms = first
        age_s = pack.first_out_age_s
        if age_s is None:
            ago = "%d s ago" % (((self._ticks_ms() - at_ms) & MASK) // 1000)
        elif age_s >= 0:
            ago = "%d s ago, before the last start" % age_s
        else:
            ago = "before the last start, time not known"
        text = phrases.cause(item, cell, value, limit)
        if parts.refused and item == FIRST_OUT_FAULT + number_of(FAULT_PROFILE):
            text += ": " + parts.refused
        return "%s; %s" % (text, ago)

    def _ends(self, words):
        """What ends each protection, alarm and fault that is up: "id;words", a line each."""
        return "\n".join("%s;%s" % row for row in blocked.ends(self._parts.pack))

    def _limits(self, words):
        return reasons.text_of(self._parts.pack)

    def _power(self, words):
        return self._parts.pack.power.text()

    def _fleet(self, words):
        """The packs that are summed up, a line each; with an address, more of that one."""
        parts = self._parts
        system = parts.system
        now_ms = self._ticks_ms()
        system.update(now_ms)
        lines = ["address;age_ms;soc_cpct;current_ma;ccl_ma;dcl_ma;fets;waits_for"]
        for seen in system.modules:
            if words and seen.module == _whole(words[0]):
                return "serial=%s\npack_mv=%d\nuohm=%d\nmax_cell_mv=%d\nmin_cell_mv=%d\n" \
                    "alarms=%x\nprotections=%x" % (
                        bytes(seen.serial).decode().strip(), seen.pack_mv, seen.resistance_uohm,
                        seen.max_cell_mv, seen.min_cell_mv, seen.alarms, seen.protections)
            lines.append("%d;%d;%d;%d;%d;%d;%d;%s" % (
                seen.module, parts.parallel.age_ms(seen.module, now_ms), seen.soc_cpct,
                seen.current_ma, seen.ccl_ma, seen.dcl_ma,
                seen.charge_on | seen.discharge_on << 1, system.fleet.waits_for(seen)))
        if words:
            raise ValueError("no pack at address " + words[0])
        return "\n".join(lines)

    def _codes(self, words):
        """Codes of the AS1 that hold, a line each; with a number, what that one means."""
        if words:
            return as1_codes.text_of(_whole(words[0]))
        return "\n".join(as1_codes.lines(self._parts.reporter.as1_rows(),
                                         self._parts.pack.measurements.values)) or "none"

    def _counters(self, words):
        return self._parts.storage.counters.text()

    def _errors(self, words):
        return self._parts.supervisor.errors_text()

    def _afe(self, words):
        parts = self._parts
        return second_line.realised(parts.params, parts.shunt_uohm, parts.pack.profile.CELLS)

    def _clock(self, words):
        """Read the clock, or set it: `clock 2026-05-17T12:30:00`."""
        if words:
            self.set_clock(civil.parse(words[0]))
        clock = self._parts.clock
        now_s = clock.now_s(self._ticks_ms())
        return "%s %s" % (civil.text_of(now_s) if now_s else "not set", clock.name)

    def set_clock(self, seconds):
        """Set the clock to *seconds* since 2020; ValueError if the chip does not take it."""
        now_ms = self._ticks_ms()
        try:
            moved_s = self._parts.clock.set(seconds, now_ms)
        except OSError as error:
            raise ValueError(str(error))
        self._parts.pack.events.add(now_ms, ev.CLOCK, SET, -1, moved_s, seconds)

    def _profile(self, words):
        """Choose another product's profile; it holds from the next reset on.

        `profile begin BYTES`, `profile put AT HEX` and `profile end` bring the data file of one to
        the board's flash.
        """
        parts = self._parts
        now_ms = self._ticks_ms()
        text = parts.installed.text
        if not words:
            return "chosen: %s\nthere are: %s" % (
                parts.choice.name, " ".join(names(text))) + (
                    "\nrefused: " + parts.refused if parts.refused else "")
        if words[0] in ("begin", "put", "end"):
            return self._install(words, now_ms)
        try:
            check(find(words[0], text))
        except ValueError as error:
            raise ValueError("%s; there are: %s" % (error, " ".join(names(text))))
        parts.choice.choose(words[0], text)
        parts.pack.events.add(now_ms, ev.PROFILE, names(text).index(words[0]) & 0xFF)
        if not parts.storage.save(parts.choice, now_ms):
            raise ValueError("the flash does not take it")
        return "profile %s from the next reset on" % words[0]

    def _install(self, words, now_ms):
        """Take a part of a profile's data file, or all of it as the board's own profile."""
        parts = self._parts
        if words[0] == "begin" and len(words) == 2:
            parts.installed.begin(int(words[1]))
            return None
        if words[0] == "put" and len(words) == 3:
            parts.installed.put(int(words[1]), binascii.unhexlify(words[2]))
            return None
        if len(words) > 1 or words[0] != "end":
            raise ValueError("profile begin BYTES, profile put AT HEX, profile end")
        name = parts.installed.end()
        if not parts.storage.save(parts.installed, now_ms):
            raise ValueError("the flash does not take it")
        parts.pack.events.add(now_ms, ev.PROFILE, 0xFF)
        return "profile %s is installed; `profile %s` chooses it" % (name, name)

    def _pin(self, words):
        """The owner's PIN (SAF-11): `pin 1234` gives it, `pin set 1234` sets one, `pin off` takes
        it away, `pin lock` ends what was opened; `pin` alone says how it stands."""
        parts = self._parts
        pin = parts.pack.rights.pin
        now_ms = self._ticks_ms()
        try:
            if words == ["lock"]:
                pin.close()
            elif words == ["off"] or len(words) == 2 and words[0] == "set":
                pin.set(words[1] if len(words) == 2 else "", now_ms)
            elif len(words) == 1:
                pin.enter(words[0], now_ms)
            elif words:
                raise ValueError("pin NUMBER, pin set NUMBER, pin off, pin lock")
        finally:
            stored = parts.storage.save(pin, now_ms)
        text = "no PIN is set" if not pin.is_set else (
            "open for %d s" % pin.open_s if pin.open_s else
            "locked, wait %d s" % pin.locked_s if pin.locked_s else "locked")
        return text if stored else text + "; the flash does not take it"

    def _key(self, words):
        """The owner's public key for updates (SAF-06): `key set 64_DIGITS`, `key off`."""
        parts = self._parts
        key = parts.update_key
        if words:
            if words != ["off"] and (len(words) != 2 or words[0] != "set"):
                raise ValueError("key set 64_DIGITS, key off")
            now_ms = self._ticks_ms()
            key.set(words[1] if len(words) == 2 else "", now_ms)
            if not parts.storage.save(key, now_ms):
                raise ValueError("the flash does not take it")
        return key.text()

    def _unlock(self, words):
        """Let the inverter ports write for some minutes (COM-07); 0 ends it."""
        rights = self._parts.pack.rights
        rights.unlock(_whole(words[0]) if words else None, self._ticks_ms())
        return "writing is allowed on the inverter ports for %d s" % rights.left_s

    def _save(self, words):
        """Write the parameters to flash now."""
        if not self._parts.storage.save_params(self._ticks_ms()):
            raise ValueError("the flash does not take them")

    def _clear(self, words):
        """Latched faults and locks go; slaves and an inverter that were taken away are no longer
        missed."""
        parts = self._parts
        parts.pack.clear()
        parts.pack.inverter.forget()
        parts.system.fleet.lost = 0

    def _deep_try(self, words):
        """Charge once although a cell is below the floor of deep discharge (PRO-29)."""
        params = self._parts.params
        self._parts.pack.try_deep_charge()
        return "charging is tried at %d mA for at most %d s" % (
            params["deep_charge_ma"], params["deep_try_s"])

    def _sleep(self, words):
        self._parts.pack.power.ask_sleep()
        return "asked for; `power` tells what became of it"

    def _reset(self, words):
        self._parts.restart()

    def _prompt(self, words):
        """SAF-10: the one way from the running firmware to the prompt."""
        self._parts.prompt.ask()
        return "limits go to 0 and both FETs open; in some seconds the prompt is at the USB port"
