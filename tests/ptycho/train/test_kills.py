"""A training whose process is killed, and one in TensorFlow."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptycho.archive import load_arrays
from ptycho.nets import Network
from ptycho.train import EpochRecord, History, StepRecord, train
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
    path = tmp_path / "checkpoint.npz"

    def learn(*, use_streaming: bool, stop_after: int = 99, resume: bool = False) -> tuple[Network, History | None]:
        def report(record: StepRecord | EpochRecord) -> None:
            if isinstance(record, EpochRecord) and record.epoch == stop_after:
                raise KeyboardInterrupt

        network = problem.build("tensorflow", seed=7 if resume else 0)
        options = replace(OPTIONS, use_streaming=use_streaming)
        sets = problem.training, problem.validation
        try:
            return network, train(network, *sets, options, checkpoint=path, resume=resume, report=report)
        except KeyboardInterrupt:
            return network, None

    whole, history = learn(use_streaming=False)
    streamed, streamed_history = learn(use_streaming=True)
    assert learn(use_streaming=False, stop_after=2)[1] is None
    resumed, resumed_history = learn(use_streaming=True, resume=True)
    assert history is not None
    assert history.epochs[-1].loss < history.epochs[0].loss
    for other, network in ((streamed_history, streamed), (resumed_history, resumed)):
        assert other is not None
        for name in ("loss", "validation_loss"):
            expected = [getattr(record, name) for record in history.epochs]
            assert [getattr(record, name) for record in other.epochs] == pytest.approx(expected, rel=1e-6)
        for name, value in whole.weights().items():
            np.testing.assert_allclose(network.weights()[name], value, rtol=0, atol=1e-6, err_msg=name)
