"""Training on a scan as a user has it: small, of other units, with choices written as words."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from ptycho.data import DataKind, Scan
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.inference import infer
from ptycho.nets import NetworkKind, illuminate
from ptycho.train import TrainOptions
from ptycho.train.scan import Recipe, train_scan

SMALL: dict[str, Any] = {"stages": 1, "projections": 2, "filters": 4, "device": "cpu"}
ONCE = TrainOptions(epochs=1, warm_up_steps=0)


@pytest.fixture(scope="module")
def scan() -> Scan:
    settings = Simulation(
        rows=3, columns=8, frame_px=20, step_px=3, dose=1e5, object="shapes", modes=1, known_probe=True
    )
    return simulate(settings)


@pytest.mark.parametrize(("frames", "gridsize", "kept"), [(24, 2, 4), (8, 1, 4), (5, 2, 0), (18, 3, 9)])
def test_a_scan_of_a_few_frames_is_learned_from(scan: Scan, frames: int, gridsize: int, kept: int) -> None:
    few = scan.select(np.arange(frames))
    bundle, history = train_scan(few, None, Recipe(gridsize=gridsize, **SMALL), ONCE)
    assert (bundle.training["frames"], bundle.training["validation_frames"]) == (frames - kept, kept)
    assert (history.epochs[0].validation_loss is None) == (kept == 0)
    assert np.isfinite(infer(bundle, few).object).all()


def test_fewer_frames_than_a_group_are_refused(scan: Scan) -> None:
    with pytest.raises(DataError, match="expected at least 4 frames"):
        train_scan(scan.select([0, 1, 2]), None, Recipe(**SMALL), ONCE)
    with pytest.raises(ConfigError, match="patience: expected validation examples"):
        train_scan(scan.select(np.arange(5)), None, Recipe(**SMALL), replace(ONCE, patience=1))


def test_choices_may_be_words(scan: Scan) -> None:
    bundle, _ = train_scan(scan, None, Recipe(kind="supervised", **SMALL), ONCE)
    assert bundle.specification.kind is NetworkKind.SUPERVISED
    with pytest.raises(ConfigError, match="expected counts for the Poisson loss, found intensity"):
        train_scan(replace(scan, kind=DataKind.INTENSITY), None, Recipe(loss="poisson", **SMALL), ONCE)
    for wrong in ({"kind": "unet"}, {"loss": "mae"}, *({"validation": v} for v in (0, 1.0, True, "0.1", np.nan))):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected"):
            Recipe(**wrong)


class Watched(np.ndarray):
    """Frames that note how many of them are asked for at a time."""

    asked: ClassVar[list[int]] = []

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if found.ndim >= 3:
            self.asked.append(found.size // (20 * 20))
        return found


def test_frames_stay_where_they_lie_and_may_be_chosen_by_a_mask(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptycho.data.rows.SLAB_PIXELS", 8 * 20 * 20)
    watched = replace(scan, diffraction=scan.diffraction.view(Watched))
    options = replace(ONCE, batch_size=2, use_streaming=True)
    chosen = np.arange(24) % 8 > 1
    Watched.asked.clear()
    masked, history = train_scan(watched, chosen, Recipe(**SMALL), options)
    assert max(Watched.asked) == 8
    assert masked.training["frames"] + masked.training["validation_frames"] == 18
    _, expected = train_scan(scan.select(chosen), None, Recipe(**SMALL), options)
    assert history == expected


def test_light_that_a_beam_stop_hides_is_not_missing_in_the_object(scan: Scan) -> None:
    mask = np.ones(scan.frame_shape, bool)
    mask[8:12, 8:12] = False
    clear, stopped = (
        illuminate(scan.probe, fit_normalisation(scan.diffraction, seen), seen) for seen in (np.ones_like(mask), mask)
    )
    hidden = 1 - stopped.normalisation.mean_intensity / clear.normalisation.mean_intensity
    assert hidden > 0.3
    photons = [np.sum(np.abs(light.probe) ** 2) / light.normalisation.scale**2 for light in (clear, stopped)]
    assert photons[1] == pytest.approx(photons[0], rel=0.15)
    with pytest.raises(ShapeError, match="power > 0 on the valid pixels"):
        illuminate(0 * scan.probe, clear.normalisation, mask)
