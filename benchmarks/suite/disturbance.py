"""What other processes took from a block, by the kernel's own accounts.

Others have taken no more processor time than they used (``/proc/stat`` less our own), and no more
than our threads waited for a processor (``schedstat``): the smaller of the two is what they took.
Others on a processor that we leave idle take nothing, nor do our own threads where there are more
of them than processors.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

ALLOWED_SHARE = 0.05
"""Of the wall time of a block."""
ALLOWED_SECONDS = 1e-3
"""In a block so short that the share would be less than what every system does now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The clocks and accounts at one moment; differences of two describe a block."""

    wall: float
    own: float
    """Processor time of this process, all threads."""
    machine: float
    """Processor time of all processes, in ticks of 10 ms."""
    stolen: float
    """What the hypervisor gave to other machines, in the same ticks."""
    waited: float
    """Time that threads of this process were ready to run and did not."""
    preemptions: int
    """Switches that this process did not ask for."""

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(
            wall=self.wall - earlier.wall,
            own=self.own - earlier.own,
            machine=self.machine - earlier.machine,
            stolen=self.stolen - earlier.stolen,
            waited=self.waited - earlier.waited,
            preemptions=self.preemptions - earlier.preemptions,
        )

    @property
    def foreign(self) -> float:
        """Processor time that others used."""
        return max(0.0, self.machine - self.own)

    @property
    def taken(self) -> float:
        """Processor time that others took from us; a tick or two of theft may be of earlier."""
        return min(self.foreign, max(0.0, self.waited)) + max(0.0, self.stolen - 2 * _tick())


def read() -> Reading:
    """The accounts now. Reading takes some 0.1 ms; the clocks are read last."""
    machine, stolen = _machine_seconds(Path("/proc/stat").read_text())
    waited = _waited_seconds()
    preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    return Reading(
        machine=machine,
        stolen=stolen,
        waited=waited,
        preemptions=preemptions,
        own=time.process_time(),
        wall=time.perf_counter(),
    )


def is_disturbed(during: Reading) -> bool:
    """Whether others took more than a small share of the block."""
    return during.taken > ALLOWED_SECONDS + ALLOWED_SHARE * during.wall


def _tick() -> float:
    return 1.0 / os.sysconf("SC_CLK_TCK")


def _machine_seconds(stat: str) -> tuple[float, float]:
    """Processor time used and stolen since the start of the machine."""
    words = stat.split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _input, interrupts, soft_interrupts, steal = map(int, words)
    return (user + nice + system + interrupts + soft_interrupts) * _tick(), steal * _tick()


def _waited_seconds() -> float:
    """Over the threads that live; what an ended one waited is lost."""
    nanoseconds = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            nanoseconds += int((task / "schedstat").read_text().split()[1])
        except FileNotFoundError:
            if task.exists():
                raise RuntimeError(f"no {task}/schedstat: this kernel keeps no account") from None
    return nanoseconds * 1e-9
