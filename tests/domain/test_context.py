"""Whoever acts is named: nothing that writes can be called without saying in whose name, and none assumes the operator.

The tests read the signatures and the code of ``authapp.domain``, so that they hold for use cases that are still to be
written, too.
"""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from flask import Blueprint, Flask, jsonify

from authapp import AuthApp, create_app, current_principal, domain, public, request_context
from authapp.context import OPERATOR, Operator, Principal, RequestContext
from authapp.domain.services import Services
from conftest import dispose
from databases import Databases
from factories import a_session, a_user
from settings import settings

WITHOUT_CONTEXT = {
    # Building blocks: each works within the transaction of a use case, which takes the context and records.
    "authapp.domain.sessions.revocation.end_all",
    "authapp.domain.sessions.revocation.end_one",
    "authapp.domain.sessions.revocation.revoke_access_token",
    "authapp.domain.one_time_tokens.issue",
    "authapp.domain.one_time_tokens.use",
    "authapp.domain.one_time_tokens.use_found",
    "authapp.domain.one_time_tokens.use_stored",
    "authapp.domain.email.login_codes.use_code",
    "authapp.domain.one_time_tokens.void",
    "authapp.domain.one_time_tokens.void_token",
    "authapp.domain.mail.one_time_secrets.issue",
    "authapp.domain.mail.one_time_secrets.void",
    "authapp.domain.one_time_tokens.void_all",
    "authapp.domain.email.address_proofs.use_token",
    "authapp.domain.throttles.Throttles.reserve",
    "authapp.domain.throttles.Throttles.try_reserve",
    *(
        f"authapp.domain.throttles.Throttles.{name}"
        for name in ("reset_failures", "reset_failures_of_first_factors", "reset_all_failures")
    ),
    "authapp.domain.throttles.Throttles.release",
    "authapp.domain.passwords.verifier.PasswordVerifier.reset_failures",
    "authapp.domain.roles.deletion.delete_role",
    "authapp.domain.roles.deletion.remove_deleted_role",
    "authapp.domain.factors.factor_attempts.FactorAttempts.counted",
    "authapp.domain.factors.pending_logins.count_failure",
    "authapp.domain.factors.pending_logins.use",
    "authapp.domain.used_challenges.use_challenge",
    "authapp.domain.providers.flows.OpenedFlow.use",
    "authapp.domain.factors.totp_factors.TotpFactors.add_confirmed",
    "authapp.domain.factors.kinds.deletes_rows",
    *(f"authapp.domain.factors.recovery_codes.{name}" for name in ("replace_all", "use")),
    *(f"authapp.domain.factors.totp_factors.TotpFactors.{name}" for name in ("begin", "confirm", "use", "remove")),
    # What was proven says whose it is.
    "authapp.domain.factors.pending_logins.issue",
    # Parts of statements, whose parameters say in which context they run: ``audit_params``, which takes one.
    "authapp.domain.audit.recording.audit_cte",
    "authapp.domain.sessions.revocation.blocklisted",
    "authapp.domain.sessions.revocation.ended_sessions",
    "authapp.domain.rate_limits.charge_statement",
    "authapp.domain.mail.statements.mail_insert",
    "authapp.domain.mail.statements.mail_batch_insert",
    # Nobody asks for these: a timer prunes, and a sender empties the outbox.
    "authapp.domain.pruning.Pruning.prune",
    "authapp.domain.pruning.Prunable.delete_rows",
    "authapp.domain.pruning.delete_in_batches",
    "authapp.domain.factors.reencryption.reencrypt",
    "authapp.domain.mail.outbox.claim",
    "authapp.domain.mail.outbox.extend_lease",
    "authapp.domain.mail.outbox.release",
    "authapp.domain.mail.outbox.defer",
    "authapp.domain.mail.outbox.remove",
    "authapp.domain.mail.outbox.postpone",
    # Timers: the owners of keys that expire are warned, and the last uses of keys are stored.
    "authapp.domain.api_keys.expiry_warnings.store_due",
    "authapp.domain.api_keys.usage.store_last_uses",
    # A request is counted before it is known whose it is.
    "authapp.domain.rate_limits.RateLimits.charge",
    "authapp.domain.rate_limits.RateLimits.charge_key",
    "authapp.domain.api_keys.verification.ApiKeyVerifier.charge",
}
"""What writes and takes no context, each with the reason. What records an audit event is never among them."""

