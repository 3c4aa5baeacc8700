"""`ptycho evaluate` on a small simulated scan, run as users run it."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from ptycho.cli import main
from ptycho.data import FrameSet, Scan, find_held_out, load_scan, select_frames
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import DataError
from ptycho.figures import render_page
from ptycho.figures.curves import draw_convergence
from ptycho.figures.style import make_figure, render_figure, show_image
from ptycho.metrics.measure import measure
from ptycho.metrics.spoil import Spoil, spoil_result
from ptycho.metrics.summarise import summarise
from ptycho.physics import predict_intensity
from ptycho.reconstruction import Reconstruction, load_reconstruction, save_reconstruction

EPOCHS = "40"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan file and the three reconstructions that evaluate wants."""
    folder = tmp_path_factory.mktemp("evaluate")
    small = ["--grid", "12x13", "--frame-px", "48", "--step-px", "4", "--dose", "2e5"]
    assert main(["simulate", "--out", str(folder / "scan.npz"), *small]) == 0
    for which in ("train", "half-a", "half-b", "all"):
        flags = ["--frames", which, "--epochs", EPOCHS, "--out", str(folder / which)]
        assert main(["reconstruct", str(folder / "scan.npz"), *flags]) == 0
    return folder


def evaluate(folder: Path, out: Path, *flags: str) -> int:
    """Run the command on the three reconstructions."""
    halves = ["--half-a", str(folder / "half-a"), "--half-b", str(folder / "half-b")]
    command = ["evaluate", str(folder / "scan.npz"), "--train", str(folder / "train"), *halves]
    return main([*command, "--out", str(out), *flags])


def load(folder: Path, which: str) -> Reconstruction:
    """Return one of the reconstructions."""
    return load_reconstruction(folder / which / "reconstruction.npz")


def test_scores_figures_and_a_page_are_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(folder, tmp_path, "--star")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert code == (0 if metrics["passed"] else 1)
    assert ("all criteria met" if metrics["passed"] else "refused: ") in capsys.readouterr().out
    sizes = json.loads((tmp_path / "figures.json").read_text())
    assert set(sizes) == {"object", "probe", "star", "frc", "held_out", "convergence", "truth"}
    page = (tmp_path / "summary.md").read_text()
    for name, size in sizes.items():
        content = (tmp_path / f"{name}.png").read_bytes()
        assert content.startswith(PNG)
        assert len(content) == size <= 300_000
        assert f"({name}.png)" in page
    assert "nan" not in re.findall(r"\w+", page.lower())


def test_a_good_reconstruction_of_a_known_object_scores_well(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path, "--scores-only")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json"]
    assert 1 < metrics["fidelity"]["held_out"]["error_over_expected"] < 2.3
    assert 1 < metrics["fidelity"]["held_out"]["deviance_over_expected"] < 2.8
    assert metrics["fidelity"]["gain_over_mean_frame"] > 4.2
    assert metrics["half_sets"]["half_bit"]["frequency"] > 0.15
    alone = [metrics["half_sets"][f"held_out_{half}"]["deviance_over_expected"] for half in "ab"]
    assert metrics["half_sets"]["worst_deviance_over_expected"] == max(alone) < 3.2
    assert metrics["criteria"]["spokes"]["passed"] is None  # nobody said that it is a star
    assert metrics["truth"]["phase_correlation"] > 0.95
    assert metrics["truth"]["amplitude_correlation"] > 0.9
    assert min(metrics["truth"][image]["ssim"] for image in ("amplitude", "phase")) > 0.5
    assert "coarsest of 5 scales" in metrics["undefined"]["truth.phase.ms_ssim"]
    assert np.abs(metrics["truth"]["shift_px"]).max() < 0.5


def test_numbers_in_the_files_decide_nothing(folder: Path, tmp_path: Path) -> None:
    honest = load(folder, "train")
    scan = load_scan(folder / "scan.npz")
    forged = dataclasses.replace(
        honest,
        history=(1e-9,),
        probe_positions=honest.probe_positions + 3,
        coverage=np.ones_like(honest.coverage),
        options={"fourier_error": 0.0},
    )
    assert summarise(measure(scan, forged)) == summarise(measure(scan, honest))
    worse = dataclasses.replace(honest, object=np.ones_like(honest.object))
    assert summarise(measure(scan, worse)).fidelity.gain_over_mean_frame < 1.5


