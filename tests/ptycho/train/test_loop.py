"""Real training of a small network, interrupted and taken up again."""

import re
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho.archive import load_arrays, save_arrays
from ptycho.errors import ConfigError, DataError, TrainingError
from ptycho.nets import Network
from ptycho.train import Clock, Ending, EpochRecord, History, StepRecord, TrainOptions, train
from ptycho.train.checkpoint import describe_run, load_checkpoint

from .trainee import OPTIONS, Problem, make_problem

Record = StepRecord | EpochRecord


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem()


@pytest.fixture(scope="module")
def undisturbed(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, History, Path]:
    """A whole training, and its checkpoint."""
    network, path = problem.build(), tmp_path_factory.mktemp("whole") / "checkpoint.npz"
    return network, train(network, problem.training, problem.validation, OPTIONS, checkpoint=path), path


def interrupt_at(epoch: int, step: int) -> Callable[[Record], None]:
    """A report that raises at a step; at the end of the epoch if the step is 0."""

    def report(record: Record) -> None:
        if record.epoch == epoch and step == (record.step if isinstance(record, StepRecord) else 0):
            raise KeyboardInterrupt

    return report


def assert_same_weights(network: Network, other: Network) -> None:
    weights, others = network.weights(), other.weights()
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)


def test_the_loss_falls(problem: Problem, undisturbed: tuple[Network, History, Path]) -> None:
    network, history, _ = undisturbed
    untrained = problem.build().loss(problem.validation.read(np.arange(len(problem.validation))))
    assert history.ending is Ending.EPOCHS
    assert [record.epoch for record in history.epochs] == [1, 2, 3, 4]
    assert history.epochs[-1].loss < history.epochs[0].loss < 1.1 * untrained
    assert history.best.validation_loss < 0.9 * untrained
    assert all(record.steps == 4 for record in history.epochs)
    assert history.epochs[-1].rate < 0.1 * OPTIONS.rate < history.epochs[0].rate
    trained = network.loss(problem.validation.read(np.arange(len(problem.validation))))
    assert trained == pytest.approx(history.best.validation_loss, rel=1e-5)  # weighted as if in one batch


@pytest.mark.parametrize("kind", ["pinn", "supervised"])
def test_streaming_gives_the_losses_of_training_in_memory(kind: str) -> None:
    problem = make_problem(kind)
    networks, histories = [problem.build() for _ in range(2)], []
    for network, use_streaming in zip(networks, (False, True), strict=True):
        options = replace(OPTIONS, epochs=2, use_streaming=use_streaming)
        histories.append(train(network, problem.training, problem.validation, options))
    assert histories[0] == histories[1]
    assert_same_weights(*networks)


def test_another_seed_deals_other_batches(problem: Problem, undisturbed: tuple[Network, History, Path]) -> None:
    first = train(problem.build(), problem.training, None, replace(OPTIONS, seed=6)).epochs[0]
    assert first.loss != undisturbed[1].epochs[0].loss
    assert first.validation_loss is None


def test_an_early_stop_keeps_the_best_weights(problem: Problem) -> None:
    network = problem.build()
    options = TrainOptions(epochs=60, rate=0.3, warm_up_steps=0, patience=2)
    history = train(network, problem.training, problem.validation, options)
    assert history.ending is Ending.PATIENCE
    assert len(history.epochs) == history.best.epoch + 2 < 60
    kept = network.loss(problem.validation.read(np.arange(len(problem.validation))))
    assert kept == pytest.approx(history.best.validation_loss, rel=1e-5)
    assert kept < history.epochs[-1].validation_loss


