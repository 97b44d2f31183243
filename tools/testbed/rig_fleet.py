"""Several controllers on one parallel RS485 bus and one bus bar, for the rig's `fleet`.

All modules advance together, a chunk of time each; fleet_wires.py joins them between chunks.
"""

import random

import rooms
from rig_targets import TargetError

rooms.use(rooms.MODELS)

from fleet_wires import BAR_FIELDS, Wires       # noqa: E402

BUS_FAULTS = ("parallel_noise", "parallel_loss")


class Linked:
    """A target that cannot run alone: when it runs, all of its fleet do."""

    def __init__(self, target, fleet, index):
        self.inner = target
        self._fleet = fleet
        self._index = index

    def __getattr__(self, name):
        return getattr(self.inner, name)

    @property
    def chunk_us(self):
        return self._fleet.wires.chunk_us

    @property
    def crash(self):
        return self.inner.crash

    @crash.setter
    def crash(self, value):
        self.inner.crash = value

    def run(self, us, feeds):
        return self._fleet.run(self._index, us, feeds)

    def set(self, values):
        bar = {name: values.pop(name) for name in BAR_FIELDS if name in values}
        if "reverse" in values:
            raise TargetError("reverse: the packs of a fleet share one bar; use a single bench")
        if values:
            self.inner.set(values)
        try:
            self._fleet.wires.set_bar(bar)
        except ValueError as error:
            raise TargetError(str(error)) from None


class Fleet:
    """Lock-step of several targets.

    members   Rig of each module, set by the rig after it is made
    wires     Wires: bus bar and bus
    """

    def __init__(self, targets, seed):
        self.targets = targets
        self.members = []
        self.wires = Wires(len(targets), random.Random(f"parallel {seed}"))

    def set_faults(self, faults):
        """Noise and loss of the parallel bus."""
        if "parallel_noise" in faults:
            self.wires.bus.noise = faults["parallel_noise"] or 0.0
        if "parallel_loss" in faults:
            self.wires.bus.loss = faults["parallel_loss"] or 0.0

    def run(self, index, us, feeds):
        """Let *us* pass for all; *feeds* are module *index*'s. Returns what that one sent."""
        own = []
        while us > 0:
            step_us = min(us, self.wires.chunk_us)
            own += self._step(index, step_us, feeds)
            feeds = []
            us -= step_us
        return own

    def _step(self, index, us, feeds):
        wires = self.wires
        start_us = self.targets[0].t_us
        for i, target in enumerate(self.targets):
            ports = feeds if i == index else self.members[i].collect(us) if (
                self.members) else []
            for port, _, data, baud in ports:
                if port == "parallel":
                    wires.client_speaks(i, start_us, data, baud)
            ports = [feed for feed in ports if feed[0] != "parallel"] + wires.hears(i)
            target.begin(us, ports, bar_mv=wires.bar_mv, bar_load_ma=wires.bar.load_ma,
                         bar_only_ma=wires.only_ma[i])
        own = []
        for i, target in enumerate(self.targets):
            sent = target.end()
            for port, at_us, data, baud in sent:
                if port == "parallel":
                    wires.bus.put(i, at_us, data, baud)
            sent = [entry for entry in sent if entry[0] != "parallel"]  # the wires pass it on
            if i == index:
                own = sent
            elif self.members:
                self.members[i].deliver(sent, start_us)
        wires.settle(self.targets[0].t_us, us, [target.behind_bar for target in self.targets],
                     self._client_hears if self.members else None)
        return own

    def _client_hears(self, i, data, baud):
        self.members[i].overhear(data, baud)
