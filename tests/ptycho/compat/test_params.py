"""The published settings: a view that can be put back, and that nothing depends on."""

import ast
from pathlib import Path

import pytest

import ptycho
from ptycho import params
from ptycho.errors import ConfigError

PACKAGE = Path(ptycho.__file__).parent


def test_an_override_ends_with_its_block_also_when_that_fails() -> None:
    before = dict(params.cfg)
    with params.override({"probe.trainable": True}, N=128, gridsize=2) as inside:
        assert (params.get("N"), inside["gridsize"], params.get("probe.trainable")) == (128, 2, True)
        params.set("nphotons", 1e4)
    assert dict(params.cfg) == before

    def fail() -> None:
        with params.override(N=32):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert dict(params.cfg) == before


def test_the_padded_size_follows_from_the_group_unless_it_is_given() -> None:
    with params.override(N=64, gridsize=2, offset=4, max_position_jitter=10):
        assert params.get("bigN") == params.get_bigN() == params.params()["bigN"] == 68
        assert params.get_padded_size() == 78
        params.cfg["padded_size"] = 90
        assert params.get_padded_size() == 90


def test_a_mistyped_name_is_an_error_and_changes_nothing() -> None:
    before = dict(params.cfg)
    with pytest.raises(ConfigError, match=r"\['gridsize'\], found 'gridsiz'"):
        params.set("gridsiz", 2)
    with pytest.raises(ConfigError, match="found 'M'"), params.override(N=128, M=3):
        pass
    with pytest.raises(ConfigError):
        params.get("nphoton")
    with pytest.raises(ConfigError, match="found 'nphoton'"):
        params.cfg.setdefault("nphoton", 1e4)
    with pytest.raises(ConfigError, match="found 'nphoton'"):
        params.cfg |= {"nphoton": 1e4}
    assert dict(params.cfg) == before


def test_the_library_never_looks_at_the_published_names() -> None:
    names = ("params", "loader", "raw_data", "cache", "model", "probe", "config/config", "workflows/components")
    shims = {PACKAGE / f"{name}.py" for name in names}
    sources = [path for path in PACKAGE.rglob("*.py") if "compat" not in path.parts and path not in shims]
    published = ("ptycho.compat", *(f"ptycho.{name.replace('/', '.')}" for name in names))
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [name.name for name in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not module.startswith(published), path
            assert not any(f"{module}.{name}".lstrip(".").startswith(published) for name in names), path
