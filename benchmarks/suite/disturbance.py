"""What other processes did to the machine while a block ran, and whether that spoils the block.

Processor time is taken from the kernel's own account: of the whole machine (``/proc/stat``, in
ticks of 10 ms), less that of this process.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

ALLOWED_SHARE = 0.05
"""Of the wall time of a block, on all processors together."""
ALLOWED_TICKS = 2
"""The account's own blur: a tick may be charged just before or after the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The clocks and accounts at one moment; differences of two describe a block."""

    wall: float
    own: float
    """Processor time of this process, all threads."""
    machine: float
    """Processor time of all processes, and what the hypervisor took."""
    waited: float
    """Time that threads of this process were ready to run and did not."""
    preemptions: int
    """Switches that this process did not ask for."""

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(
            wall=self.wall - earlier.wall,
            own=self.own - earlier.own,
            machine=self.machine - earlier.machine,
            waited=self.waited - earlier.waited,
            preemptions=self.preemptions - earlier.preemptions,
        )

    @property
    def foreign(self) -> float:
        """Processor time that others took."""
        return max(0.0, self.machine - self.own)


def read() -> Reading:
    """The accounts now. Reading takes some 0.1 ms; the clocks are read last."""
    machine = _machine_seconds(Path("/proc/stat").read_text())
    waited = _waited_seconds()
    preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    return Reading(
        machine=machine,
        waited=waited,
        preemptions=preemptions,
        own=time.process_time(),
        wall=time.perf_counter(),
    )


def is_disturbed(during: Reading) -> bool:
    """Whether others took more than the blur of the account and a small share of the time.

    Waiting and preemptions are kept in the record and do not decide: a runtime with more threads
    than processors brings them on itself.
    """
    return during.foreign > ALLOWED_TICKS * _tick() + ALLOWED_SHARE * during.wall


def _tick() -> float:
    return 1.0 / os.sysconf("SC_CLK_TCK")


_BUSY = slice(1, 9)
"""user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user."""
_IDLE = slice(3, 5)


def _machine_seconds(stat: str) -> float:
    fields = [int(word) for word in stat.split("\n", 1)[0].split()[_BUSY]]
    return (sum(fields) - sum(fields[_IDLE])) * _tick()


def _waited_seconds() -> float:
    nanoseconds = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            nanoseconds += int((task / "schedstat").read_text().split()[1])
        except OSError:  # the thread has ended meanwhile, or this kernel keeps no such account
            continue
    return nanoseconds * 1e-9
