"""The thresholds that a reconstruction has to meet: set on the Siemens star, the same for every scan they apply to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ptycho.errors import ConfigError
from ptycho.metrics.schema import CriterionResult

__all__ = ["CRITERIA", "Comparison", "Criterion", "judge"]


class Comparison(StrEnum):
    """On which side of a threshold the good values lie."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True)
class Criterion:
    """One threshold.

    Attributes
    ----------
    name
        Its key under `criteria` in metrics.json.
    metric
        The dotted key in metrics.json of the value it looks at.
    comparison, threshold
        Passed when ``value comparison threshold``.
    question
        What it decides, for the summary page.
    """

    name: str
    metric: str
    comparison: Comparison
    threshold: float
    question: str

    def check(self, value: float | None) -> CriterionResult:
        """Return the verdict on a value; an undefined value never passes."""
        if value is None:
            passed = False
        elif self.comparison is Comparison.AT_MOST:
            passed = value <= self.threshold
        else:
            passed = value >= self.threshold
        return CriterionResult(value, self.comparison.value, self.threshold, passed)

    def excuse(self) -> CriterionResult:
        """Return the verdict where the question does not apply: neither passed nor failed."""
        return CriterionResult(None, self.comparison.value, self.threshold, None)


# How these were chosen, and what every control reaches: docs/thresholds.md.
CRITERIA = (
    Criterion(
        "held_out",
        "fidelity.held_out.error_over_expected",
        Comparison.AT_MOST,
        2.3,
        "Does it predict frames it never saw, close to what counting photons allows?",
    ),
    Criterion(
        "deviance",
        "fidelity.held_out.deviance_over_expected",
        Comparison.AT_MOST,
        2.8,
        "Is the Poisson deviance of these frames close to that too?",
    ),
    Criterion(
        "gain",
        "fidelity.gain_over_mean_frame",
        Comparison.AT_LEAST,
        4.2,
        "Does it predict them better than the average frame does?",
    ),
    Criterion(
        "half_sets",
        "half_sets.half_bit.frequency",
        Comparison.AT_LEAST,
        0.15,
        "Do two independent halves of the data give the same picture?",
    ),
    Criterion(
        "half_sets_held_out",
        "half_sets.worst_deviance_over_expected",
        Comparison.AT_MOST,
        3.2,
        "Does each half predict the unseen frames by itself?",
    ),
    Criterion(
        "spokes",
        "star.contrast",
        Comparison.AT_LEAST,
        0.6,
        "Are the spokes of the star in the picture?",
    ),
)


def judge(values: Mapping[str, float | None], inapplicable: Collection[str] = ()) -> dict[str, CriterionResult]:
    """Return the verdict of every criterion, by name.

    Parameters
    ----------
    values
        The value of each criterion by name; None where it is undefined.
    inapplicable
        Names of criteria whose question this scan does not ask.

    Raises
    ------
    ConfigError
        If a criterion has no value here, or a value no criterion.
    """
    names = [criterion.name for criterion in CRITERIA]
    if set(values) != set(names):
        raise ConfigError(f"criteria: expected values for {names}, found {sorted(values)}")
    return {
        criterion.name: criterion.excuse()
        if criterion.name in inapplicable
        else criterion.check(values[criterion.name])
        for criterion in CRITERIA
    }
