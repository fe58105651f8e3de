"""The Jinja environment of all templates: those of mails and those of pages, ours and the operator's."""

from typing import Any

from jinja2 import BaseLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment


class TemplateEnvironment(SandboxedEnvironment):
    """An environment in which a name that does not exist is an error, and what goes into HTML is escaped.

    It is a sandbox, because operators may replace templates: one that is copied from elsewhere must not run code.
    """

    def __init__(self, loader: BaseLoader, **options: Any) -> None:
        super().__init__(
            loader=loader,
            autoescape=_is_html,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            **options,
        )


def _is_html(name: str | None) -> bool:
    # A template without a name comes from a string, and nobody knows what it is.
    return name is None or name.endswith(".html")
