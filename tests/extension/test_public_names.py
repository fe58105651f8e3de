"""The names of the package ``authapp``, and nothing else."""

import pytest

import authapp


@pytest.mark.parametrize("name", authapp.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(authapp, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        authapp.nonsense  # noqa: B018


def test_the_list_of_modules_has_every_name_once() -> None:
    assert sorted(authapp._MODULE_OF) == sorted(authapp.__all__)
