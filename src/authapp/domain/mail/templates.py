"""The templates of mails: where they are, in which language, and how they are filled in."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, FileSystemLoader, PrefixLoader, TemplateError

from authapp.templating import TemplateEnvironment

SHIPPED = Path(__file__).parents[2] / "templates" / "mail"
SUBJECT = "Subject: "
"""What the first line of a text begins with."""


class BadTemplate(Exception):
    """A template of a mail cannot be used. The message says which, and why."""


@dataclass(frozen=True)
class RenderedMail:
    """A mail in one language: its subject, its text, and the same in HTML if there is a template for it."""

    subject: str
    text: str
    html: str | None
    language: str | None


class MailTemplates:
    """Finds and renders the templates ``<kind>.txt`` and ``<kind>.html``, also as ``<kind>.<language>.txt``."""

    def __init__(self, folder: Path | None, *others: Path) -> None:
        """Take a folder whose templates replace all others, and those with the templates of further kinds."""
        named = {f"folder-{number}": path for number, path in enumerate(dict.fromkeys(others), start=1)}
        self._folders = {**({"yours": folder} if folder else {}), "shipped": SHIPPED, **named}
        loader = _Folders({name: FileSystemLoader(path) for name, path in self._folders.items()})
        self._environment = _Environment(self._folders, loader)

    def render(self, kind: str, locale: str | None, variables: Mapping[str, Any]) -> RenderedMail:
        """Return the mail in the language of ``locale`` if there are templates in it. Raises ``BadTemplate``."""
        name, language = self._find(kind, locale)
        first_line, _, text = self._fill_in(f"{name}.txt", variables).strip().partition("\n")
        if not first_line.startswith(SUBJECT):
            raise BadTemplate(f"{name}.txt: The first line must begin with {SUBJECT!r}.")
        has_html = self._exists(f"{name}.html")
        return RenderedMail(
            # One line of printable text, whatever the template made of it.
            subject=" ".join(first_line.removeprefix(SUBJECT).split()),
            text=text.strip() + "\n",
            html=self._fill_in(f"{name}.html", variables) if has_html else None,
            language=language,
        )

    def languages(self, kind: str) -> list[str]:
        """Return the languages in which there is a text of this kind."""
        names = (path.name.split(".") for folder in self._folders.values() for path in folder.glob(f"{kind}.*.txt"))
        return sorted({name[1] for name in names if len(name) == _NAME_PARTS and _is_language(name[1])})

    def unused(self, kinds: Collection[str]) -> list[str]:
        """Return the files of the operator's folder that nothing uses: misspelt ones, and HTML without its text.

        What another template names, as it does to include it, is used.
        """
        folder = self._folders.get("yours")
        if folder is None:
            return []
        texts = {path: path.read_text(errors="replace") for each in self._folders.values() for path in _files(each)}

        def is_used(path: Path) -> bool:
            is_template = _is_template_of(path.name, kinds) and (folder / f"{path.stem}.txt").is_file()
            return is_template or any(path.name in text for other, text in texts.items() if other.name != path.name)

        return sorted(path.name for path in texts if path.parent == folder and not is_used(path))

    def _find(self, kind: str, locale: str | None) -> tuple[str, str | None]:
        """Return the name of the templates without a suffix, and their language. Text and HTML come from one folder."""
        for folder in self._folders:
            for language in _languages(locale):
                name = f"{folder}/{kind}.{language}" if language else f"{folder}/{kind}"
                if self._exists(f"{name}.txt"):
                    return name, language
        raise BadTemplate(f"There is no template {kind}.txt.")

    def _exists(self, name: str) -> bool:
        folder, _, file = name.partition("/")
        return (self._folders[folder] / file).is_file()

    def _fill_in(self, name: str, variables: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(variables)
        except TemplateError as error:
            raise BadTemplate(f"{name}: {type(error).__name__}: {error}") from error
        except Exception as error:  # noqa: BLE001
            # A template may call anything, whose message may quote what it was given, such as a link with a token.
            raise BadTemplate(f"{name}: {type(error).__name__}.") from None


class _Folders(PrefixLoader):
    """Loads templates under their whole names: ``join_path`` needs the folder of the one that names another."""

    load = BaseLoader.load


class _Environment(TemplateEnvironment):
    """An environment in which templates name others without their folder.

    That of the operator comes first, then the folder of the template that names it, then the shipped ones.
    """

    def __init__(self, folders: Mapping[str, Path], loader: BaseLoader) -> None:
        super().__init__(loader, keep_trailing_newline=True)
        self._folders = folders

    def join_path(self, template: str, parent: str) -> str:
        """Return the name of a template that another one, ``parent``, extends or includes."""
        folders = [folder for folder in ("yours", parent.partition("/")[0], "shipped") if folder in self._folders]
        return next((f"{each}/{template}" for each in folders if (self._folders[each] / template).is_file()), template)


def _languages(locale: str | None) -> Iterator[str | None]:
    """Yield the languages to look for, the best first (RFC 4647, 3.4): ``pt-BR``, ``pt``, and no language."""
    # It becomes part of a file's name.
    if locale and locale.isascii() and locale.replace("-", "").isalnum():
        parts = [_subtag(number, part) for number, part in enumerate(locale.split("-"))]
        while parts:
            yield "-".join(parts)
            parts.pop()
    yield None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file() and not path.name.startswith(".")]


_NAME_PARTS = 3
"""Those of the name of a translation: its kind, its language, and its suffix."""


def _is_template_of(name: str, kinds: Collection[str]) -> bool:
    kind, *language, suffix = name.split(".")
    is_known = kind in kinds and suffix in {"txt", "html"}
    return is_known and len(language) < _NAME_PARTS - 1 and all(map(_is_language, language))


def _is_language(name: str) -> bool:
    """Tell whether templates are looked for under this name of a language: ``pt-BR``, and not ``pt-br``."""
    return next(_languages(name)) == name


def _subtag(number: int, part: str) -> str:
    """Return a part of a tag in its usual letter case (RFC 5646, 2.1.1), as in ``zh-Hant-TW``."""
    if number == 0 or not part.isalpha():
        return part.lower()
    return part.upper() if len(part) == 2 else part.title()
