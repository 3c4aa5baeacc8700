"""The records of settings: importable alone, mutable, written into the settings, checked when used."""

import subprocess
import sys
from pathlib import Path

import pytest

from ptycho import params
from ptycho.compat.config import check_settings, choose_loss, read_training_config
from ptycho.config import find_cache_folder
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict
from ptycho.errors import ConfigError
from ptycho.nets import TrainingLoss


def test_the_records_are_imported_without_any_framework() -> None:
    script = "import sys, ptycho.config.config; sys.exit(bool({'torch', 'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
    assert find_cache_folder().is_absolute()


def test_a_record_is_written_into_the_settings_under_their_own_names() -> None:
    config = TrainingConfig(ModelConfig(N=128, gridsize=2, object_big=False), Path("a.npz"), nphotons=1e4)
    config.model.N = 96
    with params.override():
        update_legacy_dict(params.cfg, config)
        names = ("N", "gridsize", "object.big", "train_data_file_path", "test_data_file_path", "nphotons")
        assert [params.get(name) for name in names] == [96, 2, False, "a.npz", None, 1e4]
        assert read_training_config(params.cfg, gridsize=3).model == ModelConfig(N=96, gridsize=3, object_big=False)
        update_legacy_dict(params.cfg, InferenceConfig(model_path=Path("model"), debug=True))
        assert (params.get("model_path"), params.get("debug"), params.get("N")) == ("model", True, 64)
    assert params.get("debug") is False
    plain: dict[str, object] = {"kept": 1}
    update_legacy_dict(plain, ModelConfig())
    assert plain["kept"] == 1
    assert plain["probe.big"] is True


def test_weights_choose_the_loss() -> None:
    assert choose_loss(TrainingConfig()) is TrainingLoss.POISSON
    assert choose_loss(TrainingConfig(mae_weight=1.0, nll_weight=0.0)) is TrainingLoss.AMPLITUDE


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(N=0), "N: expected a whole number >= 1, found 0"),
        (ModelConfig(gridsize=1.5), "gridsize: .*found 1.5"),
        (ModelConfig(model_type="unet"), "model_type: expected one of pinn, supervised, found 'unet'"),
        (TrainingConfig(ModelConfig(n_filters_scale=True)), "n_filters_scale: .*found True"),
        (TrainingConfig(mae_weight=0.5), "expected one above 0 and the other 0, found 1.0 and 0.5"),
        (TrainingConfig(realspace_weight=0.1), "realspace_weight: expected 0, .*found 0.1"),
        (TrainingConfig(probe_trainable=True), "probe_trainable: expected False"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(config: ModelConfig | TrainingConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings(config)
