"""Running a bench on in the background, and letting commands in between."""

import contextlib
import threading
import time
import traceback

_BEHIND_S = 1.0                 # a play that is so late does not hurry to catch up


class Player:
    """Who may move the bench: one thread at a time, and a play lets go when somebody waits.

    step     step(speed) runs the bench on for a moment
    now_us   its simulated time
    known    errors that have a text for a person
    error    None | text: why a play has ended by itself
    """

    def __init__(self, step, now_us, known):
        self._step = step
        self._now_us = now_us
        self._known = known
        self._lock = threading.RLock()
        self._count_lock = threading.Lock()
        self._waiting = 0           # commands that want the lock which a play holds
        self._thread = None         # None | Thread of a play
        self._plays = False
        self.error = None

    @contextlib.contextmanager
    def take(self):
        """The bench for oneself."""
        with self._count_lock:
            self._waiting += 1
        with self._lock:
            with self._count_lock:
                self._waiting -= 1
            yield

    def start(self, speed):
        """Run on at *speed* times real time, 0 as fast as possible."""
        self._plays = True
        self._thread = threading.Thread(target=self._play, args=(speed,), daemon=True)
        self._thread.start()

    def stop(self):
        """End a play, if there is one."""
        self._plays = False
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def take_error(self):
        """Why a play has ended by itself, told once; None: it has not."""
        error, self.error = self.error, None
        return error

    def _play(self, speed):
        base_s, base_us = time.monotonic(), self._now_us()
        while self._plays:
            while self._waiting:
                time.sleep(0.0005)
            if not self._lock.acquire(timeout=0.1):     # held by who waits for this thread's end
                continue
            try:
                if not self._plays:
                    return
                ahead_s = 0.0
                if speed:
                    due_s = base_s + (self._now_us() - base_us) / 1e6 / speed
                    ahead_s = due_s - time.monotonic()
                    if ahead_s < -_BEHIND_S:
                        base_s, base_us = time.monotonic(), self._now_us()
                if ahead_s <= 0 and not self._moved(speed):
                    return
            finally:
                self._lock.release()
            if ahead_s > 0:
                time.sleep(min(ahead_s, 0.02))

    def _moved(self, speed):
        """One step; False if it failed, and *error* says why."""
        try:
            self._step(speed)
            return True
        except self._known as error:
            self.error = str(error)
        except Exception as error:      # noqa: BLE001 - a mistake in the rig: say so
            traceback.print_exc()
            self.error = f"internal error of the rig: {error!r}"
        return False
