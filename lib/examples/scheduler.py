"""Two tasks with a period and a deadline each, for one second."""

import sys
import time

from packctl_drivers.scheduler import Scheduler, Task, ticks_diff


class Counter:
    def __init__(self):
        self.count = 0

    def step(self, now_ms):
        self.count += 1


def main(ticks_ms=time.ticks_ms, ticks_us=time.ticks_us, sleep_ms=time.sleep_ms):
    fast, slow = Counter(), Counter()
    scheduler = Scheduler([Task("fast", fast, 10, 0, 5), Task("slow", slow, 100, 3, 50)],
                          ticks_us, bytearray(1))
    now_ms = start_ms = ticks_ms() & 0x3FFFFFFF
    scheduler.start(start_ms)
    while ticks_diff(now_ms, start_ms) < 1000:
        next_ms = scheduler.run_due(now_ms)
        sleep_ms(max(1, ticks_diff(next_ms, now_ms)))
        now_ms = ticks_ms() & 0x3FFFFFFF
    print("fast ran", fast.count, "times, slow", slow.count)
    return fast.count, slow.count


def on_a_pico():
    main()


if sys.platform == "rp2":
    on_a_pico()
