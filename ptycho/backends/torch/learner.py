"""A network in PyTorch that predicts and learns, numpy in and numpy out: `ptycho.nets.network.Network`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptycho.backends.torch import to_numpy
from ptycho.backends.torch.network import UnrolledNetwork
from ptycho.backends.torch.windows import settle
from ptycho.data.examples import Batch
from ptycho.errors import ConfigError
from ptycho.nets.layers import Weights, list_layers
from ptycho.nets.network import (
    GRADIENT_LIMIT,
    Illumination,
    check_amplitudes,
    check_batch,
    check_places,
    check_state,
    check_values,
)
from ptycho.nets.specification import NetworkKind, Specification

__all__ = ["Learner"]

SLAB_BYTES = 2**21  # of waves predicted at a time on a processor; the system hands larger arrays out anew each time
TO_TORCH, FROM_TORCH = (3, 2, 0, 1), (2, 3, 1, 0)  # kernels: (h, w, in, out) and (out, in, h, w)


class Learner:
    """A `Network`; see there. `module` is the torch module itself."""

    def __init__(
        self,
        specification: Specification,
        illumination: Illumination,
        weights: Mapping[str, NDArray[np.floating]],
        *,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        self.specification = specification
        self.illumination = illumination
        self._device = _choose_device(device)
        self._dtype = getattr(torch, precision)
        probe = torch.tensor(illumination.probe).to(self._device, self._dtype.to_complex())
        mask = None if illumination.mask.all() else torch.tensor(illumination.mask, device=self._device)
        with torch.random.fork_rng(devices=[]):  # layers draw first weights, which are replaced below
            module = UnrolledNetwork(specification, probe, mask, illumination.normalisation.scale)
        self.module = module.to(self._device)
        self.module.stages.to(self._dtype, memory_format=torch.channels_last)
        self._named = self._name_parameters()
        self._load(weights)
        self._adam = torch.optim.Adam(self._named.values(), lr=0.0)

    def predict(self, amplitudes: NDArray[np.floating], offsets: NDArray[np.float64]) -> NDArray[np.complexfloating]:
        """Return objects (B, H, W, 1) of groups."""
        spec = self.specification
        check_amplitudes(amplitudes.shape, offsets.shape, spec.frame_shape, spec.group_size)
        check_values(amplitudes, self.illumination.mask)
        check_places(offsets, spec.frame_shape, spec.canvas_shape)
        probe, count = self.module.probe, len(amplitudes)
        slab = max(1, SLAB_BYTES // (spec.group_size * probe.nbytes)) if self._device.type == "cpu" else count
        parts = [slice(start, start + slab) for start in range(0, count, slab)]
        with torch.inference_mode():
            return np.concatenate([to_numpy(self.module(self._real(amplitudes[p]), offsets[p])) for p in parts])

    def loss(self, batch: Batch) -> float:
        """Return the loss of some examples."""
        with torch.inference_mode():
            return float(self._loss(batch))

    def step(self, batch: Batch, rate: float) -> float:
        """Move the weights by one step of Adam; return the loss before it."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        loss = self._loss(batch)
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._named.values(), GRADIENT_LIMIT)
        self._adam.step()
        return float(loss.detach())

    def weights(self) -> Weights:
        """Return the weights."""
        return {name: _publish(parameter) for name, parameter in self._named.items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights, and Adam's step and moments."""
        state: dict[str, NDArray[Any]] = {f"weights/{name}": value for name, value in self.weights().items()}
        for name, parameter in self._named.items():
            for part, value in self._adam.state.get(parameter, {}).items():
                state[f"{part}/{name}"] = _publish(value)
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a `state`."""
        parts = check_state(state, self.specification, ("weights", "step", "exp_avg", "exp_avg_sq"))
        self._load(parts.pop("weights"))
        self._adam.state.clear()
        for part, values in parts.items():
            for name, value in values.items():
                self._adam.state[self._named[name]][part] = _take(value).to("cpu" if part == "step" else self._device)

    def _loss(self, batch: Batch) -> torch.Tensor:
        check_batch(batch, self.specification)
        targets = None
        if batch.targets is not None and self.specification.kind is NetworkKind.SUPERVISED:
            targets = torch.tensor(batch.targets).to(self._device, self._dtype.to_complex())
        return self.module.loss(self._real(batch.amplitudes), batch.offsets, targets)

    def _real(self, array: NDArray[np.floating]) -> torch.Tensor:
        return torch.tensor(settle(array)).to(self._device, self._dtype)

    def _name_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the parameters by their published names."""
        return {
            f"{index}.{layer.name}.{part}": getattr(getattr(stage, layer.name), attribute)
            for index, stage in enumerate(self.module.stages)
            for layer in list_layers(self.specification)
            for part, attribute in (("kernel", "weight"), ("bias", "bias"))
        }

    def _load(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        with torch.no_grad():
            for name, parameter in self._named.items():
                parameter.copy_(_take(weights[name]))


def _publish(tensor: torch.Tensor) -> NDArray[np.floating]:
    """Return a copy of a parameter, or of its moment, as the layer list shapes it."""
    value = to_numpy(tensor)
    return np.array(value.transpose(FROM_TORCH) if value.ndim == 4 else value, order="C")


def _take(value: NDArray[np.floating]) -> torch.Tensor:
    """Return a copy of what the layer list shapes as torch shapes it."""
    tensor = torch.tensor(value)
    return tensor.permute(TO_TORCH).contiguous() if tensor.ndim == 4 else tensor


def _choose_device(device: str) -> torch.device:
    """Return the device of a name; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: expected a CUDA device for torch, found none; use --device cpu or auto")
    return torch.device(device)
