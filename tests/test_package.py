"""The public names of the package, which are imported when they are used."""

import subprocess
import sys

import pytest

import authapp
import authapp.factory


def test_importing_the_package_imports_no_framework() -> None:
    program = "import authapp, sys; print({'flask', 'sqlalchemy', 'authapp.factory'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", authapp.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(authapp, name) is not None


def test_create_app_is_that_of_the_factory() -> None:
    assert authapp.create_app is authapp.factory.create_app


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'authapp' has no attribute 'nothing'"):
        _ = authapp.nothing  # type: ignore[attr-defined]
