"""The pages of the documentation, and what stands in them."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authapp.config import Settings, rate_limits

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
VARIABLES: dict[str, Any] = {
    **{f"AUTHAPP_{field.name.upper()}": field for field in dataclasses.fields(Settings) if field.name != "rate_limits"},
    **{
        f"AUTHAPP_RATE_LIMIT_{name.upper()}": SimpleNamespace(default=limit, type=None)
        for name, limit in rate_limits.items()
    },
}

every_page = pytest.mark.parametrize("page", TEXTS)


def code_in(text: str) -> str:
    """Return what stands in code blocks and in code spans, a piece a line."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", without_blocks(text))
    return "\n".join([*blocks, *(" ".join(span.split()) for span in spans)])


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def block_after(text: str, mark: str) -> list[str]:
    """Return each code block that stands behind the comment ``mark``."""
    return re.findall(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of each table."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]
