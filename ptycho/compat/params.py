"""`ptycho.params`: the published dictionary of settings, a view for code that expects one.

No function of the library reads it; the published entry points resolve its values and pass them on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from ptycho.errors import ConfigError

__all__ = ["DEFAULTS", "Parameters", "cfg", "get", "get_bigN", "get_padded_size", "override", "params", "set"]

DEFAULTS: Mapping[str, Any] = {
    "N": 64,
    "gridsize": 1,
    "offset": 4,
    "max_position_jitter": 10,
    "padded_size": None,
    "n_filters_scale": 2,
    "model_type": "pinn",
    "amp_activation": "sigmoid",
    "object.big": True,
    "probe.big": True,
    "probe.mask": False,
    "probe.trainable": False,
    "probe": None,
    "probe_scale": 4.0,
    "default_probe_scale": 0.7,
    "pad_object": True,
    "gaussian_smoothing_sigma": 0.0,
    "intensity_scale": None,
    "intensity_scale.trainable": True,
    "positions.provided": True,
    "batch_size": 16,
    "nepochs": 60,
    "nphotons": 1e9,
    "mae_weight": 0.0,
    "nll_weight": 1.0,
    "tv_weight": 0.0,
    "realspace_mae_weight": 0.0,
    "realspace_weight": 0.0,
    "data_source": "generic",
    "train_data_file_path": None,
    "test_data_file_path": None,
    "model_path": None,
    "h5_path": "wts.h5",
    "output_prefix": "outputs",
    "label": "",
    "size": 392,
    "nimgs_train": 2,
    "nimgs_test": 2,
    "outer_offset_train": None,
    "outer_offset_test": None,
    "sim_jitter_scale": 0.0,
    "set_phi": False,
    "debug": False,
}


class Parameters(dict[str, Any]):
    """Settings by their published names; another name is an error that suggests one."""

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 -- settings have many types
        _check_name(key)
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401
        _check_name(key)
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as dict.update
        """Set several; none of them if one name is wrong."""
        values = dict(*args, **kwargs)
        for key in values:
            _check_name(key)
        super().update(values)

    def setdefault(self, key: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return a setting, set to the default where it was taken out."""
        _check_name(key)
        return super().setdefault(key, default)

    def __ior__(self, values: Any) -> Self:  # type: ignore[override, misc]  # noqa: ANN401 -- as dict has it
        self.update(values)
        return self


cfg = Parameters(DEFAULTS)


def get(key: str) -> Any:  # noqa: ANN401 -- settings have many types
    """Return a setting; `bigN` is N + (gridsize − 1) · offset.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    return get_bigN() if key == "bigN" else cfg[key]


def set(key: str, value: Any) -> None:  # noqa: ANN401 -- the published name
    """Change a setting until the process ends; `override` changes it for a while.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    cfg[key] = value


def params() -> dict[str, Any]:
    """Return a copy of all settings, `bigN` included."""
    return {**cfg, "bigN": get_bigN()}


def get_bigN() -> int:  # noqa: N802, RUF100 -- the published name
    """Return the size in pixels of the square that a group on a regular grid covers."""
    return int(cfg["N"] + (cfg["gridsize"] - 1) * cfg["offset"])


def get_padded_size() -> int:
    """Return the size in pixels of the canvas of a group: `padded_size`, else bigN with room for the jitter."""
    return int(get_bigN() + cfg["max_position_jitter"] if cfg["padded_size"] is None else cfg["padded_size"])


@contextmanager
def override(values: Mapping[str, Any] | None = None, /, **more: Any) -> Iterator[Parameters]:  # noqa: ANN401
    """Change settings inside a `with` block, and put all of them back as they were, whatever happens in it.

    Raises
    ------
    ConfigError
        If there is no setting of a name; nothing is changed then.
    """
    before = dict(cfg)
    cfg.update({**(values or {}), **more})
    try:
        yield cfg
    finally:
        cfg.clear()
        cfg.update(before)


def _check_name(key: str) -> None:
    """Raise unless there is a setting of that name."""
    if key not in DEFAULTS:
        close = difflib.get_close_matches(key, DEFAULTS, n=3)
        raise ConfigError(f"params: expected a published name such as {close or sorted(DEFAULTS)[:3]}, found {key!r}")