@pytest.mark.parametrize("spoil", ["blurred", "noisy"])
def test_a_result_made_worse_is_refused_by_a_proper_score(folder: Path, tmp_path: Path, spoil: str) -> None:
    """The blurred one of a star passed, while only the ratio to its own expectation was looked at."""
    scores = {}
    for name in ("none", spoil):
        code = evaluate(folder, tmp_path / name, "--scores-only", "--spoil", name)
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        assert metrics["spoilt"] == name
        assert code == (0 if metrics["passed"] is (name == "none") else 1)
        scores[name] = metrics["fidelity"]["gain_over_mean_frame"]
    assert scores[spoil] < 0.8 * scores["none"]


def test_halves_that_agree_but_do_not_explain_the_data_are_refused(folder: Path) -> None:
    scan = load_scan(folder / "scan.npz")
    first, second = (spoil_result(load(folder, half), Spoil.BLURRED) for half in ("half-a", "half-b"))
    metrics = summarise(measure(scan, load(folder, "train"), (first, second)))
    assert metrics.criteria["deviance"].passed
    assert metrics.criteria["half_sets"].passed
    assert metrics.criteria["half_sets_held_out"].passed is False
    assert "1 of 5 criteria are not met: `half_sets_held_out`." in render_page(metrics, ())


def test_the_refit_is_scored_and_handed_over_in_its_gauge(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path, "--all", str(folder / "all"))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    scan = load_scan(folder / "scan.npz")
    assert metrics["refit"]["fit"]["n_frames"] == scan.n_frames
    assert metrics["refit"]["mean_correlation"] > 0.7
    result = load_reconstruction(tmp_path / "result.npz")
    assert result.frames.size == scan.n_frames
    covered = result.coverage >= 0.1 * result.coverage.max()
    assert np.median(np.abs(result.object[covered])) == pytest.approx(1, abs=1e-4)
    predicted = predict_intensity(result.object, result.origin, result.probe, scan.probe_positions)
    assert predicted.sum() == pytest.approx(scan.diffraction.sum(), rel=1e-3)


def test_power_of_the_probe_times_transmission_is_the_mean_counts(folder: Path) -> None:
    scan = load_scan(folder / "scan.npz")
    honest = load(folder, "train")
    dim = dataclasses.replace(honest, probe=honest.probe / 2)
    gauge = summarise(measure(scan, dim)).gauge
    counts = scan.select(honest.frames).photons_per_frame
    assert gauge.probe_power * gauge.mean_transmission == pytest.approx(counts, rel=0.005)


def test_a_reconstruction_that_saw_the_held_out_frames_is_refused(folder: Path) -> None:
    scan = load_scan(folder / "scan.npz")
    everything = select_frames(scan, FrameSet.ALL)
    greedy = dataclasses.replace(
        load(folder, "train"), frames=everything, probe_positions=scan.probe_positions[everything]
    )
    with pytest.raises(DataError, match="outside the set; make it with: reconstruct --frames train"):
        measure(scan, greedy)


def test_the_same_half_twice_is_refused(folder: Path) -> None:
    half = load(folder, "half-a")
    with pytest.raises(DataError, match="reconstruct --frames half-b"):
        measure(load_scan(folder / "scan.npz"), load(folder, "train"), (half, half))


def test_data_that_are_no_counts_are_refused(folder: Path) -> None:
    scan = load_scan(folder / "scan.npz")
    with pytest.raises(DataError, match="expected photon counts, found intensity"):
        measure(dataclasses.replace(scan, kind=type(scan.kind)("intensity")), load(folder, "train"))


