"""What is computed once instead of for each request is the same as what gunicorn computes."""

import time

import gunicorn.http.message
import gunicorn.http.wsgi
import gunicorn.util
import pytest
from gunicorn.config import Config

from authapp.serving import caches


def test_a_date_is_formatted_once_a_second() -> None:
    asked = []

    def http_date(timestamp: float) -> str:
        asked.append(timestamp)
        return gunicorn.util.http_date(timestamp)  # type: ignore[no-any-return]

    date = caches.date_of_second(http_date)
    assert date(1_700_000_000.1) == date(1_700_000_000.9) == gunicorn.util.http_date(1_700_000_000.5)
    assert date(1_700_000_001.0) == gunicorn.util.http_date(1_700_000_001.0)
    assert asked == [1_700_000_000, 1_700_000_001]
    before = int(time.time())
    assert date() in {gunicorn.util.http_date(second) for second in range(before, before + 3)}


def test_the_environ_of_every_request_is_a_copy_of_its_own() -> None:
    cfg = Config()
    base_environ = caches.copy_of_first(gunicorn.http.wsgi.base_environ)
    first, second = base_environ(cfg), base_environ(cfg)
    first["PATH_INFO"] = "/"
    expected = gunicorn.http.wsgi.base_environ(cfg)
    assert second.keys() == expected.keys()
    assert all(second[name] == expected[name] for name in expected if name != "wsgi.errors")


@pytest.mark.parametrize("allowed", ["", "*", "192.0.2.7", "192.0.2.0/24,2001:db8::1"])
@pytest.mark.parametrize("address", ["192.0.2.7", "198.51.100.1", "2001:db8::1", "no address"])
def test_a_peer_is_trusted_exactly_when_gunicorn_trusts_it(address: str, allowed: str) -> None:
    cfg = Config()
    cfg.set("forwarded_allow_ips", allowed)
    check = gunicorn.http.message._ip_in_allow_list
    arguments = (address, cfg.forwarded_allow_ips, cfg.forwarded_allow_networks())
    assert caches.allow_list_check(check)(*arguments) is check(*arguments)


def test_installed_it_changes_no_setting_and_stands_where_gunicorn_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn.util, "http_date", gunicorn.util.http_date)
    monkeypatch.setattr(gunicorn.http.wsgi, "base_environ", gunicorn.http.wsgi.base_environ)
    check = gunicorn.http.message._ip_in_allow_list
    monkeypatch.setattr(gunicorn.http.message, "_ip_in_allow_list", check)
    cfg = Config()
    cfg.set("keepalive", 7)
    settings = {name: setting.get() for name, setting in cfg.settings.items()}

    caches.install(cfg)

    assert {name: vars(cfg)[name] for name in settings} == settings
    assert cfg.keepalive == 7
    assert gunicorn.http.message._ip_in_allow_list is not check
    assert gunicorn.util.http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
