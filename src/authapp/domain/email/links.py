"""The links in mails. They lead where the settings say, whatever a request said about its host."""

from urllib.parse import quote, urlsplit


class MailLinks:
    """Makes links to the pages of a front end, or to those below the issuer."""

    def __init__(self, issuer: str, link_url: str | None) -> None:
        """Take the issuer, and a template with ``{purpose}``, and ``{token}`` in its fragment."""
        base = issuer.rstrip("/")
        self._template = link_url or _braces_doubled(base) + "/account/{purpose}#token={token}"
        url = urlsplit(self._template)
        self.site = f"{url.scheme}://{url.netloc}" if link_url else base
        """The address of the front end, or the issuer."""

    def with_token(self, purpose: str, token: str) -> str:
        """Return the link that carries a one-time token. Browsers send the fragment, where it is, to no server."""
        return self._template.format(purpose=purpose.replace("_", "-"), token=quote(token, safe=""))


def _braces_doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
