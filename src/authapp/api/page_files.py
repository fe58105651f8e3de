"""The files that pages load: scripts, style sheets and images."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path

from flask import Response, request

from authapp.errors import ResourceNotFound

STATIC = Path(str(files("authapp"))) / "api" / "static"
"""The folder of the files of this package."""


class PageFiles:
    """The files of one page or several, by the names below the page's path.

    Each file is read once, so that its tag and its content are always of the same version: an upgrade replaces files
    before it reloads the workers.
    """

    def __init__(self, find: Callable[[], Mapping[str, Path]]) -> None:
        """Take what finds the files. It is called for the first request, since the package of a file may be missing."""
        self._find = find

    def response(self, name: str) -> Response:
        """Return a file, or 304 to a browser that has it. Raises ``ResourceNotFound`` for any other name."""
        if (found := self._read.get(name)) is None:
            raise ResourceNotFound
        content, digest = found
        response = Response(content, mimetype=guess_type(name)[0])
        # Browsers keep a file and ask whether it is the same, so that an upgrade arrives with the next load.
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(digest)
        response.make_conditional(request)
        return response

    @cached_property
    def _read(self) -> dict[str, tuple[bytes, str]]:
        """The content and the digest of each file."""
        contents = {name: path.read_bytes() for name, path in self._find().items()}
        return {name: (content, sha256(content).hexdigest()) for name, content in contents.items()}
