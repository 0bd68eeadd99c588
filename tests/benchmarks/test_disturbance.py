"""What counts as a disturbed block."""

from __future__ import annotations

import os

import pytest
from measured import reading
from suite import disturbance
from suite.disturbance import ALLOWED_SECONDS, ALLOWED_SHARE, is_disturbed, read

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def test_difference_of_readings_is_what_happened_between_them() -> None:
    during = reading(5.0, own=9.0, foreign=2.0) - reading(2.0, own=4.0, foreign=0.5)

    assert (during.wall, during.own, during.foreign, during.waited) == (3.0, 5.0, 1.5, 1.5)


def test_block_without_others_is_undisturbed_however_much_it_computes() -> None:
    assert not is_disturbed(reading(1.0, own=2.0))


@pytest.mark.parametrize("wall", [0.0, 0.05, 10.0])
def test_block_is_disturbed_from_the_allowed_share_of_its_time_on(wall: float) -> None:
    allowed = ALLOWED_SECONDS + ALLOWED_SHARE * wall

    assert not is_disturbed(reading(wall, foreign=0.9 * allowed))
    assert is_disturbed(reading(wall, foreign=1.1 * allowed))


def test_others_on_a_processor_that_we_leave_idle_do_not_disturb() -> None:
    assert not is_disturbed(reading(1.0, foreign=1.0, waited=0.01))


def test_more_threads_of_our_own_than_processors_do_not_disturb() -> None:
    assert not is_disturbed(reading(1.0, own=2.0, foreign=0.0, waited=2.0))


def test_time_that_the_hypervisor_took_disturbs_even_though_nobody_waited() -> None:
    assert is_disturbed(reading(1.0, stolen=0.5))
    assert not is_disturbed(reading(1.0, stolen=2 * TICK))


def test_own_time_that_the_kernel_has_not_charged_yet_is_no_disturbance() -> None:
    assert reading(1.0, own=1.0, foreign=-0.01).foreign == 0.0


def test_machine_time_counts_all_but_idling_waiting_for_input_and_guests() -> None:
    stat = "cpu  100 20 30 5000 600 7 8 9 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    used, stolen = disturbance._machine_seconds(stat)

    assert used == pytest.approx((100 + 20 + 30 + 7 + 8) * TICK)
    assert stolen == pytest.approx(9 * TICK)


def test_accounts_of_this_machine_only_grow() -> None:
    first, second = read(), read()
    during = second - first

    assert during.wall > 0.0
    assert min(during.own, during.machine, during.stolen, during.waited) >= 0.0
    assert during.preemptions >= 0
