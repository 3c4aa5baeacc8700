"""The published names of TensorFlow's helpers; TensorFlow is imported when one of them is first asked for."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [  # noqa: F822 -- __getattr__ finds them
    "ReassemblePatchesLayer",
    "_reassemble_position_batched",
    "mk_reassemble_position_batched_real",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- functions and a class
    """Return a published name, importing TensorFlow now."""
    if name not in __all__:
        raise AttributeError(f"module 'ptycho.tf_helper': expected one of {', '.join(__all__)}, found {name!r}")
    return getattr(importlib.import_module("ptycho.compat.tensorflow.reassembly"), name)
