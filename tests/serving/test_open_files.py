"""A worker has room for its connections, as far as the system allows."""

import resource
from unittest.mock import Mock

import pytest

from authapp.serving import open_files

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        ((1024, 4096), (1256, 4096)),
        ((1024, 1100), (1100, 1100)),
        ((1024, INFINITE), (1256, INFINITE)),
        ((2000, 4096), None),
        ((INFINITE, INFINITE), None),
    ],
)
def test_the_limit_is_raised_where_it_is_too_low(
    limits: tuple[int, int], raised: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    setrlimit = Mock()
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    open_files.make_room(1000)
    assert [call.args[1] for call in setrlimit.call_args_list] == ([raised] if raised else [])


def test_a_system_that_forbids_it_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", Mock(side_effect=PermissionError))
    open_files.make_room(1000)
