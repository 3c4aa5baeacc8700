"""What training can be asked for, and the rate of each step."""

from typing import Any

import pytest

from ptycho.errors import ConfigError
from ptycho.train import TrainOptions


def test_the_rate_rises_in_a_line_then_falls_along_a_cosine_to_a_hundredth() -> None:
    options = TrainOptions(rate=0.5, warm_up_steps=4)
    rates = [options.rate_at(step, 1000, used=1e9) for step in range(1001)]
    assert rates[0] == pytest.approx(0.5 / 4, rel=1e-4)
    assert rates[1] == pytest.approx(0.5 * 2 / 4, rel=1e-4)
    assert max(rates) == rates[3] == pytest.approx(0.5, rel=1e-4)
    assert rates[500] == pytest.approx(0.5 * (0.01 + 0.99 / 2))
    assert rates[1000] == pytest.approx(0.005)
    assert TrainOptions(rate=0.5, warm_up_steps=0).rate_at(0, 10, used=0.0) == 0.5


def test_with_a_time_limit_the_larger_fraction_counts() -> None:
    options = TrainOptions(rate=1.0, warm_up_steps=0, seconds=100.0)
    assert options.rate_at(10, 1000, used=50.0) == options.rate_at(500, 1000, used=1.0)
    assert options.rate_at(10, 1000, used=200.0) == pytest.approx(0.01)


def test_more_than_ten_thousand_examples_are_streamed_unless_asked_otherwise() -> None:
    assert [TrainOptions().streams(count) for count in (1, 10_000, 10_001)] == [False, False, True]
    assert TrainOptions(use_streaming=True).streams(1)
    assert not TrainOptions(use_streaming=False).streams(10**6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clock": "sun"}, "clock: expected one of wall, processor, found 'sun'"),
        ({"epochs": 0}, "epochs: expected a whole number >= 1, found 0"),
        ({"batch_size": 2.0}, "batch_size: expected a whole number >= 1, found 2.0"),
        ({"warm_up_steps": -1}, "warm_up_steps: expected a whole number >= 0, found -1"),
        ({"patience": 0}, "patience: expected a whole number >= 1, found 0"),
        ({"seed": True}, "seed: expected a whole number >= 0, found True"),
        ({"rate": float("nan")}, r"rate: expected a number in \(0, 1\], found nan"),
        ({"rate": 1e300}, r"rate: expected a number in \(0, 1\], found 1e\+300"),
        ({"rate": True}, r"rate: expected a number in \(0, 1\], found True"),
        ({"rate": "fast"}, r"rate: expected a number in \(0, 1\], found 'fast'"),
        ({"seconds": 0.0}, r"seconds: expected a number in \(0, .*\], found 0.0"),
        ({"seconds": float("inf")}, r"seconds: expected a number in \(0, .*\], found inf"),
        ({"seconds": "60"}, r"seconds: expected a number in \(0, .*\], found '60'"),
    ],
)
def test_what_cannot_be_had_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainOptions(**wrong)
