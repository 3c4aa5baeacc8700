"""The record of an evaluation: complete, finite, and honest about what is undefined."""

import dataclasses
import inspect
import json

import pytest

from ptycho.errors import ConfigError, DataError
from ptycho.metrics import schema
from ptycho.metrics.criteria import CRITERIA, Comparison, Criterion, judge
from ptycho.metrics.schema import Fidelity, FrameSetScores, GaugeFacts, Metrics, ScanFacts, render_metrics

FRAMES = FrameSetScores(30, 0.01, 0.006, 1.7, 0.03, 1.9, -100.0, 0.02, 0.011)
METRICS = Metrics(
    scan=ScanFacts("made up", "none", 40, 32, 48, 1e5, None),
    fidelity=Fidelity(FRAMES, FRAMES, 1.0, 0.1, 5.0),
    positions=None,
    gauge=GaugeFacts(1e5, 0.9, (0.9, 0.1), 1000),
    half_sets=None,
    refit=None,
    star=None,
    truth=None,
    criteria=judge(
        {"held_out": 1.7, "deviance": 1.9, "gain": 5.0, "half_sets": None, "half_sets_held_out": None, "spokes": None},
        inapplicable=["spokes"],
    ),
    passed=False,
    undefined={
        "scan.pixel_size_m": "not given",
        "positions": "as given",
        "half_sets": "no halves",
        "refit": "no refit",
        "star": "too small",
        "truth": "not known",
        "criteria.half_sets.value": "no halves",
        "criteria.half_sets_held_out.value": "no halves",
        "criteria.spokes.value": "no star",
        "criteria.spokes.passed": "no star",
    },
)


def test_the_file_names_its_schema_and_holds_every_field() -> None:
    body = json.loads(render_metrics(METRICS))
    assert body["schema"] == "ptycho-metrics/1"
    assert set(body) == {"schema", *(field.name for field in dataclasses.fields(Metrics))}
    assert body["fidelity"]["held_out"]["error_over_expected"] == 1.7
    assert body["criteria"]["held_out"] == {"value": 1.7, "comparison": "<=", "threshold": 2.3, "passed": True}


def test_every_key_is_documented() -> None:
    for name in schema.__all__:
        record = getattr(schema, name)
        if inspect.isclass(record):
            for field in dataclasses.fields(record):
                assert field.name in (record.__doc__ or ""), f"{name}.{field.name}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    spoilt = dataclasses.replace(FRAMES, fourier_error=value)
    with pytest.raises(DataError, match=r"fidelity.train.fourier_error: expected a finite number"):
        dataclasses.replace(METRICS, fidelity=dataclasses.replace(METRICS.fidelity, train=spoilt))


def test_an_undefined_value_needs_its_reason_and_a_reason_its_value() -> None:
    with pytest.raises(DataError, match="expected a reason for each undefined value"):
        dataclasses.replace(METRICS, undefined={})
    with pytest.raises(DataError, match="fidelity"):
        dataclasses.replace(METRICS, undefined={**METRICS.undefined, "fidelity": "it is there"})


@pytest.mark.parametrize(
    ("comparison", "value", "passed"),
    [
        (Comparison.AT_MOST, 2.0, True),
        (Comparison.AT_MOST, 2.1, False),
        (Comparison.AT_LEAST, 2.0, True),
        (Comparison.AT_LEAST, 1.9, False),
        (Comparison.AT_MOST, None, False),
        (Comparison.AT_LEAST, None, False),
    ],
)
def test_a_criterion_passes_on_its_side_and_never_when_undefined(
    comparison: Comparison, value: float | None, passed: bool
) -> None:
    assert Criterion("c", "a.b", comparison, 2.0, "?").check(value).passed is passed


def test_a_criterion_that_does_not_apply_neither_passes_nor_fails() -> None:
    assert METRICS.criteria["spokes"].passed is None
    assert METRICS.criteria["half_sets"].passed is False


def test_r_alone_is_no_criterion() -> None:
    assert not any(criterion.metric.endswith("fourier_error") for criterion in CRITERIA)


def test_every_criterion_must_be_given_its_value() -> None:
    with pytest.raises(ConfigError, match="expected values for"):
        judge({"held_out": 1.0})