@pytest.mark.parametrize(("epoch", "step"), [(1, 3), (2, 0), (3, 1), (4, 0)])
def test_a_training_taken_up_ends_as_one_that_was_never_interrupted(
    epoch: int, step: int, problem: Problem, undisturbed: tuple[Network, History, Path], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        train(
            problem.build(),
            problem.training,
            problem.validation,
            OPTIONS,
            checkpoint=path,
            report=interrupt_at(epoch, step),
        )
    whole = epoch if step == 0 else epoch - 1
    assert not path.exists() if whole == 0 else len(load_checkpoint(path).history.epochs) == whole
    network, epochs = problem.build(seed=0 if whole == 0 else 7), []  # what it starts from does not matter then
    history = train(
        network,
        problem.training,
        problem.validation,
        replace(OPTIONS, use_streaming=True),
        checkpoint=path,
        resume=True,
        report=lambda record: epochs.append(record) if isinstance(record, EpochRecord) else None,
    )
    assert history == undisturbed[1]
    assert tuple(epochs) == history.epochs[whole:]
    assert history.seconds > 0
    assert_same_weights(network, undisturbed[0])
    assert list(tmp_path.iterdir()) == [path]


def test_without_resume_a_training_begins_and_replaces_the_checkpoint(problem: Problem, tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.npz", replace(OPTIONS, epochs=1)
    save_arrays(path, {"schema": np.array("not even a checkpoint")})
    first = train(problem.build(), problem.training, None, options, checkpoint=path)
    assert load_checkpoint(path).history == first
    second = train(problem.build(seed=1), problem.training, None, options, checkpoint=path)
    assert load_checkpoint(path).history == second != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"options": replace(OPTIONS, epochs=9, rate=1e-3)},
            "options.epochs: 4 there, 9 here; options.rate: 0.02 ther",
        ),
        ({"options": replace(OPTIONS, seconds=60.0)}, "options.seconds: None there, 60.0 here"),
        ({"validation": None}, r"validation examples: '13, positions \w+, amplitudes \w+' there, 'none' here"),
        ({"training": slice(None, -1)}, r"training examples: '29, positions .* there, '28, positions .* here"),
        ({"order": -1}, r"training examples: '29, positions (\w+), amplitudes \w+' there, '29, positions \1,"),
        *(({"example": one}, r"'29, positions (\w+), amplitudes \w+' there, '29, positions \1,") for one in (2, 28)),
        ({"specification": {"projections": 1}}, "specification.projections: 2 there, 1 here"),
        ({"probe": 1j}, r"illumination: '\w+' there, '\w+' here"),
        ({"precision": "float64"}, "precision: 'float32' there, 'float64' here"),
    ],
)
def test_another_training_is_not_taken_up(
    change: dict[str, Any], message: str, problem: Problem, undisturbed: tuple[Network, History, Path]
) -> None:
    light = problem.illumination
    other = problem._replace(
        specification=replace(problem.specification, **change.get("specification", {})),
        illumination=replace(light, probe=change.get("probe", 1) * light.probe),
        training=problem.training.select(change.get("training", slice(None))),
    )
    if order := change.get("order"):
        other = other._replace(training=replace(other.training, amplitudes=other.training.amplitudes[::order]))
    if (example := change.get("example")) is not None:
        spoilt = np.array(other.training.amplitudes)
        spoilt[example, 3, 4, 0] += 1
        other = other._replace(training=replace(other.training, amplitudes=spoilt))
    network, path = other.build(precision=change.get("precision", "float32")), undisturbed[2]
    validation = change.get("validation", other.validation)
    options = change.get("options", OPTIONS)
    with pytest.raises(ConfigError, match=f"{path}: expected the training that is to be resumed.*{message}"):
        train(network, other.training, validation, options, checkpoint=path, resume=True)


