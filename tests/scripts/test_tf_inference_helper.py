"""Inference under its published names: one signature and one result in both frameworks, whatever the chunk."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ptycho import params
from ptycho.archive import load_arrays
from ptycho.compat.inference import reconstruct
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, ShapeError
from ptycho.loader import PtychoDataContainer, load
from ptycho.metrics.gauge import illumination
from ptycho.model import PtychoModel, create_model_with_gridsize, train
from ptycho.physics import make_canvas
from ptycho.raw_data import RawData
from ptycho.workflows import components
from ptycho_torch.inference import _run_inference_and_reconstruct
from scripts.inference.inference import (
    _run_tf_inference_and_reconstruct,
    extract_ground_truth,
    main,
    perform_inference,
)


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Put the published settings back."""
    with params.override():
        yield


@pytest.fixture(scope="module")
def raw() -> RawData:
    settings = Simulation(
        rows=6, columns=8, frame_px=20, step_px=3, dose=1e6, object="shapes", modes=1, known_probe=True
    )
    return RawData.from_scan(simulate(settings))


def group(raw: RawData, gridsize: int, **options: int) -> PtychoDataContainer:
    grouped = raw.generate_grouped_data(raw.frame_shape[1], nsamples=None, gridsize=gridsize, **options)
    return load(lambda: grouped, raw.probeGuess, framework="torch")


def learn(raw: RawData, gridsize: int, model_type: str = "pinn") -> PtychoModel:
    model = create_model_with_gridsize(gridsize, 20, framework="torch", n_filters_scale=1, model_type=model_type)
    with params.override():
        return train(1, group(raw, gridsize), model).model


@pytest.fixture(scope="module")
def model(raw: RawData) -> PtychoModel:
    return learn(raw, 2)


def join(images: tuple[np.ndarray, ...]) -> np.ndarray:
    return images[0] * np.exp(1j * images[1])


