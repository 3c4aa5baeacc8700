"""The record of a training."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ptycho.errors import DataError
from ptycho.train import Ending, EpochRecord, History, StepRecord

EPOCHS = tuple(
    EpochRecord(number, 7, 0.1 / number, 1e-3, 2.5 * number, validation_loss)
    for number, validation_loss in enumerate((0.4, 0.3000000000000001, 0.35, 0.3), start=1)
)


def test_a_history_goes_through_json_unchanged() -> None:
    for history in (
        History(),
        History(EPOCHS, Ending.PATIENCE),
        History((replace(EPOCHS[0], validation_loss=None),)),
    ):
        again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
        assert again == history
        assert again.seconds == history.seconds


def test_the_best_epoch_is_the_first_of_least_validation_loss_or_the_last_without() -> None:
    assert History(EPOCHS).best == EPOCHS[3]
    assert History(EPOCHS[:3]).best == EPOCHS[1]
    assert History((EPOCHS[0], replace(EPOCHS[0], epoch=2))).best == EPOCHS[0]
    assert History(tuple(replace(record, validation_loss=None) for record in EPOCHS)).best.epoch == 4
    assert History().best is None
    assert History().seconds == 0


def test_records_differ_in_what_was_learned_and_not_in_how_long_it_took() -> None:
    assert replace(EPOCHS[0], seconds=99.0) == EPOCHS[0]
    assert replace(EPOCHS[0], loss=99.0) != EPOCHS[0]


def damaged() -> dict[str, tuple[dict[str, Any], str]]:
    good = History(EPOCHS).to_json()
    first, *rest = good["epochs"]
    return {
        "another schema": ({**good, "schema": "ptycho-history/9"}, "expected schema ptycho-history/1, found 'ptycho-h"),
        "no epochs": ({"schema": good["schema"], "ending": None}, "KeyError"),
        "an unknown end": ({**good, "ending": "boredom"}, "boredom"),
        "an unknown name": ({**good, "epochs": [{**first, "mood": 1}]}, "mood"),
        "an epoch missing": ({**good, "epochs": rest}, r"expected epochs 1 to 3 in this order, found \[2, 3, 4\]"),
        "NaN": ({**good, "epochs": [{**first, "loss": float("nan")}]}, "loss: expected a finite number, found nan"),
        "a text": ({**good, "epochs": [{**first, "rate": "fast"}]}, "rate: expected a finite number, found 'fast'"),
        "half validated": (
            {**good, "epochs": [first, {**rest[0], "validation_loss": None}]},
            "a validation loss in every epoch or in none",
        ),
        "no steps": ({**good, "epochs": [{**first, "steps": 0}]}, "steps: expected a whole number >= 1, found 0"),
    }


@pytest.mark.parametrize("case", damaged())
def test_a_damaged_history_is_refused(case: str) -> None:
    values, message = damaged()[case]
    with pytest.raises(DataError, match=message):
        History.from_json(values)


def test_records_tell_loss_and_time_in_a_line() -> None:
    assert str(StepRecord(3, 60, 7, 45, 0.012345, 125.4)) == "epoch 3/60, step 7/45: loss 0.01235, 2:05 left"
    assert str(EPOCHS[0]) == "epoch 1: loss 0.1, validation 0.4, 2 s"
