"""What every response carries."""

import re

import pytest

from factories import Api

PATHS = ["/api/v1/ping", "/health/live", "/nowhere", "/openapi.json", "/docs", "/problems/not_found", "/account/login"]


@pytest.mark.parametrize("path", PATHS)
def test_every_response_has_an_id_and_forbids_sniffing(api: Api, path: str) -> None:
    response = api.client.get(path)
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["X-Request-ID"])
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
def test_only_the_contract_and_its_page_may_be_stored(api: Api, path: str) -> None:
    stored = path in {"/openapi.json", "/docs"}
    assert api.client.get(path).headers["Cache-Control"] == ("public, max-age=300" if stored else "no-store")


@pytest.mark.parametrize("offered", ["a", "trace-1.2_3", "0" * 64])
def test_a_sane_request_id_is_kept(api: Api, offered: str) -> None:
    assert api.client.get("/nowhere", headers={"X-Request-ID": offered}).headers["X-Request-ID"] == offered


@pytest.mark.parametrize("offered", ["", " ", "a b", "0" * 65, 'a"b', "a,b", "é", "<script>", "a{b}"])
def test_another_request_id_is_replaced(api: Api, offered: str) -> None:
    seen = api.client.get("/nowhere", headers={"X-Request-ID": offered.encode().decode("latin-1")})
    assert re.fullmatch(r"[0-9a-f-]{36}", seen.headers["X-Request-ID"])
