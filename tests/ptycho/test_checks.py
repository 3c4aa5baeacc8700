"""What every caller's numbers and choices are held against."""

from enum import StrEnum

import numpy as np
import pytest

from ptycho.checks import check_number, check_whole, parse_choice
from ptycho.errors import ConfigError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def test_whole_numbers_of_any_kind_come_back_as_an_int() -> None:
    for value in (3, np.int64(3), np.uint8(3)):
        assert type(check_whole("size", value)) is int
    assert check_whole("seed", 0, 0) == 0


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "3", np.float64(2), np.array([1, 2])], ids=repr)
def test_anything_else_is_named(value: object) -> None:
    with pytest.raises(ConfigError, match="size: expected a whole number >= 1, found "):
        check_whole("size", value)


def test_numbers_of_any_kind_come_back_as_a_float() -> None:
    for value in (0.5, np.float32(0.5), 1, np.int64(1)):
        assert type(check_number("rate", value, 0, 1)) is float
    assert check_number("share", 0, 0, 1, with_low=True) == 0.0


@pytest.mark.parametrize("value", [0, -0.1, 1.1, np.nan, np.inf, True, None, "0.5", np.array([0.5])], ids=repr)
def test_a_number_outside_its_range_is_named(value: object) -> None:
    with pytest.raises(ConfigError, match=r"rate: expected a number in \(0, 1\], found "):
        check_number("rate", value, 0, 1)


def test_a_choice_is_named_by_its_text() -> None:
    assert parse_choice("colour", "red", Colour) is parse_choice("colour", Colour.RED, Colour) is Colour.RED
    for value in ("green", None, 3, ["red"]):
        with pytest.raises(ConfigError, match="colour: expected one of red, blue, found "):
            parse_choice("colour", value, Colour)
