"""Lazy loading under the names that handoffs use: what a container costs, and what comes out of its streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho import params
from ptycho.data.normalisation import Normalisation
from ptycho.data.rows import Rows
from ptycho.data.simulation import Simulation, simulate
from ptycho.loader import PtychoDataContainer, load
from ptycho.model import create_model_with_gridsize, train
from ptycho.raw_data import RawData
from ptycho.train import EpochRecord, StepRecord

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6


def make_container(count: int = 22, gridsize: int = 1, **options: Any) -> PtychoDataContainer:
    rng = np.random.default_rng(0)
    y, x = np.indices((70, 80))
    raw = RawData.from_coords_without_pc(
        rng.uniform(20, 60, count),
        rng.uniform(20, 50, count),
        rng.poisson(9.0, (count, 16, 16)),
        np.ones((16, 16)),
        None,
        (1 + y) * np.exp(0.01j * x),
    )
    grouped = raw.generate_grouped_data(16, nsamples=None, gridsize=gridsize)
    return load(lambda: grouped, raw.probeGuess, **options)


def measure(*arguments: str) -> dict[str, float]:
    """Run the benchmark of memory in a fresh process and return its figures in MB."""
    command = [sys.executable, str(ROOT / "benchmarks/data_memory.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    rows = (line.rsplit(maxsplit=2) for line in done.stdout.splitlines() if line.endswith(" MB"))
    return {name.strip(): float(value) for name, value, _ in rows}


def count_rows_before_the_first_step(count: int, use_streaming: bool | None) -> int:
    """How many groups of a container are computed before a training has done its first step, and been stopped."""
    computed = []

    def compute(index: np.ndarray) -> np.ndarray:
        computed.append(len(index))
        return np.random.default_rng(int(index[0])).random((len(index), 8, 8, 4), np.float32)

    def stop(record: StepRecord | EpochRecord) -> None:
        raise KeyboardInterrupt

    raw = RawData.from_scan(simulate(Simulation(rows=3, columns=3, frame_px=16)))
    offsets = np.random.default_rng(1).uniform(-2, 2, (count, 1, 2, 4))
    container = PtychoDataContainer(
        Rows(np.arange(count), compute, (8, 8, 4), np.dtype(np.float32)),
        local_offsets=offsets,
        probeGuess=raw.probeGuess[:, 4:12, 4:12],
        normalisation=Normalisation(1e4, (8, 8)),
    )
    model = create_model_with_gridsize(2, 8, framework="torch", n_filters_scale=1)
    with pytest.raises(KeyboardInterrupt):
        train(1, container, model, use_streaming, report=stop)
    return sum(computed)


class TestEagerLoadingOOM:
    """What eager loading would have cost."""

    @pytest.mark.slow
    @pytest.mark.parametrize("gridsize", [1, 2])
    def test_a_container_over_twenty_thousand_mapped_frames_adds_little_memory(self, gridsize: int) -> None:
        figures = measure("--frames", "20000", "--gridsize", str(gridsize), "--epoch", "none")
        eager = 20_000 * 64 * 64 * 4 * gridsize**2 / MEGABYTE
        assert figures["container"] < 50 < eager


class TestLazyLoading:
    """Nothing large is made before it is asked for."""

    def test_lazy_loading_avoids_oom(self) -> None:
        """Amplitudes of 500 GB: whoever made them would not come back."""
        frames = np.broadcast_to(np.uint16(3), (30_000_000, 64, 64, 1))
        container = PtychoDataContainer(frames)
        assert len(container[10:]) == 29_999_990
        assert container._X_np[5:7].shape == (2, 64, 64, 1)

    def test_lazy_container_backward_compatible(self) -> None:
        import tensorflow as tf  # noqa: PLC0415 -- loaded by the tests that need it

        container = make_container()
        assert isinstance(container.X, tf.Tensor)
        np.testing.assert_array_equal(container.X.numpy(), container._X_np[:])
        np.testing.assert_array_equal(container.coords.numpy(), container._coords_nominal_np.astype(np.float32))
        np.testing.assert_allclose(np.abs(container.Y.numpy()), container._Y_I_np[:], rtol=1e-6)

    @pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])
    def test_lazy_caching(self, framework: str) -> None:
        container = make_container(framework=framework)
        assert container._tensors == {}
        assert container.X is container.X
        assert container.coords is container.coords_nominal
        assert set(container._tensors) == {"X", "coords_nominal"}

    def test_tensor_input_handled(self) -> None:
        import tensorflow as tf  # noqa: PLC0415 -- loaded by the tests that need it
        import torch  # noqa: PLC0415 -- loaded by the tests that need it

        values = np.random.default_rng(1).random((5, 8, 8, 1), np.float32)
        for tensor in (tf.constant(values), torch.tensor(values, requires_grad=True), values.tolist()):
            container = PtychoDataContainer(tensor, framework="numpy")
            np.testing.assert_allclose(container[1:3].X, values[1:3])

    def test_len_method(self) -> None:
        assert len(make_container(22)) == 22
        assert len(make_container(22)[3:7]) == 4

    def test_a_mapped_array_is_neither_copied_nor_read(self, tmp_path: Path) -> None:
        mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint16, (50, 8, 8, 1))
        container = PtychoDataContainer(mapped)
        assert container._X_np is mapped
        assert isinstance(container[5:9]._X_np, np.memmap)


class TestStreamingTraining:
    """What the streams that training reads promise."""

    @pytest.mark.parametrize("gridsize", [1, 2])
    def test_dataset_structure(self, gridsize: int) -> None:
        c = gridsize**2
        container = make_container(gridsize=gridsize)
        (inputs, targets) = next(iter(container.as_tf_dataset(4)))
        assert [tuple(part.shape) for part in inputs] == [(4, 16, 16, c), (4, 1, 2, c)]
        assert [tuple(part.shape) for part in targets] == [(4, 16, 16, c)] * 3
        assert {part.dtype.name for part in (*inputs, *targets)} == {"float32"}

    @pytest.mark.parametrize(("size", "number"), [(4, 6), (11, 2), (22, 1), (64, 1)])
    def test_batch_count(self, size: int, number: int) -> None:
        container = make_container()
        dataset, torch_twin = container.as_tf_dataset(size), container.as_torch_dataset(size)
        assert int(dataset.cardinality()) == len(dataset) == len(torch_twin) == number
        for batches in (list(dataset), list(torch_twin)):
            assert len(batches) == number
            np.testing.assert_array_equal(np.concatenate([inputs[0] for inputs, _ in batches]), container._X_np[:])

    def test_both_frameworks_stream_the_same_permutation_and_the_next_pass_another(self) -> None:
        container = make_container(gridsize=2)
        dataset, torch_twin = container.as_tf_dataset(4, seed=7), container.as_torch_dataset(4, seed=7)
        orders = []
        for epoch in range(2):
            torch_twin.set_epoch(epoch)
            passes = [np.concatenate([inputs[1] for inputs, _ in batches]) for batches in (dataset, torch_twin)]
            np.testing.assert_array_equal(*passes)
            orders.append(passes[0])
        assert (orders[0] != orders[1]).any()

    def test_torch_batches_go_through_its_loader(self) -> None:
        from torch.utils.data import DataLoader  # noqa: PLC0415 -- loaded by the tests that need it

        container = make_container()
        batches = list(DataLoader(container.as_torch_dataset(4), batch_size=None))
        np.testing.assert_array_equal(np.concatenate([inputs[0] for inputs, _ in batches]), container._X_np[:])

    @pytest.mark.parametrize(("count", "streams"), [(10_000, False), (10_001, True)])
    def test_auto_detection(self, count: int, streams: bool) -> None:
        assert (count_rows_before_the_first_step(count, None) < 100) is streams

    @pytest.mark.parametrize("use_streaming", [False, True])
    def test_use_streaming_param(self, use_streaming: bool) -> None:
        assert (count_rows_before_the_first_step(500, use_streaming) < 100) is use_streaming

    @pytest.mark.slow
    @pytest.mark.parametrize("framework", ["tensorflow", "torch"])
    def test_an_epoch_needs_the_same_memory_for_few_frames_and_for_many(self, framework: str) -> None:
        few, many = (measure("--frames", count, "--epoch", framework)["epoch"] for count in ("2000", "20000"))
        assert abs(many - few) < 30
        assert many < 100 < 20_000 * 64 * 64 * 4 / MEGABYTE


def test_container_numpy_slicing_for_chunked_inference() -> None:
    container = make_container(gridsize=2)
    chunks = []
    for start in range(0, len(container), 5):
        chunk = container._X_np[start : start + 5], container._coords_nominal_np[start : start + 5]
        assert all(type(part) is np.ndarray for part in chunk)
        chunks.append(chunk)
    assert container._tensors == {}
    np.testing.assert_array_equal(np.concatenate([x for x, _ in chunks]), container.X.numpy())
    np.testing.assert_allclose(np.concatenate([c for _, c in chunks]), container.coords.numpy(), rtol=1e-6)


@pytest.mark.parametrize("framework", ["torch", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_streaming_training_small_dataset(framework: str) -> None:
    scan = simulate(Simulation(rows=5, columns=6, frame_px=16, step_px=2, dose=1e5))
    raw = RawData.from_scan(scan)
    grouped = raw.generate_grouped_data(16, nsamples=None, gridsize=2)
    container = load(lambda: grouped, raw.probeGuess, framework=framework)
    with params.override():
        streamed, held = (train(2, container, use_streaming=choice, seed=4) for choice in (True, False))
    assert streamed.model.framework == framework
    np.testing.assert_allclose(streamed.history["loss"], held.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(streamed.history["val_loss"], held.history["val_loss"], rtol=1e-5)
    assert container._tensors == {}
