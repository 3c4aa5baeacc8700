"""Scores of one image against the true one."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.images import compare_images, psnr_255, ssim_ancestor


def draw_image(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float64]:
    grain = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    image: NDArray[np.float64] = 1 + grain / grain.std() / 4
    return image


def ssim_by_windows(a: NDArray[np.float64], b: NDArray[np.float64], data_range: float) -> float:
    """The definition, window by window."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for y, x in np.ndindex(a.shape[0] - 6, a.shape[1] - 6):
        one, other = a[y : y + 7, x : x + 7].ravel(), b[y : y + 7, x : x + 7].ravel()
        (var_a, cov), (_, var_b) = np.cov(one, other)
        means = 2 * one.mean() * other.mean() + c1, one.mean() ** 2 + other.mean() ** 2 + c1
        values.append(means[0] / means[1] * (2 * cov + c2) / (var_a + var_b + c2))
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(200, 181), (64, 64), (31, 90), (7, 9)])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_identical_images_differ_in_nothing(shape: tuple[int, int], dtype: type[np.generic]) -> None:
    image = draw_image(shape) * np.exp(1j * draw_image(shape, 1))
    image = np.asarray(image if dtype is np.complex64 else image.real, dtype)
    found = compare_images(image, image.copy())
    assert (found.mae, found.mse, found.psnr) == (0, 0, None)
    assert found.ssim == pytest.approx(1, abs=1e-12)
    assert found.undefined["psnr"] == "the images are identical: it has no bound"
    if min(shape) >= 11 * 16:
        assert found.ms_ssim == pytest.approx(1, abs=1e-12)
    else:
        assert (found.ms_ssim, "coarsest of 5 scales" in found.undefined["ms_ssim"]) == (None, True)


@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_the_index_is_its_definition_in_every_window(noise: float) -> None:
    truth = draw_image((22, 31))
    found = truth + noise * np.random.default_rng(5).standard_normal(truth.shape)
    scores = compare_images(truth, found)
    assert scores.data_range == pytest.approx(np.ptp(truth))
    assert scores.ssim == pytest.approx(ssim_by_windows(truth, found, float(np.ptp(truth))), abs=1e-12)
    assert scores.mse == pytest.approx(np.square(truth - found).mean())
    assert scores.psnr == pytest.approx(10 * np.log10(np.ptp(truth) ** 2 / scores.mse))


def test_over_five_scales_a_weaker_image_loses_by_its_factor_at_each() -> None:
    """For B = cA and a range so small that its constants vanish, every term is 2c / (1 + c²)."""
    truth, c = draw_image((200, 190)), 0.4
    found = compare_images(truth, c * truth, data_range=1e-7)
    term = 2 * c / (1 + c**2)
    assert found.ssim == pytest.approx(term**2, rel=1e-9)
    assert found.ms_ssim == pytest.approx(term ** (0.0448 + 0.2856 + 0.3001 + 0.2363 + 2 * 0.1333), rel=1e-6)
    assert compare_images(truth, -truth, data_range=1.0).ms_ssim == 0


def test_unrelated_images_are_not_similar() -> None:
    values = [compare_images(draw_image((60, 70), 2 * n), draw_image((60, 70), 2 * n + 1)).ssim for n in range(20)]
    assert None not in values
    worst = float(np.mean(np.array(values, float)))
    assert 0 < worst < 0.5  # what is left is the mean, which both have
    centred = [draw_image((60, 70), n) - 1 for n in (1, 2)]
    assert abs(compare_images(centred[0], centred[1]).ssim or 1) < 0.1


def test_a_common_phase_changes_nothing_and_real_images_may_come_as_complex_ones() -> None:
    a, b = draw_image((180, 190)), draw_image((180, 190)) + 0.2 * draw_image((180, 190), 4)
    once, turned = (compare_images(np.exp(1j * (a + t)), np.exp(1j * (b + t))) for t in (0.0, 2.5))
    real, as_complex = compare_images(a, b, data_range=2.0), compare_images(a + 0j, b + 0j, data_range=2.0)
    for one, other in ((once, turned), (real, as_complex)):
        for field in dataclasses.fields(one)[:5]:
            assert getattr(one, field.name) == pytest.approx(getattr(other, field.name), rel=1e-9), field.name
    assert once.data_range == pytest.approx(2)
    wrapped = compare_images(np.exp(1j * a), np.exp(1j * (a + 2 * np.pi)))
    assert wrapped.mae == pytest.approx(0, abs=1e-12)


def test_what_lies_outside_the_region_counts_nowhere() -> None:
    truth, found = draw_image((40, 50)), draw_image((40, 50)) + 0.1 * draw_image((40, 50), 7)
    region = np.zeros(truth.shape, bool)
    region[5:31, 8:44] = True
    box = compare_images(truth[5:31, 8:44], found[5:31, 8:44])
    spoilt = np.where(region, found, np.nan)
    scores = compare_images(truth, spoilt, region)
    for name in ("mae", "mse", "psnr", "ssim", "data_range"):
        assert getattr(scores, name) == pytest.approx(getattr(box, name), rel=1e-12), name


def test_what_is_undefined_says_why() -> None:
    narrow = compare_images(draw_image((6, 90)), draw_image((6, 90), 1))
    assert (narrow.ssim, narrow.undefined["ssim"]) == (None, "no window of 7 px lies in the region")
    flat = compare_images(np.ones((20, 20)), draw_image((20, 20)))
    assert (flat.psnr, flat.ssim, flat.ms_ssim) == (None, None, None)
    assert set(flat.undefined.values()) == {"the truth is constant: there is no data range"}


def test_the_scores_of_old_tables() -> None:
    truth = draw_image((40, 50)) * np.exp(1j * draw_image((40, 50), 2))
    noisy = np.abs(truth) + 0.1 * draw_image((40, 50), 3)
    assert ssim_ancestor(truth, 0.02 * truth) == pytest.approx(1, abs=1e-9)
    scaled = noisy * np.abs(truth).mean() / noisy.mean()
    assert ssim_ancestor(truth, 7 * noisy) == pytest.approx(compare_images(np.abs(truth), scaled).ssim or 0, abs=1e-9)
    assert psnr_255(0.01) == pytest.approx(20 + 48.13, abs=0.01)  # against a range of 1


def test_images_that_do_not_fit_are_refused() -> None:
    image = draw_image((20, 30))
    with pytest.raises(ShapeError, match=r"image scores: expected .* found \(20, 30\), \(30, 20\)"):
        compare_images(image, image.T)
    with pytest.raises(ShapeError, match="with 0 known"):
        compare_images(image, image, np.zeros(image.shape, bool))
    with pytest.raises(ShapeError, match=r"found NaN or infinity in \(20, 30\)"):
        compare_images(image, np.where(image > 1, np.nan, image))
