"""Brings an update file to a pack, which works meanwhile (SAF-06).

    package = read("packctl-PACKCTL_PICO-0.2.0.pkg")
    with connect(port) as pack:
        send(pack, package, on_progress=print)
        start(pack)
    ...                         # the pack starts anew; then, on a new connection
        outcome(pack)

send() goes on where it was: after a cable was out it is called again with the same file.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import NoAnswer, UpdateFailed
from .frames import (
    ANSWER, ERROR, UPDATE_BEGIN, UPDATE_DO, UPDATE_PAGE, UPDATE_STATE, Frame, Splitter,
    check_answer, encode, update_error,
)
from .pack import Pack
from .package import Package

STATES = ("idle", "verifying", "receiving", "checking", "ready", "failed")
START, GIVE_UP, GO_BACK = 1, 2, 3
_STATUS = struct.Struct("<BBBHHHHBBB")
_IN_FLIGHT = 1000           # bytes that the pack's port keeps while it writes to flash
_LOST_S = 0.6               # no answer for so long: the pages are sent again
_POLL_S = 0.05
_GONE_S = 8.0               # nothing at all for so long: the pack is not there
_AGES_S = 120.0             # no step forward for so long


class UpdateStatus(NamedTuple):
    """How an update stands.

    state       of STATES; reason: number of why it failed; slot: 0 A, 1 B that is written
    received    pages that the pack has; room: it takes those before this one; done: in flash, or
                read back while `checking`; total: pages of the file
    confirmed   the slot that has proven itself; trial: one is to; refused: reason of the last
                image that was sent back, 0: none
    text        the pack's words
    """

    state: str
    reason: int
    slot: int
    received: int
    room: int
    done: int
    total: int
    confirmed: int
    trial: bool
    refused: int
    text: str

    @property
    def running(self) -> int:
        """The slot whose image runs."""
        return 1 - self.slot


def status_of(payload: bytes) -> UpdateStatus:
    """The UpdateStatus in an answer."""
    if len(payload) < _STATUS.size:
        raise NoAnswer("The pack's answer to the update is too short.")
    state, *numbers, trial, refused = _STATUS.unpack_from(payload)
    words = STATES[state] if state < len(STATES) else str(state)
    text = payload[_STATUS.size:].decode("utf-8", "replace")
    reason, slot, received, room, done, total, confirmed = numbers
    return UpdateStatus(words, reason, slot, received, room, done, total, confirmed, bool(trial),
                        refused, text)


def status(pack: Pack) -> UpdateStatus:
    """How the update of *pack* stands."""
    return status_of(pack.request(UPDATE_STATE))


Progress = Callable[[UpdateStatus], object]


def _nothing(_: UpdateStatus) -> None:
    pass


def begin(pack: Pack, package: Package, older: bool = False) -> UpdateStatus:
    """Tell *pack* what comes; UpdateRefused with its reason, before anything was erased."""
    payload = bytes((int(older),)) + package.head + package.signature
    return status_of(pack.request(UPDATE_BEGIN, payload))


def send(pack: Pack, package: Package, older: bool = False,
         on_progress: Progress = _nothing) -> UpdateStatus:
    """Begin or go on, bring what is missing, wait until the pack has looked at all of it.

    raises   UpdateRefused, UpdateFailed; NoAnswer and Unplugged: call it again later
    """
    package.check()
    now = begin(pack, package, older)
    now = _await(pack, now, ("verifying",), on_progress)
    if now.state == "receiving":
        now = _Sender(pack, package, now, on_progress).run()
    now = _await(pack, now, ("receiving", "checking"), on_progress)
    if now.state != "ready":
        raise UpdateFailed(f"The pack gave the update up: {now.text or now.state}.")
    return now


def _await(pack: Pack, now: UpdateStatus, states: tuple[str, ...],
           on_progress: Progress) -> UpdateStatus:
    while now.state in states:
        on_progress(now)
        time.sleep(4 * _POLL_S)
        now = status(pack)
    if now.state == "failed":
        raise update_error(now.reason, now.text)
    return now


class _Sender:
    """Sends pages ahead of their answers, as many as the pack's port can keep."""

    def __init__(self, pack: Pack, package: Package, now: UpdateStatus,
                 on_progress: Progress) -> None:
        self._stream = pack.stream
        self._package = package
        self._now = now
        self._on_progress = on_progress
        self._splitter = Splitter()
        self._next = now.received       # page to be sent next
        self._sizes: dict[int, int] = {}        # of what was sent and not answered
        self._seqs = itertools.cycle(range(1, 0x80))
        self._answered = self._forward = self._sent = time.monotonic()
        self._again = 0.0               # until then answers to pages sent before count for nothing

    def run(self) -> UpdateStatus:
        """Send all pages; returns when the pack has them."""
        while self._now.state == "receiving" and self._now.received < self._now.total:
            self._fill()
            for piece in self._splitter.feed(self._stream.read(4096)):
                if isinstance(piece, Frame):
                    self._hear(piece)
            self._look_at_clock()
        return self._now

    def _fill(self) -> None:
        now = self._now
        while self._next < min(now.total, now.room):
            frame = encode(next(self._seqs), UPDATE_PAGE,
                           self._package.page_bytes(self._next, now.slot))
            if self._sizes and sum(self._sizes.values()) + len(frame) > _IN_FLIGHT:
                return
            self._sizes[self._next] = len(frame)
            self._next += 1
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        self._stream.write(frame)
        self._sent = time.monotonic()

    def _hear(self, frame: Frame) -> None:
        if frame.kind == ERROR:
            check_answer(UPDATE_PAGE, frame)
        if frame.kind not in (UPDATE_PAGE | ANSWER, UPDATE_STATE | ANSWER):
            return
        before, self._now = self._now, status_of(frame.payload)
        self._answered = time.monotonic()
        if self._now.total != before.total or self._now.received < before.received:
            raise NoAnswer("The pack has begun anew.")
        received = self._now.received
        for page in [page for page in self._sizes if page < received]:
            del self._sizes[page]
        self._next = max(self._next, received)
        if received > before.received or self._now.done > before.done:
            self._forward = self._answered
            self._on_progress(self._now)
        elif (frame.kind == UPDATE_PAGE | ANSWER and self._sizes
              and self._answered > self._again):
            self._send_again()          # a page came that was not the next one

    def _send_again(self) -> None:
        self._again = time.monotonic() + _LOST_S
        self._sizes.clear()
        self._next = self._now.received

    def _look_at_clock(self) -> None:
        clock = time.monotonic()
        if clock - self._answered > _GONE_S:
            raise NoAnswer(f"The pack has not answered for {_GONE_S:g} s.")
        if clock - self._forward > _AGES_S:
            raise NoAnswer(f"The pack took no page for {_AGES_S:g} s.")
        if self._sizes:
            if clock - max(self._answered, self._sent) > _LOST_S:
                self._send_again()
                self._sent = clock
        elif clock - self._sent > _POLL_S:
            self._send(encode(next(self._seqs), UPDATE_STATE))


def start(pack: Pack) -> UpdateStatus:
    """The pack starts the image that it has got, on trial."""
    return status_of(pack.request(UPDATE_DO, bytes((START,))))


def give_up(pack: Pack) -> UpdateStatus:
    """The update ends; what runs goes on."""
    return status_of(pack.request(UPDATE_DO, bytes((GIVE_UP,))))


def go_back(pack: Pack) -> UpdateStatus:
    """The pack starts the image before this one."""
    return status_of(pack.request(UPDATE_DO, bytes((GO_BACK,))))
