"""Who says what when on the bus between packs: a master that asks in turn, slaves that answer.

Pure: frames that came and the time go in, frames to be sent come out. A node has
    hear(parser, now_ms)    a whole frame came
    garbled(now_ms, odd)    something came that is no whole frame; odd: bytes that none has
    due(now_ms, quiet_ms)   length of what is to be sent now, in out, or 0; the line has been
                            quiet for quiet_ms
    sent(now_ms)            it is on the wire, the driver is off
    baud                    bit/s that it listens and speaks at
"""

from array import array

from bms.words import events as ev
from bms.words.rules import FAULT_ADDRESS, FAULT_LINK, FAULT_MANY
from bms.words.readings import NO_READING
from protocols.parallel import wire
from protocols.ascii.frame import encode
from protocols.parallel.speed import RATES, MasterSpeed, SlaveSpeed
from ticks import MASK

MASTER = 1
FIRST, LAST = 2, 15         # addresses of slaves
GAP_MS = 10                 # quiet on the line before anybody speaks

_START_MS = 100             # an answer has begun by then
_PAUSE_MS = 25              # an answer has no longer pause inside
_TRIES = 3                  # of one that is online; others have one
_CYCLE_MS = 1000            # at least, from round to round
_ROLL_AGAIN_MS = 5_000
_GARBLED = 3                # answers in a row that mean: perhaps more than one answers
_TWICE_MS = 15_000          # two packs at one address: over after this time without a sign
_RIVAL_MS = 10_000
_TURN_MS = 10_000           # time for the pack that may be the first on the bar
_IDLE_ROUNDS = 5
_ROSTER_ROUNDS = 2
_EXTRA_MS = 10_000          # a slave too many is gone after this silence
_IDENTITY_ROUNDS = 64
_WHOLE_ROUNDS = 4           # rounds between two whole states of a pack at 9600 bit/s
_MASTER_LOST_MS = 10_000
_SAY_MS = 20                # between two words on the speed
_SETTLE_MS = 60
_ASKS = 0x40                # CID2 of requests, above the codes of answers
_READY = 1                  # as a command to be answered: the answer is in out already


def _roll_slot_ms(baud):
    """Length of a slot of a roll call: an answer, and room for a step of either task."""
    return wire.ROLL_CALL_CHARS * 10_000 // baud + 3 * GAP_MS


