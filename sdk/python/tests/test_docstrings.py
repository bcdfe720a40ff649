"""What an editor shows."""

import inspect
import types

import pytest

import inferlet
import inferlet.testing

PUBLIC = [(module, name) for module in (inferlet, inferlet.testing) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_name_and_method_is_documented(module: types.ModuleType, name: str) -> None:
    found = getattr(module, name)
    named = inspect.isclass(found) or inspect.isfunction(found)
    undocumented = [name] if named and not inspect.getdoc(found) else []
    for method, value in vars(found).items() if inspect.isclass(found) else ():
        plain = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not method.startswith("_") and inspect.isfunction(plain) and not inspect.getdoc(plain):
            undocumented.append(f"{name}.{method}")
    assert undocumented == []