def damages() -> dict[str, Callable[[Path], None]]:
    def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
        def damage(path: Path) -> None:
            arrays = load_arrays(path)
            change(arrays)
            save_arrays(path, arrays)

        return damage

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return {
        "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
        "empty": lambda path: path.write_bytes(b""),
        "one bit": flip,
        "another schema": edit(lambda arrays: arrays.update(schema=np.array("ptycho-checkpoint/9"))),
        "no history": edit(lambda arrays: arrays.pop("history")),
        "history of no epoch": edit(lambda arrays: arrays.update(history=np.array('{"schema": "ptycho-history/1"}'))),
        "no best weights": edit(lambda a: [a.pop(name) for name in list(a) if name.startswith("best/")]),
        "a best weight of another shape": edit(lambda a: a.update({"best/0.last.bias": np.zeros(9, np.float32)})),
        "a moment of another shape": edit(lambda a: a.update({"state/exp_avg/0.last.bias": np.zeros(9, np.float32)})),
        "a moment missing": edit(lambda arrays: arrays.pop("state/exp_avg/0.last.bias")),
        "another optimiser": edit(lambda a: a.update({"state/velocity/0.last.bias": np.zeros(8, np.float32)})),
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_checkpoint_is_refused_with_the_cure(
    damage: str, problem: Problem, undisturbed: tuple[Network, History, Path], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(undisturbed[2].read_bytes())
    damages()[damage](path)
    with pytest.raises(DataError, match=rf"{path}.*begin anew"):
        train(problem.build(), problem.training, problem.validation, OPTIONS, checkpoint=path, resume=True)


def test_a_training_is_told_by_its_labels_too() -> None:
    problem = make_problem("supervised")
    labels = np.array(problem.training.targets)
    labels[3, 4, 5, 1] *= -1
    runs = [
        describe_run(problem.build(), examples, None, OPTIONS)["training examples"]
        for examples in (problem.training, problem.training.in_memory(), replace(problem.training, targets=labels))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_loss_that_is_not_finite_stops_training_and_the_last_checkpoint_stays(
    problem: Problem, undisturbed: tuple[Network, History, Path], tmp_path: Path
) -> None:
    path, training = tmp_path / "checkpoint.npz", problem.training.in_memory()
    spoilt = np.array(training.amplitudes)

    def spoil(record: Record) -> None:
        if isinstance(record, EpochRecord) and record.epoch == 2:
            spoilt[:, 3, 3] = np.nan

    with pytest.raises(TrainingError, match="epoch 3, step 1: loss: expected a finite value, found nan; begin anew"):
        train(
            problem.build(),
            replace(training, amplitudes=spoilt),
            problem.validation,
            OPTIONS,
            checkpoint=path,
            report=spoil,
        )
    saved = load_checkpoint(path)
    assert saved.history.epochs == undisturbed[1].epochs[:2]
    assert all(np.isfinite(value).all() for value in saved.state.values())


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    problem: Problem, undisturbed: tuple[Network, History, Path], tmp_path: Path
) -> None:
    path, limits = tmp_path / "checkpoint.npz", resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(record: Record) -> None:
        if isinstance(record, EpochRecord) and record.epoch == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))

    try:
        with pytest.raises(OSError, match=re.escape(str(path))):
            train(problem.build(), problem.training, problem.validation, OPTIONS, checkpoint=path, report=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(path).history.epochs == undisturbed[1].epochs[:2]
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_the_last_step_made_infinite_are_found(problem: Problem) -> None:
    network = problem.build()

    def spoil(record: Record) -> None:
        if isinstance(record, StepRecord) and (record.epoch, record.step) == (1, record.steps):
            bias = network.state()["weights/0.last.bias"]
            network.restore(network.state() | {"weights/0.last.bias": np.full_like(bias, np.inf)})

    with pytest.raises(TrainingError, match=r"epoch 1: weight 0\.last\.bias: expected a finite value, found inf"):
        train(network, problem.training, None, OPTIONS, report=spoil)


def test_a_time_limit_stops_in_the_middle_of_an_epoch_and_the_rate_has_fallen(problem: Problem, tmp_path: Path) -> None:
    path, began = tmp_path / "checkpoint.npz", time.monotonic()
    options = TrainOptions(epochs=1000, batch_size=1, warm_up_steps=0, seconds=0.5)
    lefts = []
    network = problem.build()
    history = train(
        network,
        problem.training,
        problem.validation,
        options,
        checkpoint=path,
        report=lambda record: lefts.append(record.seconds_left) if isinstance(record, StepRecord) else None,
    )
    assert history.ending is Ending.SECONDS
    assert 0.5 <= history.seconds <= time.monotonic() - began < 20
    assert 0 <= min(lefts) <= max(lefts) <= 0.5
    assert history.epochs[-1].rate < 0.3 * options.rate
    again = problem.build(seed=3)
    assert train(again, problem.training, problem.validation, options, checkpoint=path, resume=True) == history
    assert_same_weights(network, again)


def test_a_limit_shorter_than_an_epoch_leaves_its_first_steps(problem: Problem) -> None:
    options = TrainOptions(epochs=9, batch_size=1, seconds=1e-6)
    history = train(problem.build(), problem.training, None, options)
    assert [record.steps for record in history.epochs] == [1]
    assert history.ending is Ending.SECONDS


def test_a_limit_of_processor_time_is_not_used_up_by_waiting(problem: Problem) -> None:
    options = TrainOptions(epochs=1, seconds=30.0, clock=Clock.PROCESSOR)
    began = time.monotonic()
    history = train(problem.build(), problem.training, None, options, report=lambda _: time.sleep(0.3))
    assert history.ending is Ending.EPOCHS
    assert time.monotonic() - began > history.seconds + 0.5


def test_every_step_and_epoch_is_reported(problem: Problem) -> None:
    records: list[Record] = []
    history = train(problem.build(), problem.training, None, replace(OPTIONS, epochs=2), report=records.append)
    told = [(record.epoch, record.step if isinstance(record, StepRecord) else None) for record in records]
    assert told == [(epoch, step) for epoch in (1, 2) for step in (1, 2, 3, 4, None)]
    assert records[4::5] == list(history.epochs)
    steps = [record for record in records if isinstance(record, StepRecord)]
    assert {(record.epochs, record.steps) for record in steps} == {(2, 4)}
    assert steps[-1].seconds_left == 0 < steps[0].seconds_left


def test_an_epoch_tells_the_mean_over_its_examples_and_the_next_deals_them_anew(problem: Problem) -> None:
    records: list[Record] = []
    still = TrainOptions(epochs=2, rate=1e-12)
    history = train(problem.build(), problem.training, None, still, report=records.append)
    everything = problem.training.read(np.arange(len(problem.training)))
    for record in history.epochs:
        assert record.loss == pytest.approx(problem.build().loss(everything), rel=1e-5)
    losses = [record.loss for record in records if isinstance(record, StepRecord)]
    assert losses[:4] != pytest.approx(losses[4:], rel=1e-3)


def test_requests_that_contradict_themselves_are_refused(problem: Problem) -> None:
    network, training = problem.build(), problem.training
    with pytest.raises(ConfigError, match="patience: expected validation examples"):
        train(network, training, options=TrainOptions(patience=3))
    with pytest.raises(ConfigError, match="resume: expected the checkpoint to take up, found none"):
        train(network, training, resume=True)
    supervised = make_problem("supervised").build()
    with pytest.raises(DataError, match="training: expected labels for a supervised network, found none"):
        train(supervised, training)