RECORDS = {"record", "audit.record", "audit.record_many", "audit.audit_params"}
WRITES = {"transaction", "insert", "update", "delete", "fast_path.write"} | {
    f"session.{name}" for name in ("add", "delete", "merge", "flush", "commit")
}
"""The calls that record an event, and those that write, as ``called`` returns them."""


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(domain.__path__, f"{domain.__name__}."):
        yield importlib.import_module(found.name)


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """Return every function and method of the domain by its full name, private ones too."""
    found: dict[str, Callable[..., Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = value
            if inspect.isclass(value) and value.__module__ == module.__name__:
                for method_name, method in vars(value).items():
                    plain = getattr(method, "__func__", method)
                    if inspect.isfunction(plain) and plain.__module__ == module.__name__:
                        found[f"{module.__name__}.{name}.{method_name}"] = plain
    return found


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def called(node: ast.expr) -> set[str]:
    """Return how a call may be known: ``name``, or both ``.method`` and ``object.method`` without underscores."""
    if isinstance(node, ast.Name):
        return {node.id}
    if not isinstance(node, ast.Attribute):
        return set()
    owner = node.value
    if isinstance(owner, ast.Attribute) and owner.attr == "thread":
        return {f"thread.{node.attr}"}  # it starts no session
    last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return {f".{node.attr}", f"{last.strip('_')}.{node.attr}"}


@cache
def calls() -> dict[str, set[str]]:
    """Return what each function calls; what a function within it calls counts as well."""
    found = {}
    for name, function in functions().items():
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
        except (OSError, TypeError):
            continue  # made by dataclass or the like: there is no source
        made = (called(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
        found[name] = set().union(*made)
    return found


def reaching(words: set[str]) -> set[str]:
    """Return the functions that make one of the calls, or call something of the name of one that does."""
    reached: set[str] = set()
    while True:
        names = words | {known for name in reached for known in names_in_calls(name)}
        more = {name for name, made in calls().items() if made & names}
        if more == reached:
            return reached
        reached = more


def names_in_calls(name: str) -> set[str]:
    """Return how a function of the domain may be called; names that sets and statements have too are left out."""
    owner, _, last = name.rpartition(".")
    if last in {"add", "all", "delete", "of", "release", "remove", "values", "verify"}:
        return set()
    is_method = owner.rpartition(".")[2][:1].isupper()
    return {f".{last}"} if is_method else {last, f".{last}"}


def parameter(function: Callable[..., Any]) -> inspect.Parameter | None:
    return inspect.signature(function).parameters.get("context")


def lacks_context(function: Callable[..., Any]) -> bool:
    found = parameter(function)
    return found is None or found.default is not inspect.Parameter.empty


def test_what_records_an_event_takes_a_context_without_a_default() -> None:
    recording = {name for name in reaching(RECORDS) if is_public(name)}
    assert len(recording) > 20
    assert {name for name in recording if lacks_context(functions()[name])} == set()


def test_what_writes_takes_a_context_without_a_default() -> None:
    writing = {name for name in reaching(WRITES) if is_public(name)}
    assert len(writing) > 20
    assert {name for name in writing if lacks_context(functions()[name])} == WITHOUT_CONTEXT


def test_the_analysis_sees_every_use_case_that_writes() -> None:
    for name in (
        "users.accounts.Accounts.register",
        "users.accounts.Accounts.rename",
        "users.administration.Administration.grant",
        "users.administration.Administration.disable",
        "users.accounts.Accounts.delete_own",
        "sessions.sessions.Sessions.start",
        "sessions.sessions.Sessions.refresh",
        "sessions.sessions.Sessions.log_out",
        "sessions.introspection.Introspection.revoke",
        "passwords.login.PasswordLogin.log_in",
        "roles.roles.Roles.delete",
        "audit.trail.AuditTrail.prune",
    ):
        assert f"authapp.domain.{name}" in reaching(RECORDS), name


def services_in(group: type) -> Iterator[type]:
    """Return the services of a group, and of those within it: those of a wing."""
    for hint in get_type_hints(group).values():
        if inspect.isclass(hint) and hint.__module__.startswith(domain.__name__):
            yield from services_in(hint) if hint.__module__.endswith(".services") else [hint]


def test_every_service_is_looked_at() -> None:
    services = list(services_in(Services))
    assert len(services) >= 30
    for service in services:
        names = [name for name, _ in inspect.getmembers(service, inspect.isfunction) if not name.startswith("_")]
        assert names, service
        for name in names:
            assert f"{service.__module__}.{service.__name__}.{name}" in functions()


@pytest.mark.parametrize("name", sorted(functions()))
def test_no_parameter_has_somebody_as_its_default(name: str) -> None:
    function = functions()[name]
    for each in inspect.signature(function).parameters.values():
        assert not isinstance(each.default, RequestContext | Principal | Operator), f"{name}({each})"
    found = parameter(function)
    if found is not None:
        assert found.default is inspect.Parameter.empty, f"{name}({found})"
        assert get_type_hints(inspect.unwrap(function))["context"] is RequestContext, f"{name}({found})"


def test_a_context_says_everything_or_cannot_be_made() -> None:
    fields = {field.name: field for field in dataclasses.fields(RequestContext)}
    # Whether a client has hung up, and its language, say nothing of who it is.
    assert fields.pop("client_gone").default() is False
    assert fields.pop("locale").default is None
    assert fields.keys() == {"ip_address", "user_agent", "request_id", "principal"}
    for field in fields.values():
        assert field.default is dataclasses.MISSING
        assert field.default_factory is dataclasses.MISSING
    with pytest.raises(TypeError, match="principal"):
        RequestContext(ip_address=None, user_agent=None, request_id=None)  # type: ignore[call-arg]


def test_the_operator_is_named_on_the_command_line_alone() -> None:
    """A view that could import the operator might act as one."""
    package = Path(domain.__file__ or "").resolve().parent.parent
    naming = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if any(isinstance(node, ast.Name) and node.id == "OPERATOR" for node in ast.walk(ast.parse(path.read_text())))
    }
    assert {name for name in naming if not name.startswith("cli/")} == {"context.py", "testing.py"}
    assert naming > {"context.py", "testing.py"}


def test_a_context_names_its_actor_and_session(app: Flask) -> None:
    guest = dataclasses.replace(OPERATOR, principal=None)
    assert (guest.actor_id, guest.session_id) == (None, None)
    assert (OPERATOR.actor_id, OPERATOR.session_id) == (None, None)
    services, user = Services.of(app), a_user(app)
    with app.app_context():
        claims = services.tokens.read(a_session(app, user).access_token)
        status = services.principals.token_status(claims)
    assert status is not None
    known = dataclasses.replace(OPERATOR, principal=status.principal)
    assert (known.actor_id, str(known.session_id)) == (user.id, claims["sid"])


@pytest.fixture
def views(databases: Databases) -> Iterator[Flask]:
    """An application with a public view and a locked one, each of which tells who is there."""
    blueprint = Blueprint("views", __name__)

    @blueprint.get("/public/principal")
    @public
    def public_principal() -> Any:
        return jsonify(str(current_principal().id))

    @blueprint.get("/public/context")
    @public
    def public_context() -> Any:
        return jsonify(request_context().principal)

    @blueprint.get("/locked")
    def locked() -> Any:
        context = request_context()
        assert context.principal is current_principal()
        return jsonify(str(context.actor_id))

    with databases.migrated() as url:
        app = create_app(settings(database_url=url))
        AuthApp.of(app).register_blueprint(blueprint)
        app.testing = True  # so that what a view raises is raised here
        yield app
        dispose(app)


def test_the_principal_of_a_public_view_is_an_error(views: Flask) -> None:
    client = views.test_client()
    token = a_session(views, a_user(views)).access_token
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        with pytest.raises(LookupError, match="public"):
            client.get("/public/principal", headers=headers)


def test_a_public_view_acts_as_a_guest_whatever_was_sent(views: Flask) -> None:
    client, user = views.test_client(), a_user(views)
    headers = {"Authorization": f"Bearer {a_session(views, user).access_token}"}
    assert client.get("/public/context").get_json() is None
    assert client.get("/locked", headers=headers).get_json() == str(user.id)
    assert client.get("/public/context", headers=headers).get_json() is None
