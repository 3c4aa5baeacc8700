"""What a network is, as data: its canvas, its layers, its first weights."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.nets import NetworkKind, Specification, TrainingLoss, specify
from ptycho.nets.layers import check_weights, list_layers, start_weights


@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_a_canvas_holds_every_frame_of_every_group_in_multiples_of_four(
    gridsize: int, make_offsets: Callable, make_probe: Callable
) -> None:
    offsets = make_offsets(gridsize)
    found = specify(make_probe(), offsets, gridsize=gridsize)
    whole = np.abs(np.floor(offsets + 0.5)).max(axis=(0, 1))
    held = found.merged_shape if gridsize == 1 else found.canvas_shape
    assert all(size >= frame + 2 * reach for size, frame, reach in zip(held, (21, 34), whole, strict=True))
    assert all(size % 4 == 0 for size in (*found.canvas_shape, *found.window_shape, *found.merged_shape))
    assert found.group_size == gridsize**2
    assert found.overlap == max(4, gridsize**2)
    assert found.holding(offsets if gridsize > 1 else np.zeros((3, 1, 2))) == found


def test_the_window_is_what_the_beam_can_light_and_no_more(make_offsets: Callable, make_probe: Callable) -> None:
    offsets = make_offsets(2)
    narrow, wide = make_probe((64, 64)), np.ones((1, 64, 64), complex)
    lit = specify(narrow, offsets)
    assert lit.window_shape < lit.canvas_shape
    assert specify(wide, offsets).window_shape == lit.canvas_shape


def test_a_canvas_grows_for_groups_that_reach_further_and_never_shrinks(
    make_offsets: Callable, make_probe: Callable
) -> None:
    offsets = make_offsets(2)
    found = specify(make_probe(), offsets)
    further = found.holding(offsets + np.sign(offsets) * 9)
    assert further.canvas_shape > found.canvas_shape
    assert further.merged_shape == further.canvas_shape
    assert found.holding(offsets / 5) == found
    grown = np.array(further.canvas_shape) - found.canvas_shape
    assert (np.array(further.window_shape) - found.window_shape == grown).all()


@pytest.mark.parametrize("offset", [1e7, 1e300, np.inf, np.nan])
def test_offsets_that_cannot_be_pixels_are_refused(offset: float, make_offsets: Callable, make_probe: Callable) -> None:
    offsets = make_offsets(2)
    found = specify(make_probe(), offsets)
    offsets[3, 1, 0] = offset
    with pytest.raises(ShapeError, match=r"offsets: expected finite pixels of the object, found .* another unit\?"):
        found.holding(offsets)
    with pytest.raises(ShapeError, match=r"offsets: expected finite pixels of the object, found .* another unit\?"):
        specify(make_probe(), offsets)


def test_a_specification_survives_json(make_offsets: Callable, make_probe: Callable) -> None:
    found = specify(make_probe(), make_offsets(1), gridsize=1, kind="supervised", loss="poisson", stages=2, filters=5)
    again = Specification.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert isinstance(again.kind, NetworkKind)
    assert isinstance(again.loss, TrainingLoss)
    assert hash(again) == hash(found)


@pytest.mark.parametrize(
    "change",
    [{"stages": 0}, {"filters": 2.5}, {"canvas_shape": (50, 52)}, {"window_shape": (400, 400)}, {"overlap": 7}],
)
def test_values_that_cannot_be_had_are_refused_with_their_name(
    change: dict, make_offsets: Callable, make_probe: Callable
) -> None:
    found = specify(make_probe(), make_offsets(2))
    with pytest.raises(ConfigError, match=r"network: .*expected .*found"):
        replace(found, **change)
    values = found.to_json() | {name: list(v) if isinstance(v, tuple) else v for name, v in change.items()}
    with pytest.raises(DataError, match="network: expected"):
        Specification.from_json(values)


def test_a_specification_with_unknown_or_missing_names_is_refused(make_offsets: Callable, make_probe: Callable) -> None:
    values = specify(make_probe(), make_offsets(2)).to_json()
    for wrong in (values | {"depth": 3}, {name: v for name, v in values.items() if name != "stages"}):
        with pytest.raises(DataError, match="another version"):
            Specification.from_json(wrong)


def test_groups_smaller_than_the_gridsize_asks_for_are_refused(make_offsets: Callable, make_probe: Callable) -> None:
    with pytest.raises(ShapeError, match="at least 9 frames for gridsize 3"):
        specify(make_probe(), make_offsets(2), gridsize=3)


def test_first_weights_repeat_with_their_seed_and_correct_nothing(make_offsets: Callable, make_probe: Callable) -> None:
    found = specify(make_probe(), make_offsets(2), filters=6)
    one, again, other = start_weights(found, 1), start_weights(found, 1), start_weights(found, 2)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["0.first.kernel"], other["0.first.kernel"])
    assert not np.array_equal(one["0.first.kernel"], one["1.first.kernel"])
    assert not any(one[f"{stage}.last.{part}"].any() for stage in range(3) for part in ("kernel", "bias"))
    fan_in = {layer.name: layer.size**2 * layer.inputs for layer in list_layers(found)}
    assert all(np.abs(one[f"0.{name}.kernel"]).max() <= 1 / np.sqrt(count) for name, count in fan_in.items())
    check_weights(found, one)


def test_weights_of_another_network_are_refused_by_name_and_shape(make_offsets: Callable, make_probe: Callable) -> None:
    found = specify(make_probe(), make_offsets(2), filters=6)
    weights = start_weights(found)
    with pytest.raises(ShapeError, match=r"missing \['0.up.bias'\]"):
        check_weights(found, {name: value for name, value in weights.items() if name != "0.up.bias"})
    with pytest.raises(ShapeError, match=r"0.fine.kernel: expected \(3, 3, 6, 6\), found \(3, 3, 6, 5\)"):
        check_weights(found, weights | {"0.fine.kernel": weights["0.fine.kernel"][..., :5]})
    with pytest.raises(ShapeError, match=r"0\.fine\.bias: expected finite"):
        check_weights(found, weights | {"0.fine.bias": np.full(6, np.nan)})
