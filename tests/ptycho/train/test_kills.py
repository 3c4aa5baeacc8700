"""A training whose process is killed, and one in TensorFlow."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho.archive import load_arrays
from ptycho.nets.layers import Weights
from ptycho.train import EpochRecord, History, StepRecord, TrainOptions, train
from ptycho.train.checkpoint import load_checkpoint

from .trainee import OPTIONS, make_problem

ROOT = Path(__file__).parents[3]
STEPS = 4  # in an epoch


def start(checkpoint: Path, weights: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, Path(__file__).with_name("trainee.py"), "torch", checkpoint, weights]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def finish(checkpoint: Path, weights: Path) -> History:
    with start(checkpoint, weights) as child:
        child.communicate(timeout=300)
    assert child.returncode == 0
    return load_checkpoint(checkpoint).history


@pytest.mark.slow
def test_a_training_that_is_killed_loses_no_more_than_an_epoch_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = finish(tmp_path / "whole.npz", tmp_path / "whole_weights.npz")
    checkpoint, weights, done = tmp_path / "checkpoint.npz", tmp_path / "weights.npz", 0
    # In the first epoch; while the first is validated and written; in the next; while that one is written.
    for lines, delay_s in ((2, 0.0), (STEPS, 0.01), (STEPS + 2, 0.0), (STEPS, 0.02)):
        with start(checkpoint, weights) as child:
            seen = [child.stdout.readline() for _ in range(lines)]
            time.sleep(delay_s)
            child.kill()
            rest = child.stdout.read()
        assert child.returncode == -9
        assert seen[0].startswith(f"epoch {done + 1}/4, step 1/{STEPS}: loss ")
        told = sum(", validation " in line for line in [*seen, *rest.splitlines()])
        kept = len(load_checkpoint(checkpoint).history.epochs) if checkpoint.exists() else 0
        assert done + told <= kept <= done + told + 1
        done = kept
    assert done >= 1
    assert finish(checkpoint, weights) == undisturbed
    for name, value in load_arrays(tmp_path / "whole_weights.npz").items():
        np.testing.assert_array_equal(load_arrays(weights)[name], value, err_msg=name)


@pytest.mark.slow
def test_a_tensorflow_network_learns_streams_and_is_taken_up_as_well(tmp_path: Path) -> None:
    problem = make_problem()

    def learn(framework: str, options: TrainOptions, **keywords: Any) -> tuple[History, Weights]:
        network = problem.build(framework, seed=7 if "resume" in keywords else 0)
        history = train(network, problem.training, problem.validation, options, **keywords)
        return history, network.weights()

    def stop(record: StepRecord | EpochRecord) -> None:
        if isinstance(record, EpochRecord) and record.epoch == 2:
            raise KeyboardInterrupt

    whole = learn("tensorflow", OPTIONS)
    assert whole[0].epochs[-1].loss < whole[0].epochs[0].loss
    assert_alike(learn("tensorflow", replace(OPTIONS, use_streaming=True)), whole, tolerance=1e-6)
    for framework, tolerance in (("tensorflow", 1e-6), ("torch", 2e-3)):
        path = tmp_path / f"{framework}.npz"
        with pytest.raises(KeyboardInterrupt):
            learn(framework, OPTIONS, checkpoint=path, report=stop)
        assert_alike(learn("tensorflow", OPTIONS, checkpoint=path, resume=True), whole, tolerance)


def assert_alike(found: tuple[History, Weights], expected: tuple[History, Weights], tolerance: float) -> None:
    for name in ("loss", "validation_loss"):
        losses = [[getattr(record, name) for record in history.epochs] for history in (found[0], expected[0])]
        np.testing.assert_allclose(*losses, rtol=tolerance, err_msg=name)
    for name, value in expected[1].items():
        np.testing.assert_allclose(found[1][name], value, rtol=0, atol=tolerance, err_msg=name)