class TestTFInferenceHelper:
    """What `_run_tf_inference_and_reconstruct` and its twin promise."""

    def test_the_twins_have_one_signature(self) -> None:
        signature = inspect.signature(_run_tf_inference_and_reconstruct)
        assert list(signature.parameters)[:3] == ["model", "raw_data", "config"]
        assert str(signature) == str(inspect.signature(_run_inference_and_reconstruct)).replace(
            "NDArray[np.float32]", "Image"
        )

    def test_the_twins_have_one_result(self, model: PtychoModel, raw: RawData) -> None:
        ours = join(_run_tf_inference_and_reconstruct(model, raw, quiet=True))
        twins = join(_run_inference_and_reconstruct(model, raw, quiet=True))
        assert ours.shape == make_canvas(raw.probe_positions, raw.frame_shape).shape
        assert np.abs(ours - twins).max() <= 1e-4 * np.abs(twins).max()

    @pytest.mark.parametrize(("kind", "gridsize"), [("pinn", 2), ("supervised", 1)])
    def test_any_chunk_gives_the_unchunked_result(self, raw: RawData, kind: str, gridsize: int) -> None:
        model = learn(raw, gridsize, kind)
        whole = join(_run_inference_and_reconstruct(model, raw, quiet=True, chunk=1000))
        for chunk in (1, 7):
            part = join(_run_inference_and_reconstruct(model, raw, quiet=True, chunk=chunk))
            assert np.abs(part - whole).max() <= 1e-5 * np.abs(whole).max()
        for chunk in (0, 1.5):
            with pytest.raises(ConfigError, match=f"chunk: expected a whole number >= 1, found {chunk}"):
                _run_inference_and_reconstruct(model, raw, quiet=True, chunk=chunk)

    @pytest.mark.slow
    def test_any_chunk_gives_the_unchunked_result_in_tensorflow(self, model: PtychoModel, raw: RawData) -> None:
        whole, part = (join(_run_tf_inference_and_reconstruct(model, raw, quiet=True, chunk=size)) for size in (100, 7))
        assert np.abs(part - whole).max() <= 1e-5 * np.abs(whole).max()

    def test_the_object_lies_on_the_canvas_of_the_positions(self, model: PtychoModel, raw: RawData) -> None:
        found = join(_run_inference_and_reconstruct(model, raw, quiet=True))
        canvas = make_canvas(raw.probe_positions, raw.frame_shape)
        y, x = canvas.origin.astype(int)
        truth = raw.objectGuess[y : y + canvas.shape[0], x : x + canvas.shape[1]]
        light = illumination(raw.probeGuess, raw.probe_positions, canvas.origin, canvas.shape)
        lit = light > 0.3 * light.max()

        def agree(known: np.ndarray) -> float:
            return float(abs(np.vdot(known[lit], found[lit])) / np.linalg.norm(known[lit]) / np.linalg.norm(found[lit]))

        right = agree(truth)
        assert right > 0.97
        moved = [agree(np.roll(truth, step, axis)) for step in (-2, 2) for axis in (0, 1)]
        assert right > max(*moved, agree(truth[::-1]), agree(truth[:, ::-1]), agree(truth.conj()))

    def test_fewer_groups_and_other_neighbours_change_the_result(self, model: PtychoModel, raw: RawData) -> None:
        whole = join(_run_inference_and_reconstruct(model, raw, quiet=True))
        for options in ({"nsamples": 20}, {"K": 8}, {"seed": 1}):
            other = join(_run_inference_and_reconstruct(model, raw, quiet=True, **options))
            assert other.shape == whole.shape
            assert (other != whole).any()

    def test_settings_and_frames_of_another_model_are_refused(self, model: PtychoModel, raw: RawData) -> None:
        wrong = ModelConfig(N=20, gridsize=1)
        for config in ({"N": 64}, InferenceConfig(wrong), TrainingConfig(wrong), wrong):
            with pytest.raises(ConfigError, match=r"config: (N|gridsize): expected (20|2), that of the model"):
                _run_inference_and_reconstruct(model, raw, config, quiet=True)
        with pytest.raises(ConfigError, match=r"config: expected a record of ptycho\.config\.config, .* found 64"):
            _run_inference_and_reconstruct(model, raw, 64, quiet=True)
        other = RawData.from_scan(simulate(Simulation(rows=4, columns=4, frame_px=16)))
        with pytest.raises(ShapeError, match=r"expected frames \(20, 20\).*found \(16, 16\)"):
            _run_inference_and_reconstruct(model, other, quiet=True)

    def test_brighter_frames_are_warned_of(self, model: PtychoModel, raw: RawData) -> None:
        bright = RawData.from_coords_without_pc(raw.xcoords, raw.ycoords, 3 * raw.diff3d, raw.probeGuess)
        with pytest.warns(UserWarning, match="the frames are 3 times as bright"):
            _run_inference_and_reconstruct(model, bright, quiet=True)
        scaled_as_in_training = group(bright, 2, K=5, normalisation=model.bundle.illumination.normalisation)
        with pytest.warns(UserWarning, match="the frames are 3 times as bright"):
            reconstruct(model, scaled_as_in_training)

    def test_the_known_object_is_there_or_not(self, raw: RawData) -> None:
        amplitude, phase = extract_ground_truth(raw)
        np.testing.assert_allclose(join((amplitude, phase)), raw.objectGuess, atol=1e-6)
        arrays = raw.xcoords, raw.ycoords, raw.diff3d, raw.probeGuess, None
        assert extract_ground_truth(RawData.from_coords_without_pc(*arrays)) is None
        assert extract_ground_truth(RawData.from_coords_without_pc(*arrays, np.ones((50, 50)))) is None

    def test_the_older_name_warns_and_gives_the_same(self, model: PtychoModel, raw: RawData) -> None:
        container = group(raw, 2, K=5, seed=45)
        with pytest.warns(DeprecationWarning, match="_run_tf_inference_and_reconstruct") as caught:
            found = components.perform_inference(model, container, {}, None, quiet=True)
        assert [warning.filename for warning in caught] == [__file__]
        with pytest.warns(DeprecationWarning, match="is deprecated"):
            other = components.perform_inference(model, raw, quiet=True)
        np.testing.assert_allclose(join(found), join(_run_inference_and_reconstruct(model, raw, quiet=True)), atol=1e-5)
        np.testing.assert_allclose(join(other), join(found), atol=1e-5)

    @pytest.mark.slow
    def test_the_deprecated_wrapper_adds_the_known_object(
        self, model: PtychoModel, raw: RawData, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.warns(DeprecationWarning, match="perform_inference is deprecated") as caught:
            amplitude, phase, *known = perform_inference(model, raw, {"N": 20, "gridsize": 2}, 5, None)
        assert [warning.filename for warning in caught] == [__file__]
        expected = join(_run_tf_inference_and_reconstruct(model, raw, quiet=True))
        assert np.abs(join((amplitude, phase)) - expected).max() <= 1e-6
        np.testing.assert_array_equal(known, extract_ground_truth(raw))
        captured = capsys.readouterr()
        assert (captured.out, "48 of 48 groups" in captured.err) == ("", True)

    def test_the_command_writes_images_and_pictures(
        self, model: PtychoModel, raw: RawData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model.save(tmp_path / "model")
        raw.save(tmp_path / "scan.npz")
        options = ["--test_data", str(tmp_path / "scan.npz"), "--output_dir", str(tmp_path / "out"), "--quiet"]
        argv = ["--model_path", str(tmp_path / "model"), *options, "--framework", "torch", "--chunk", "9"]
        assert main(argv) == 0
        images = load_arrays(tmp_path / "out/reconstruction.npz")
        expected = _run_inference_and_reconstruct(model, raw, quiet=True)
        np.testing.assert_allclose(join((images["amplitude"], images["phase"])), join(expected), atol=1e-5)
        for name in ("amplitude", "phase"):
            assert (tmp_path / f"out/reconstructed_{name}.png").read_bytes().startswith(b"\x89PNG")
        assert main(["--model_path", str(tmp_path / "nowhere"), *options]) == 1
        assert "nowhere: expected a bundle" in capsys.readouterr().err
        assert main([*argv, "--output_dir", str(tmp_path / "scan.npz")]) == 1
        assert "scan.npz" in capsys.readouterr().err
