"""The files that pages load: each is kept by browsers, and is what it was when it was read."""

from pathlib import Path

import pytest
from flask import Flask

from authapp.api.page_files import PageFiles
from authapp.errors import ResourceNotFound
from factories import Api


@pytest.mark.parametrize(
    "path",
    [
        *("/console/app.js", "/console/icon.svg", "/account/assets/account.js", "/account/assets/icon.svg"),
        *("/docs/start.js", "/docs/page.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"),
    ],
)
def test_a_browser_keeps_a_file_and_asks_whether_it_is_the_same(api: Api, path: str) -> None:
    response = api.client.get(path)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")
    assert {"js": "javascript", "css": "text/css", "svg": "image/svg", "png": "image/png"}[
        path.rsplit(".", maxsplit=1)[-1]
    ] in response.mimetype
    again = api.client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert api.client.head(path).headers["ETag"] == response.headers["ETag"]


def test_a_file_that_is_replaced_before_a_reload_stays_what_its_tag_says(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "app.js"
    path.write_text("old")
    files = PageFiles(lambda: {"app.js": path})
    with app.test_request_context():
        old = files.response("app.js")
        path.write_text("new")
        again = files.response("app.js")
        assert (again.data, again.headers["ETag"]) == (b"old", old.headers["ETag"])
        new = PageFiles(lambda: {"app.js": path}).response("app.js")
        assert (new.data, new.headers["ETag"] == old.headers["ETag"]) == (b"new", False)
        with pytest.raises(ResourceNotFound):
            files.response("other.js")
