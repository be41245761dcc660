"""What is typed after a command: numbers within their limits, and mistakes that are told in one line."""

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

from charlm.command import MISTAKE, complain


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
        raise SystemExit(MISTAKE)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A type for argparse: a whole number within these limits."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:  # no number, or one of thousands of digits
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r:.40}: needs a whole number from {low} to {high}")
        return number

    return read


def real_number(low: float, high: float) -> Callable[[str], float]:
    """A type for argparse: a number within these limits."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r:.40}: needs a number from {low:g} to {high:g}")
        return number

    return read
