"""Values that callers hand in, checked alike everywhere: whole and other numbers, and choices by name."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import numpy as np

from ptycho.errors import ConfigError

__all__ = ["check_number", "check_whole", "parse_choice"]

Choice = TypeVar("Choice", bound=StrEnum)


def check_whole(name: str, value: object, least: int = 1) -> int:
    """Return a whole number of Python or numpy as an int; a bool is none.

    Raises
    ------
    ConfigError
        With the name, if it is another thing or below `least`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name}: expected a whole number >= {least}, found {value!r}")
    return int(value)


def check_number(name: str, value: object, low: float, high: float, *, with_low: bool = False) -> float:
    """Return a number of Python or numpy in (low, high] as a float, with `with_low` in [low, high]; a bool is none.

    Raises
    ------
    ConfigError
        With the name, if it is another thing or lies elsewhere, as NaN does.
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value)
        if low < number <= high or (with_low and number == low):
            return number
    raise ConfigError(f"{name}: expected a number in {'[' if with_low else '('}{low:g}, {high:g}], found {value!r}")


def parse_choice(name: str, value: object, choices: type[Choice]) -> Choice:
    """Return the choice that a text names.

    Raises
    ------
    ConfigError
        With the name, if it names none.
    """
    if not isinstance(value, str) or value not in set(choices):
        raise ConfigError(f"{name}: expected one of {', '.join(choices)}, found {value!r}")
    return choices(value)
