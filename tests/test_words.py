"""The retired words of DESIGN.md: none of them is an identifier, a file name or an operation of the API.

The words in docstrings, comments and strings are for people to read aloud; a name is for everybody to remember, and
each has one meaning here.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authapp import AuthApp, create_app
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("src", "tests", "tools", "migrations")
    for path in (ROOT / folder).rglob("*.py")
    # The package's migrations are a link to those of the checkout.
    if not path.is_relative_to(ROOT / "src" / "authapp" / "migrations")
)
SOURCES.append(ROOT / "gunicorn.conf.py")

REQUEST_CONTEXT = "RequestContext (context); origin belongs to CORS and WebAuthn"
NOUN = "a noun that says what it is"
CLASSES = {
    "Origin": REQUEST_CONTEXT,
    "Caller": "Principal",
    "Who": "UserRef",
    "Powers": "GrantPolicy",
    "Credentials": "PasswordVerifier",
    "Proof": "AuthenticationResult",
    "Identity": "UserNames",
    "Places": "FairSemaphore",
    "Patience": "a timeout",
    "Listener": "DrainingListener",
    "TooSlow": "a timeout",
    "Bounded": "DeadlineMiddleware",
    "Door": "AccessLevel",
    "Fault": "FieldError",
    "Finding": "CheckResult",
    "Purpose": "ThrottleScope",
}
"""Names of classes, matched as they are written."""

WITHIN = {"Proof": "Answer, Attempt or Assertion", "Proofs": "Answers, Attempts or Assertions"}
"""Words that no name of a class has within it either."""

WORDS = {
    "origin": REQUEST_CONTEXT,
    "by": REQUEST_CONTEXT,
    "caller": "principal",
    "who": "user_ref, or the noun that is meant",
    "powers": "grant_policy",
    "check_may_overrule": "require_can_manage",
    "beginnings": "sessions.start",
    "endings": "sessions.revocation",
    "inspection": "introspection",
    "places": "semaphore",
    "windows": "bounded_scan, or scans",
    "ranges": "index_ranges",
    "abandoned": "orphaned_backends",
    "waiting": "wait_callback, or the noun that waits",
    "connecting": "connect",
    "patience": "timeout",
    "door": "access_level",
    "doors": "access_levels",
    "noted": "audit_cte",
    "noting": "audit_params",
    "record_each": "record, or audit_cte",
    **dict.fromkeys(("told", "mine", "own", "this", "held", "few", "label", "parsed", "moment"), NOUN),
}
"""Names of everything else and of files, in any letter case, without the underscores around them."""

FILES = {"directory": "users/search.py"}
"""Names of files alone: as a parameter it is what Flask-Migrate calls a folder."""

FREE_IN = re.compile(
    r"(test_)?browser\w*\.py|(test_)?cors\w*\.py|test_refresh_cookie\.py|(test_)?passkey\w*\.py|authenticator\.py"
)
"""Where ``origin`` has the meaning that browsers give it."""

RETIRED_OPERATIONS = {"usersClose", "rolesEvery", "sessionsLive", "activityMine"}
VERBS = {
    *(
        "change",
        "complete",
        "confirm",
        "create",
        "delete",
        "force",
        "get",
        "introspect",
        "list",
        "log",
        "refresh",
        "register",
        "request",
        "reset",
    ),
    *("revoke", "update"),
    "verify",
}
"""What an ``operationId`` begins with. Add a verb for a new kind of act; a noun for a resource that is new."""


NAMED: dict[type[ast.AST], str] = {
    ast.ClassDef: "name",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.arg: "arg",
    ast.Name: "id",
    ast.Attribute: "attr",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}
"""Where each kind of node keeps the name that it gives to something."""


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each name that the code gives to something, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, alias.asname or alias.name.rpartition(".")[2]) for alias in node.names)
        elif type(node) in NAMED and isinstance(getattr(node, "ctx", ast.Store()), ast.Store):
            name: str | None = getattr(node, NAMED[type(node)])
            if name is not None:
                yield getattr(node, "lineno", 0), name


def advice(name: str, file_name: str) -> str | None:
    """Return what to use instead of a retired word, and ``None`` for every other name."""
    if FREE_IN.fullmatch(file_name) and name.strip("_").lower() == "origin":
        return None
    within = (WITHIN[word] for word in re.findall("[A-Z][a-z]+", name) if word in WITHIN)
    return CLASSES.get(name.strip("_")) or next(within, None) or WORDS.get(name.strip("_").lower())


def offenders(source: str, file_name: str) -> list[str]:
    found = [
        (line, name, instead)
        for line, name in names_of(ast.parse(source))
        if (instead := advice(name, file_name)) is not None
    ]
    return [f"line {line}: {name!r} is retired; use {instead}" for line, name, instead in sorted(set(found))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_a_retired_word(path: Path) -> None:
    found = offenders(path.read_text(), path.name)
    stem = path.stem.removeprefix("test_")
    if instead := FILES.get(stem) or advice(stem, path.name):
        found.append(f"the file's name: {stem!r} is retired; use {instead}")
    assert not found, "\n".join([str(path.relative_to(ROOT)), *found])


def test_every_way_to_give_a_name_is_seen() -> None:
    for code in (
        "told = 1",
        "_told: int = 1",
        "TOLD = 1",
        "self.told = 1",
        "def told(): ...",
        "async def told(): ...",
        "def f(told): ...",
        "def f(*, told): ...",
        "def f(**told): ...",
        "lambda told: 1",
        "[1 for told in ()]",
        "for told in (): ...",
        "with f() as told: ...",
        "(told := 1)",
        "import told",
        "import a.told",
        "from a import b as told",
        "from a import told",
        "try: ...\nexcept E as told: ...",
        "match a:\n case [told]: ...",
        "match a:\n case {**told}: ...",
        "match a:\n case [*told]: ...",
        "class A:\n told: int",
    ):
        assert len(offenders(code, "users.py")) == 1, code
    for name in CLASSES:
        assert offenders(f"class {name}: ...", "users.py"), name


def test_a_retired_word_is_seen_within_the_name_of_a_class_where_no_such_name_is_ours() -> None:
    for name in ("FactorProof", "_PasskeyProofs", "ProofOfAddress"):
        assert len(offenders(f"class {name}: ...", "users.py")) == 1, name
    for name in ("Proofreader", "ProviderIdentity", "FactorAttempt"):
        assert offenders(f"class {name}: ...", "users.py") == [], name


def test_a_word_within_a_name_a_string_or_the_call_of_a_library_is_none_of_ours() -> None:
    for code in ("told_off = 1", "'told'", "f(told=1)", "column.label('x')", "x.told()", "class Ownership: ..."):
        assert offenders(code, "users.py") == [], code


def test_origin_is_free_where_browsers_are_spoken_to() -> None:
    for file_name in ("browsers.py", "cors.py", "cors_policy.py", "passkeys.py"):
        assert offenders("origin = 1\nclass Origin: ...", file_name) == []
        assert offenders("told = 1", file_name) != []
    for file_name in ("users.py", "test_users.py", "discors.py"):
        assert len(offenders("origin = 1\nclass Origin: ...", file_name)) == 2


def test_an_offender_is_told_the_word_to_use() -> None:
    assert offenders("class Powers: ...", "users.py") == ["line 1: 'Powers' is retired; use GrantPolicy"]


def test_every_operation_is_a_verb_and_a_noun() -> None:
    app = create_app(settings(database_url="postgresql+psycopg2://nobody@localhost/none"))
    document = json.loads(AuthApp.of(app).openapi.json)
    operations = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    ]
    assert len(operations) > 20
    assert len(operations) == len(set(operations))
    assert RETIRED_OPERATIONS.isdisjoint(operations)
    odd = [name for name in operations if not is_verb_and_noun(name)]
    assert odd == [], f"Name them verb + noun, such as listRoles; the verbs are {', '.join(sorted(VERBS))}."


def is_verb_and_noun(name: str) -> bool:
    match = re.fullmatch(r"([a-z]+)(?:[A-Z][a-z0-9]*)+", name)
    return match is not None and match[1] in VERBS


def test_the_old_names_of_operations_are_no_verb_and_noun() -> None:
    assert not any(map(is_verb_and_noun, [*RETIRED_OPERATIONS, "ping", "list_roles", "ListRoles", "roles"]))
    assert is_verb_and_noun("listRoles")
    assert is_verb_and_noun("deleteOwnAccount")
