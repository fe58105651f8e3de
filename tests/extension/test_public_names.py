"""The names of the package ``authapp``, and nothing else."""

import ast
from pathlib import Path

import pytest

import authapp


@pytest.mark.parametrize("name", authapp.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(authapp, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        authapp.nonsense  # noqa: B018


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(authapp.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    seen = {each.asname: node.module for node in imports for each in node.names if each.asname == each.name}
    assert seen == authapp._MODULE_OF
