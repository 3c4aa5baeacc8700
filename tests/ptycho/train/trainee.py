"""A small training problem, and the program that trains on it until it is killed.

``python trainee.py FRAMEWORK CHECKPOINT WEIGHTS`` takes up the training of CHECKPOINT, prints a line at each step and
each epoch, and leaves what it learned in WEIGHTS.
"""

import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ptycho.archive import save_arrays
from ptycho.data.examples import Examples, make_examples
from ptycho.data.groups import group_frames
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.simulation import Simulation, simulate
from ptycho.data.validation import split_examples
from ptycho.nets import Illumination, Network, Specification, build_network, illuminate, specify
from ptycho.nets.layers import start_weights
from ptycho.train import EpochRecord, StepRecord, TrainOptions, train

OPTIONS = TrainOptions(epochs=4, rate=2e-2, warm_up_steps=3, seed=5)


class Problem(NamedTuple):
    """Examples of a small scan that leaves a last batch of fewer, and a network for them."""

    specification: Specification
    illumination: Illumination
    training: Examples
    validation: Examples

    def build(self, framework: str = "torch", seed: int = 0, precision: str = "float32") -> Network:
        weights = start_weights(self.specification, seed)
        return build_network(
            self.specification, self.illumination, weights, framework=framework, device="cpu", precision=precision
        )


@cache
def make_problem(kind: str = "pinn") -> Problem:
    scan = simulate(Simulation(rows=6, columns=7, frame_px=16, step_px=2.0, dose=1e5, spokes=6))
    normalisation = fit_normalisation(scan.diffraction)
    groups = group_frames(scan.probe_positions, 4)
    examples = make_examples(scan, groups, normalisation, labels=kind == "supervised")
    specification = specify(scan.probe, examples.offsets, kind=kind, stages=1, projections=2, filters=4)
    illumination = illuminate(scan.probe, normalisation)
    return Problem(specification, illumination, *split_examples(examples, 0.3, seed=1))


def tell(record: StepRecord | EpochRecord) -> None:
    sys.stdout.write(f"{record}\n")
    sys.stdout.flush()


def main(framework: str, checkpoint: str, weights: str) -> None:
    problem = make_problem()
    network = problem.build(framework)
    train(
        network,
        problem.training,
        problem.validation,
        OPTIONS,
        checkpoint=Path(checkpoint),
        resume=True,
        report=tell,
    )
    save_arrays(Path(weights), network.weights())


if __name__ == "__main__":
    main(*sys.argv[1:])
