"""What is typed after a command: numbers within their limits, and mistakes that are told in one line."""

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from charlm.command import complain


class Parser(argparse.ArgumentParser):
    def _get_values(self, action: argparse.Action, given: list[str]) -> Any:
        """Python up to 3.12 takes an option's value that is `--` for the mark that ends options, and gives a list."""
        if action.option_strings and given == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, given)

    def error(self, message: str) -> NoReturn:
        complain(self.prog, f"{message} (--help tells what there is)")
        raise SystemExit(2)


def folder(text: str) -> Path:
    """A type for argparse: a folder that is named; "" would be the one that one is in."""
    if not text:
        raise argparse.ArgumentTypeError("needs the name of a folder")
    return Path(text)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A type for argparse: a whole number within these limits."""
    return partial(_number, int, "a whole number", low, high)


def real_number(low: float, high: float) -> Callable[[str], float]:
    """A type for argparse: a number within these limits."""
    return partial(_number, float, "a number", low, high)


def _number(kind: type, what: str, low: float, high: float, text: str) -> Any:
    try:
        number = kind(text)
    except ValueError:  # no number, or one of thousands of digits
        number = math.nan
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r:.40}: needs {what} from {low} to {high}")
    return number