def test_one_half_alone_is_wrong_usage(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--train", str(folder / "train"), "--half-a", str(folder / "half-a"), "--out", str(tmp_path)]
    assert main(["evaluate", str(folder / "scan.npz"), *flags]) == 2
    assert "expected both or neither" in capsys.readouterr().err


def test_without_halves_reproducibility_is_undefined_and_does_not_pass(folder: Path) -> None:
    metrics = summarise(measure(load_scan(folder / "scan.npz"), load(folder, "train")))
    assert metrics.half_sets is None
    assert metrics.undefined["half_sets"] == "no half-set reconstructions were given"
    assert not metrics.criteria["half_sets"].passed
    page = render_page(metrics, ())
    assert "Reproducibility is unknown: no half-set reconstructions were given." in page
    assert "| undefined |" in page
    assert "![" not in page


def test_a_spoilt_scan_is_done_when_it_is_refused(folder: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    for which in ("train", "half-a", "half-b"):
        flags = ["--frames", which, "--epochs", "3", "--sabotage", "shuffled", "--out", str(spoilt / which)]
        assert main(["reconstruct", str(folder / "scan.npz"), *flags]) == 0
    command = ["evaluate", str(folder / "scan.npz"), "--sabotage", "shuffled", "--train", str(spoilt / "train")]
    halves = ["--half-a", str(spoilt / "half-a"), "--half-b", str(spoilt / "half-b")]
    assert main([*command, *halves, "--out", str(tmp_path / "out"), "--scores-only"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["passed"] is False
    assert metrics["scan"]["sabotage"] == "shuffled"


def test_the_evaluation_is_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate(folder, tmp_path / name, "--scores-only")
    assert (tmp_path / "a" / "metrics.json").read_bytes() == (tmp_path / "b" / "metrics.json").read_bytes()


def test_a_pixel_size_turns_periods_and_bars_into_lengths(folder: Path, tmp_path: Path) -> None:
    scan = dataclasses.replace(load_scan(folder / "scan.npz"), pixel_size_m=2e-8)
    halves = (load(folder, "half-a"), load(folder, "half-b"))
    metrics = summarise(measure(scan, load(folder, "train"), halves))
    assert metrics.half_sets is not None
    crossing = metrics.half_sets.half_bit
    assert crossing.period_px is not None
    assert crossing.period_nm == pytest.approx(20 * crossing.period_px)


@pytest.fixture(scope="module")
def exact() -> tuple[Scan, Reconstruction]:
    """A scan whose probe guess is the probe, and the true object with it, as a reconstruction."""
    scan = simulate(Simulation(rows=9, columns=9, frame_px=32, step_px=3.0, dose=1e5, spokes=8))
    assert scan.object_truth is not None
    frames = select_frames(scan, FrameSet.TRAIN)
    return scan, Reconstruction(
        object=scan.object_truth,
        probe=scan.probe,
        origin=scan.truth_origin,
        probe_positions=scan.probe_positions[frames],
        frames=frames,
        coverage=np.ones(scan.object_truth.shape, np.float32),
    )


def test_without_a_history_there_is_no_convergence_figure(exact: tuple[Scan, Reconstruction]) -> None:
    assert draw_convergence(measure(*exact)) is None


def test_a_reconstruction_survives_the_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "again.npz"
    save_reconstruction(path, load(folder, "train"))
    scan = load_scan(folder / "scan.npz")
    assert summarise(measure(scan, load_reconstruction(path))) == summarise(measure(scan, load(folder, "train")))


def test_the_average_frame_is_that_of_the_training_frames(folder: Path) -> None:
    scan = load_scan(folder / "scan.npz")
    train, held_out = select_frames(scan, FrameSet.TRAIN), find_held_out(scan)
    mean = scan.diffraction[train].mean(axis=0, dtype=np.float64)
    frames = scan.diffraction[held_out].astype(np.float64)
    model = mean * (frames.sum(axis=(1, 2)) / mean.sum())[:, None, None]
    expected = np.square(np.sqrt(frames) - np.sqrt(model)).sum() / frames.sum()
    found = measure(scan, load(folder, "train")).mean_frame.fourier_error
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_frame_shown_has_its_factor(folder: Path) -> None:
    fit = measure(load_scan(folder / "scan.npz"), load(folder, "train")).held_out
    assert fit.example_model.sum() == pytest.approx(fit.example.sum(), rel=1e-4)
    assert fit.factors.std() > 0


def test_a_figure_of_noise_stays_small() -> None:
    figure = make_figure(9, 9)
    noise = np.random.default_rng(0).standard_normal((700, 700))
    show_image(figure.subplots(), noise, {"cmap": "magma"}, title="noise", unit="a. u.")
    content = render_figure(figure)
    assert content.startswith(PNG)
    assert len(content) <= 300_000