class Slave:
    """Answers the master.

    pack, system   Pack, snapshot.System
    tag            wire.tag_of(unique id)
    pace           pace.Pace that answers a PACE master's 42 and 44, or None
    """

    def __init__(self, pack, system, tag, pace=None):
        self._pack = pack
        self._system = system
        self._tag = tag
        self._pace = pace
        self._ready = 0             # length of the answer that is in out
        self._speed = SlaveSpeed(pack, tag)
        self._set_rate()
        self._info = bytearray(wire.LONGEST_CHARS // 2)
        self.out = bytearray(wire.LONGEST_CHARS)
        self._wanted = 0            # 0: nothing to say | the command to be answered
        self._from_ms = 0           # not before
        self._started = False
        self._heard_ms = 0          # when the master was heard
        self._twice_ms = 0          # when another pack of this address was heard
        self._master_tag = -1
        self._rival_ms = 0          # when the master was another one than before
        self._rival = False

    def start(self, now_ms):
        """This pack is a slave from now on."""
        self._wanted = 0
        self._heard_ms = now_ms
        self._rival = False
        self._master_tag = -1
        self._speed.start(now_ms)
        self._set_rate()

    def _set_rate(self):
        self._rate = self._speed.rate
        self.baud = RATES[self._rate]
        self._slot_ms = _roll_slot_ms(self.baud)

    def hear(self, parser, now_ms):
        """A whole frame."""
        own = self._pack.dip
        if wire.is_request(parser):
            self._heard_ms = now_ms
            self._speed.master()
            self._watch_masters(wire.request_tag(parser), now_ms)
            if self._pack.profile.PANEL == "bar":       # LED-04
                self._pack.system_cpct = -1 if self._rival else wire.told_soc_cpct(parser)
            self._wanted = 0
            if parser.cid2 == wire.SET_SPEED:
                self._speed.told(wire.told_turn(parser))
            elif parser.adr == own:
                self._wanted = parser.cid2
                self._from_ms = now_ms + GAP_MS
                if parser.cid2 == wire.ROLL_CALL:
                    slot = wire.slot_of(self._tag, wire.told_turn(parser))
                    self._from_ms += self._slot_ms * slot
                self._from_ms &= MASK
                if not self._rival:
                    flags = parser.info[1]
                    self._pack.joining.told(wire.told_bar_mv(parser),
                                            flags & wire.MAY_BE_FIRST != 0,
                                            flags & wire.YIELD != 0)
        elif (wire.is_answer(parser) and parser.adr == own
              and wire.answer_tag(parser) != self._tag):
            self._twice_ms = now_ms
            self._pack.set_fault(FAULT_ADDRESS, True, own)
        elif self._pace is not None and parser.adr == own and wire.is_pace_read(parser):
            self._answer_pace(parser, own, now_ms)

    def _answer_pace(self, parser, own, now_ms):
        """At once, because *parser* may have another frame when it is time to speak."""
        server = self._pace
        self._system.update_own(now_ms)
        length = server.answer(parser, now_ms)
        self._ready = encode(self.out, wire.VER, own, wire.CID1, server.rtn, server.info, length)
        self._wanted = _READY
        self._from_ms = (now_ms + GAP_MS) & MASK

    def _watch_masters(self, tag, now_ms):
        """Two masters that take turns: nothing either says about the bar can be relied on."""
        if tag != self._master_tag:
            self._rival = self._master_tag >= 0
            self._rival_ms = now_ms
            self._master_tag = tag
        elif self._rival and (now_ms - self._rival_ms) & MASK > _RIVAL_MS:
            self._rival = False

    def garbled(self, now_ms, odd):
        """Perhaps a master at another speed."""
        if odd:
            self._speed.noise(now_ms)

    def due(self, now_ms, quiet_ms):
        """Length of the answer to be sent now, or 0."""
        pack = self._pack
        silent_ms = (now_ms - self._heard_ms) & MASK
        if pack.has(FAULT_LINK):
            if silent_ms <= _MASTER_LOST_MS:
                pack.set_fault(FAULT_LINK, False)
        elif silent_ms > _MASTER_LOST_MS:
            pack.set_fault(FAULT_LINK, True, MASTER)
            pack.system_cpct = -1       # nobody knows it any more
        if pack.has(FAULT_ADDRESS) and (now_ms - self._twice_ms) & MASK > _TWICE_MS:
            pack.set_fault(FAULT_ADDRESS, False)
        speed = self._speed
        speed.look(silent_ms)
        if speed.rate != self._rate:
            self._set_rate()
        command = self._wanted
        if not command and quiet_ms >= GAP_MS and speed.is_hello(now_ms, silent_ms):
            return wire.roll_call_answer(self.out, self._info, pack.dip, self._tag, wire.HELLO)
        if not command or (now_ms - self._from_ms) & MASK >= 1 << 29:
            return 0
        self._wanted = 0
        if command == _READY:
            return self._ready
        address = pack.dip
        if command == wire.ROLL_CALL:
            return wire.roll_call_answer(self.out, self._info, address, self._tag)
        self._system.update(now_ms)
        own = self._system.own
        if command != wire.ASK_IDENTITY:
            answer = wire.state_answer if command == wire.ASK_STATE else wire.brief_answer
            return answer(self.out, self._info, address, self._tag, own, speed.limit())
        return wire.identity_answer(self.out, self._info, address, self._tag, own)

    def sent(self, now_ms):
        """Nothing is waited for."""


class Master:
    """Asks every address in turn, and keeps the fleet of system up to date.

    pack, system   Pack, snapshot.System
    tag            wire.tag_of(unique id)
    rounds         of all addresses, since start()
    """

    def __init__(self, pack, system, tag):
        self._pack = pack
        self._system = system
        self._fleet = system.fleet
        self._most = getattr(pack.profile, "SLAVES", LAST - MASTER)
        self._tag = tag
        self._speed = MasterSpeed(pack)
        self._info = bytearray(16)
        self.out = bytearray(18 + 2 * 10)
        count = LAST + 1
        self._seen_ms = array("i", (0 for _ in range(count)))       # of those online
        self._tags = array("i", (-1 for _ in range(count)))         # -1: not known
        self._twice_ms = array("i", (0 for _ in range(count)))      # of those twice
        self._rolled_ms = array("i", (0 for _ in range(count)))
        self._garbled = bytearray(count)        # answers in a row that were no whole frame
        self._turn = bytearray(count)           # of the next roll call
        self._identified = bytearray(count)     # rounds until the identity is asked again
        self.start(0)

    def start(self, now_ms):
        """This pack is the master from now on."""
        self.rounds = 0
        self._speed.start(now_ms)
        self._set_rate()
        self._place = LAST          # in the round
        self._address = LAST        # that is asked
        self._visited = False       # out of the round, at 9600
        self._vain = 0              # addresses whose newest question had no answer
        self._command = 0
        self._tries = 0             # requests of _command to _address that may still be sent
        self._waiting = False       # for an answer to one
        self._asked_ms = now_ms
        self._heard = False         # something came since
        self._called = -1           # roll call: tag that answered, -1: none
        self._round_ms = (now_ms - _CYCLE_MS) & MASK
        self._pause_ms = 0
        self._rival = False
        self._rival_ms = now_ms
        self._dice = self._tag & 0xFFFFF
        self._first = 0             # address that may be first on the bar, 0: none
        self._first_ms = now_ms
        self._passed = 0            # addresses that had their turn to be first
        self._yields = 0            # addresses that leave the bar to others
        self._idle_rounds = 0       # in a row in which nobody on the bar could deliver
        self._extra_ms = -1         # -1: none | ticks when a slave beyond the most was heard
        self._soc_cpct = -1         # of all packs together
        for i in range(len(self._tags)):
            self._tags[i] = -1
            self._garbled[i] = self._identified[i] = 0

    def _set_rate(self):
        self.baud = baud = RATES[self._speed.rate]
        self._roll_ms = _roll_slot_ms(baud) * wire.SLOTS + 2 * GAP_MS
        self._longest_ms = _START_MS + wire.LONGEST_CHARS * 10_000 // baud + 2 * _PAUSE_MS

    @property
    def waiting(self):
        """An answer is on its way, or should be."""
        return self._waiting

    def age_ms(self, address, now_ms):
        """Time since the slave at *address* told its state; 0 for this pack."""
        return (now_ms - self._seen_ms[address]) & MASK if address >= FIRST else 0

    # -- what comes -------------------------------------------------------------------------

    def hear(self, parser, now_ms):
        """A whole frame."""
        self._heard = True
        if wire.is_request(parser):
            if wire.request_tag(parser) != self._tag:
                self._meet_rival(now_ms)
            return
        if not wire.is_answer(parser):
            self._speed.foreign(now_ms, parser.cid2 >= _ASKS)
            return
        address = parser.adr
        tag = wire.answer_tag(parser)
        if parser.info[1] == wire.HELLO:
            self._speed.hello(address, now_ms)
            if self._fleet.is_online(address) and self._tags[address] != tag:
                self._find_twice(address, now_ms)
        elif not self._waiting or address != self._address or parser.info[1] != self._command:
            if 0 <= self._tags[address] != tag:     # nobody asked: a second one is late
                self._find_twice(address, now_ms)
        elif self._command == wire.ROLL_CALL:
            if 0 <= self._called != tag:
                self._find_twice(address, now_ms)
            self._called = tag
        else:
            self._take(parser, address, tag, now_ms)

    def garbled(self, now_ms, odd):
        """Something that is no whole frame."""
        self._heard = True
        self._speed.rubbish(now_ms, odd)

    def _meet_rival(self, now_ms):
        """Another master: neither of the two counts slaves, and both speak less."""
        self._rival_ms = now_ms
        if not self._rival:
            self._rival = True
            for address in range(FIRST, LAST + 1):
                self._fleet.drop(address, False)
            self._show_faults(MASTER)

    def _find_twice(self, address, now_ms):
        fleet = self._fleet
        self._twice_ms[address] = now_ms
        self._tags[address] = -1
        if not fleet.twice >> address & 1:
            fleet.twice |= 1 << address
            fleet.drop(address, False)
            self._show_faults(address)

    def _take(self, parser, address, tag, now_ms):
        """The answer that was waited for."""
        fleet = self._fleet
        self._waiting = False
        self._tries = 0
        self._garbled[address] = 0
        self._vain &= ~(1 << address)
        seen = fleet.slave(address)
        if self._tags[address] != tag:
            self._tags[address] = tag
            self._identified[address] = 0
        if self._command == wire.ASK_IDENTITY:
            wire.take_identity(parser.info, seen)
            self._identified[address] = _IDENTITY_ROUNDS
            self._count(address, now_ms)
            return
        if self._command == wire.ASK_BRIEF:
            if self._identified[address] and wire.take_brief(parser.info, seen):
                self._seen_ms[address] = now_ms
                self._speed.agrees(address, wire.told_rate(parser))
                self._count(address, now_ms)
            return
        if not wire.take_state(parser.info, seen):
            return                      # another kind of pack: it does not count
        self._seen_ms[address] = now_ms
        self._speed.agrees(address, wire.told_rate(parser))
        if self._visited and fleet.is_online(address):
            self._visited = False
            self._speed.found(now_ms)
        if self._identified[address]:
            self._identified[address] -= 1
            self._count(address, now_ms)
            return
        if fleet.is_online(address):
            self._count(address, now_ms)
        self._command = wire.ASK_IDENTITY       # counts when it is known who it is
        self._tries = _TRIES

    def _count(self, address, now_ms):
        fleet = self._fleet
        if self._rival or fleet.twice >> address & 1:
            return
        if len(fleet.modules) > self._most and not fleet.is_online(address):
            self._extra_ms = now_ms     # PRF-02: there, but not counted
            self._pack.set_fault(FAULT_MANY, True, address, self._most)
        elif fleet.answered(address):
            self._pack.events.add(now_ms, ev.SLAVE_BACK, address)
            self._show_faults(address)

    # -- what is sent -----------------------------------------------------------------------

    def due(self, now_ms, quiet_ms):
        """Length of the request to be sent now, or 0."""
        if self._waiting:
            if not self._is_over(now_ms, quiet_ms):
                return 0
            self._waiting = False
            heard = self._heard or quiet_ms < (now_ms - self._asked_ms) & MASK
            self._garbled[self._address] = min(
                200, self._garbled[self._address] + 1) if heard else 0
            self._miss(now_ms)
        speed = self._speed
        if speed.falls(now_ms):
            self._change_speed(now_ms)
        if not speed.saying and speed.holds(now_ms):
            return 0
        if quiet_ms < GAP_MS or (now_ms - self._asked_ms) & MASK < self._pause_ms:
            return 0
        self._pause_ms = 0
        if not speed.saying and not self._tries and not self._choose(now_ms):
            return 0
        if speed.saying:
            self._tries = 0
            return wire.request(self.out, self._info, wire.SET_SPEED, 0, 0, 0, self._tag,
                                self._soc_cpct, speed.wanted)
        if self._pause_ms:              # a new round
            self._asked_ms = now_ms
            return 0
        self._tries -= 1
        self._waiting = True
        if self._rival:                 # speak seldom, at times the other does not
            self._pause_ms = 100 * (1 + self._throw() % 12)
        address = self._address
        bar_mv = self._fleet.bus_mv(address)
        flags = wire.MAY_BE_FIRST if address == self._first else 0
        if self._yields >> address & 1:
            flags |= wire.YIELD
        if bar_mv != NO_READING:
            flags |= wire.BAR_KNOWN
        turn = self._turn[address]
        if self._command == wire.ROLL_CALL:
            self._turn[address] = (turn + 1) & 7
        return wire.request(self.out, self._info, self._command, address, flags,
                            max(0, bar_mv), self._tag, self._soc_cpct, turn)

    def sent(self, now_ms):
        """The request is out."""
        self._asked_ms = now_ms
        self._heard = False
        speed = self._speed
        speed.spoke(now_ms)
        if speed.saying and not self._waiting:
            speed.saying -= 1
            self._pause_ms = _SAY_MS
            if not speed.saying:
                self._change_speed(now_ms)

    def _change_speed(self, now_ms):
        self._speed.changed(now_ms)
        self._set_rate()
        self._tries = 0
        self._asked_ms = now_ms
        self._pause_ms = _SETTLE_MS     # until the slaves have changed too

    def _miss(self, now_ms):
        """A question had no answer."""
        address = self._address
        if not self._fleet.is_online(address) or self._command == wire.ROLL_CALL:
            return
        if not self._tries:
            again = self._vain >> address & 1       # it may only have been busy with its flash
            self._vain |= 1 << address
            if again or not self._speed.rate:
                self._speed.silent(address, now_ms)
        elif not self._speed.rate:
            self._speed.silent(address, now_ms)

    def _is_over(self, now_ms, quiet_ms):
        """True if no answer is to be expected any more."""
        since_ms = (now_ms - self._asked_ms) & MASK
        if self._command == wire.ROLL_CALL:
            return since_ms >= self._roll_ms
        if not self._heard and quiet_ms >= since_ms:
            return since_ms >= _START_MS
        return quiet_ms >= _PAUSE_MS or since_ms >= self._longest_ms

    def _choose(self, now_ms):
        """The next address and command; False if the round is over too early."""
        self._visited = False
        speed = self._speed
        address = speed.visit()
        if address:
            self._address = address
            self._visited = True
            self._command = wire.ASK_STATE
            self._tries = _TRIES
            return True
        if speed.returns:
            self._raise(now_ms)
            if speed.saying:
                return True
        if self._place >= LAST:
            if (now_ms - self._round_ms) & MASK < _CYCLE_MS:
                return False
            self._round_ms = now_ms
            self._place = FIRST - 1
            self._begin_round(now_ms)
            if self.rounds > 1:
                self._raise(now_ms)
                if speed.saying:
                    return True
        self._drop_silent(now_ms)
        self._place += 1
        address = self._address = self._place
        if speed.is_shared and not self._is_turn_of(address):
            return False
        if (self._garbled[address] >= _GARBLED
                and (now_ms - self._rolled_ms[address]) & MASK > _ROLL_AGAIN_MS):
            self._rolled_ms[address] = now_ms
            self._called = -1
            self._command = wire.ROLL_CALL
            self._tries = 1
        else:
            is_online = self._fleet.is_online(address)
            self._command = wire.ASK_STATE
            if (not speed.rate and is_online and self._identified[address]
                    and (self.rounds + address) % _WHOLE_ROUNDS):
                self._command = wire.ASK_BRIEF
            self._tries = _TRIES if is_online else 1
        return True

    def _is_turn_of(self, address):
        """On a shared bus: of a pack that is known, and of one other address in each round."""
        fleet = self._fleet
        return (fleet.is_online(address) or (fleet.lost | fleet.twice) >> address & 1
                or self.rounds % (LAST - FIRST + 1) == address - FIRST)

    def _raise(self, now_ms):
        """The speed of the bus, if nothing speaks against it."""
        fleet = self._fleet
        other = self._rival or fleet.twice != 0
        for address in range(FIRST, LAST + 1):
            if self._garbled[address]:
                other = True
        self._speed.raises(now_ms, fleet.modules, other)

    def _drop_silent(self, now_ms):
        """Slaves that were asked in vain and not heard for too long count no longer."""
        fleet = self._fleet
        limit_ms = self._pack.params["slave_lost_s"] * 1000
        modules = fleet.modules
        for i in range(len(modules) - 1, 0, -1):
            address = modules[i].module
            silent_ms = (now_ms - self._seen_ms[address]) & MASK
            if silent_ms >= limit_ms and (self._vain >> address & 1 or silent_ms >= 4 * limit_ms):
                fleet.drop(address, True)
                self._pack.events.add(now_ms, ev.SLAVE_LOST, address)
                self._show_faults(address)

    def _throw(self):
        """0..4095, different from board to board."""
        self._dice = (self._dice * 109 + 57) & 0xFFFFF
        return self._dice >> 8

    def _begin_round(self, now_ms):
        self.rounds += 1
        self._pause_ms = 10 * (self._throw() & 15)  # another master must not keep in step
        fleet = self._fleet
        self._system.update(now_ms)
        whole = self._system.whole
        self._soc_cpct = -1 if fleet.is_alone() or not whole.valid else fleet.there_cpct
        if self._pack.profile.PANEL == "bar":       # LED-04
            self._pack.system_cpct = self._soc_cpct
        for address in range(FIRST, LAST + 1):
            if (fleet.twice >> address & 1
                    and (now_ms - self._twice_ms[address]) & MASK > _TWICE_MS):
                fleet.twice &= ~(1 << address)
        if self._rival and (now_ms - self._rival_ms) & MASK > _RIVAL_MS:
            self._rival = False
        if self._extra_ms >= 0 and (now_ms - self._extra_ms) & MASK > _EXTRA_MS:
            self._extra_ms = -1
            self._pack.set_fault(FAULT_MANY, False)
        self._show_faults(MASTER)
        self._speed.unfit(now_ms, self._rival or fleet.twice != 0 or len(fleet.modules) < 2)
        if self.rounds > 1:             # who is there is known
            if self.rounds > _ROSTER_ROUNDS:    # ... and so is what each could deliver
                self._pick_first(now_ms)
            if not self._rival:
                self._pack.joining.told(fleet.bus_mv(MASTER), self._first == MASTER,
                                        self._yields >> MASTER & 1 != 0)

    def _show_faults(self, address):
        fleet = self._fleet
        pack = self._pack
        pack.set_fault(FAULT_LINK, fleet.lost != 0, address)
        pack.set_fault(FAULT_ADDRESS, self._rival or fleet.twice != 0, address)

    def _pick_first(self, now_ms):
        """Who begins on a bar that nobody is on, one pack at a time; who leaves it (COM-09).

        The packs that can join each other are a group, and the group that can deliver most
        begins. Packs on the bar that can deliver nothing leave it to a group that can.
        """
        fleet = self._fleet
        self._yields = 0
        if self._rival:
            self._first = self._passed = 0
            return
        modules = fleet.modules
        if fleet.bus_mv(0) != NO_READING:
            self._first = self._passed = 0
            idle = fleet.idle_on_the_bar()
            self._idle_rounds = min(_IDLE_ROUNDS, self._idle_rounds + 1) if idle else 0
            if self._idle_rounds >= _IDLE_ROUNDS:
                self._yields = idle
            return
        self._idle_rounds = 0
        if self._first:
            for i in range(len(modules)):
                if (modules[i].module == self._first and modules[i].is_able
                        and (now_ms - self._first_ms) & MASK < _TURN_MS):
                    return
            self._passed |= 1 << self._first
            self._first = 0
        for _ in range(2):
            self._first = fleet.best_first(self._passed)
            if self._first:
                self._first_ms = now_ms
                return
            self._passed = 0            # each had its turn: again
