"""Whether what was said about a number of tests agrees with what was counted; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from orchestrator.records.claims import Said

__all__ = ["Tally", "agrees"]


@dataclass(frozen=True)
class Tally:
    """The counts of one test run, or of several together.

    Attributes
    ----------
    collected : int
        Tests found, 0 where nothing tells.
    deselected : int
        Tests found and not asked for; they are not among the others.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    xfailed: int = 0
    xpassed: int = 0
    collected: int = 0
    deselected: int = 0

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        """Return several runs as one."""
        return cls(*(sum(numbers) for numbers in zip(*map(astuple, tallies), strict=True)))

    @property
    def ended(self) -> int:
        """How many tests have an outcome."""
        return self.passed + self.failed + self.errors + self.skipped + self.xfailed + self.xpassed

    @property
    def ran(self) -> bool:
        """Whether any test ended: what was only collected has no outcome."""
        return self.ended > 0

    @property
    def sizes(self) -> frozenset[int]:
        """Every number that may be called the number of tests.

        A test skipped at collection is among those that ended and not among those collected, an error at collection
        is no test, and those that were not asked for are counted by some.
        """
        known = {self.collected, self.ended, self.ended - self.errors} - {0} or {0}
        return frozenset({*known, *(number + self.deselected for number in known)})

    def __str__(self) -> str:
        """Return ``2 passed, 1 failed, 3 collected``."""
        names = ("passed", "failed", "errors", "skipped", "xfailed", "xpassed")
        told = [f"{number} {name}" for name in names if (number := getattr(self, name)) or name == "passed"]
        return ", ".join(
            [*(told if self.ran else ()), *([f"{self.collected} collected"] if self.collected or not self.ran else [])]
        )


def agrees(said: Said, tally: Tally) -> bool:
    """Whether every number that was said is one of the run's.

    XML counts what was expected to fail as skipped, and a log counts an error as no failure: either way of counting
    agrees.
    """
    skips = {tally.skipped, tally.skipped + tally.xfailed}
    right = {
        "passed": {tally.passed, tally.passed + tally.xpassed},
        "failed": {tally.failed, tally.failed + tally.errors},
        "errors": {tally.errors},
        "skipped": skips,
        "xfailed": {tally.xfailed},
        "xpassed": {tally.xpassed},
        "collected": tally.sizes,
        "tests": tally.sizes,
        "of": tally.sizes | {size - skip for size in tally.sizes for skip in skips},
    }
    needs_outcome = said.every or set(said.counts) - {"collected", "tests"}
    clean = not said.every or (tally.passed > 0 and not tally.failed and not tally.errors)
    return (
        clean
        and (tally.ran or not needs_outcome)
        and all(number in right[name] for name, number in said.counts.items())
    )
