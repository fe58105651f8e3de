"""The OpenAPI 3.1 document, generated from the routes, their guards and their refusals.

This is the only file that uses private names of flask-smorest (0.47): ``_apidoc`` of a view,
``Api._register_error_handlers`` and ``Api._app``. ``tests/api/test_openapi.py`` fails when one of them moves.
"""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import wraps
from importlib.metadata import version
from json import dumps, loads
from threading import Lock
from typing import Any, cast

import yaml
from blinker import NamedSignal
from flask import Flask, Response
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint

from authapp import native_threads
from authapp.api import bodies, cookie_document, examples, problem_schemas
from authapp.api.authenticate import Authenticator
from authapp.api.guards import AccessLevel, Guard, View, guard_of
from authapp.api.operations import badges_of, words_of
from authapp.api.patterns import describe_pattern
from authapp.api.properties import describe_enum, describe_parameter
from authapp.api.refusal_responses import LIMIT_OF_EVERY_ROUTE, add_responses, refusals_of, responses_of
from authapp.api.requirements import Requirement
from authapp.api.responses import as_json
from authapp.api.schemas.factor_kinds import describe_kinds
from authapp.api.schemas.problems import ProblemSchema
from authapp.api.schemas.tokens import RefreshSchema
from authapp.config.rate_limits import API_KEY
from authapp.domain.services import Services
from authapp.errors import Refusal, TooManyRequests
from authapp.shared_names import EXTENSION

_ARGUMENT = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_METHODS = ("get", "post", "put", "patch", "delete")

DESCRIPTION = """\
Accounts and tokens over JSON. Register, log in, and send the access token as `Authorization: Bearer <token>`. After
logout, every token of the session is refused.

Errors are `application/problem+json` (RFC 9457); match on `code`. Every response has an `X-Request-ID` header.
"""

_SECURITY: dict[AccessLevel, list[dict[str, list[str]]]] = {
    AccessLevel.ACCESS: [{"accessToken": []}],
    # Generated clients send the access token wherever a bearer token may be sent. A refresh token is sent in the body.
    AccessLevel.REFRESH: [],
    AccessLevel.PUBLIC: [],
}
_REFRESH_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": RefreshSchema}}}}


def refuses(
    *refusals: type[Refusal],
    signals: Iterable[NamedSignal] = (),
    of_services: Callable[[Services], Iterable[type[Refusal]]] = lambda _services: (),
) -> Callable[[View], View]:
    """Document the refusals that a view's use case raises, and the signals whose receivers may refuse.

    Those of its guard and its body are added automatically. ``of_services`` returns those of use cases that an
    application has added.
    """

    def mark(view: View) -> View:
        view.refusals, view.signals = refusals, tuple(signals)  # type: ignore[attr-defined]  # functions take any
        view.refusals_of_services = of_services  # type: ignore[attr-defined]  # functions take any
        return view

    return mark


def reads(*authenticators: Authenticator, required: bool = True) -> Callable[[View], View]:
    """Document the credentials that a public view reads by itself, and whether it refuses requests without any."""

    def mark(view: View) -> View:
        view.reads_credentials = authenticators  # type: ignore[attr-defined]  # functions take any
        view.also_reads_guests = not required  # type: ignore[attr-defined]  # functions take any
        return view

    return mark


class Blueprint(SmorestBlueprint):  # type: ignore[misc]  # flask-smorest is not typed
    """A blueprint whose routes appear in the OpenAPI document, with the requirements of their marks."""

    ARGUMENTS_PARSER = bodies.parser

    def arguments(self, schema: Any, **options: Any) -> Callable[[View], View]:
        """Load the JSON body with ``schema``, or the query or form that ``location`` names."""
        # One schema instance serves all requests; the library would create one for each.
        schema = schema() if isinstance(schema, type) else schema
        if options.get("location", "json") in {"json", "form"}:
            # No body is an empty one: it will do where no field is required.
            options.setdefault("required", any(field.required for field in schema.load_fields.values()))
        decorate = super().arguments(schema, **options)

        def decorator(view: View) -> View:
            decorated: View = decorate(view)
            if options.get("location", "json") in {"json", "form"}:
                decorated.reads_body = True  # type: ignore[attr-defined]  # functions take any
            else:
                decorated.reads_query = True  # type: ignore[attr-defined]  # functions take any
            return decorated

        return decorator

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        """Dump what the view returns with ``schema``. A view may also return a tuple of that and its headers.

        The library generates the documentation but not the response, which saves a tenth of a protected request.
        """
        schema = schema() if isinstance(schema, type) else schema
        document = super().response(status_code, schema, **options)
        dump = schema.dump if schema else None

        def decorator(view: View) -> View:
            @wraps(view)
            def answering(*args: Any, **path: Any) -> Response:
                returned = view(*args, **path)
                result, headers = returned if isinstance(returned, tuple) else (returned, None)
                if isinstance(result, Response):
                    return result
                return as_json(dump(result) if dump else result, status_code, headers)

            answering._apidoc = document(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001 - where flask-smorest keeps it
            return cast("View", answering)

        return decorator

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        """Register a view, and document its words, operation id, security, errors and refresh token."""
        guard = guard_of(view_func)
        refusals = refusals_of(view_func, guard)
        schemes = _schemes([*guard.authenticators, *getattr(view_func, "reads_credentials", ())])
        # A requirement of nothing makes the others optional.
        guests: list[dict[str, list[str]]] = [{}] if getattr(view_func, "also_reads_guests", False) else []
        documented = self.doc(
            **words_of(view_func, guard),
            **{"x-needs": badges_of(guard, refusals)},
            operationId=_camel_case(endpoint or view_func.__name__),
            security=[*_SECURITY[guard.level], *({name: []} for name in schemes), *guests],
            responses=responses_of(refusals),
            **(_REFRESH_BODY if guard.level is AccessLevel.REFRESH else {}),
        )(view_func)
        super().add_url_rule(rule, endpoint or view_func.__name__, documented, *args, **options)
        view_func.is_registered = True  # for guards: a mark above this would not be seen


class OpenAPIDocument(Api):  # type: ignore[misc]  # flask-smorest is not typed
    """The OpenAPI document of one application."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask, **options: Any) -> None:
        """Take the application and the options of ``flask_smorest.Api``."""
        super().__init__(app, **options)
        self._making = Lock()
        self._json: bytes | None = None
        self._yaml: str | None = None

    @property
    def json(self) -> bytes:
        """The document as JSON text; generated on first use, when all blueprints have been registered."""
        with self._making:
            if self._json is None:
                # It takes 0.1 s, and the YAML 1 s.
                self._json = native_threads.run(self._generated)
        return self._json

    def _generated(self) -> bytes:
        describe_kinds(self.spec.components.schemas, self.ma_plugin.converter)
        document = deepcopy(self.spec.to_dict())
        # The library adds a schema for pagination by page numbers to every document. Lists here use cursors.
        schemas: dict[str, Any] = document["components"]["schemas"]
        schemas.pop("PaginationMetadata", None)
        schemes = _schemes(self._app.extensions[EXTENSION].authenticators)
        document["components"].setdefault("securitySchemes", {}).update(schemes)
        for view in self._app.view_functions.values():
            document["components"]["securitySchemes"].update(_schemes(getattr(view, "guard", Guard()).authenticators))
        if self._app.extensions[EXTENSION].services.settings.refresh_cookie == "on":
            cookie_document.describe_components(document["components"])
        everywhere = LIMIT_OF_EVERY_ROUTE if self._app.config.get("RATELIMIT_STORAGE_URI") else {}
        views = self._views()
        for path, operations in document["paths"].items():
            for method in (each for each in _METHODS if each in operations):
                operation = operations[method]
                operation["responses"] = dict(sorted((everywhere | operation["responses"]).items()))
                access, *others = operation["security"] or [None]
                if access in _SECURITY[AccessLevel.ACCESS]:
                    operation["security"] = [*({name: []} for name in schemes), *others]
                self._add_refusals(operation, views[path, method])
                problem_schemas.narrow(schemas, operation["responses"].values())
                examples.add(schemas, operation)
        problem_schemas.list_codes(schemas)
        tags = {tag for operations in document["paths"].values() for each in operations.values() for tag in _tags(each)}
        document["tags"] = [tag for tag in document["tags"] if tag["name"] in tags]
        return dumps(document, separators=(",", ":")).encode()

    def _views(self) -> dict[tuple[str, str], Any]:
        """Return the views by path, as the document has it, and method."""
        return {
            (_ARGUMENT.sub(r"{\1}", rule.rule), method.lower()): self._app.view_functions[rule.endpoint]
            for rule in self._app.url_map.iter_rules()
            for method in rule.methods or ()
        }

    def _add_refusals(self, operation: dict[str, Any], view: Any) -> None:
        """Add what requirements, authenticators and hooks of the application refuse: they came after the blueprints."""
        extension, guard = self._app.extensions[EXTENSION], guard_of(view)
        sources: list[Authenticator | Requirement] = []
        added: set[type[Refusal]] = set()
        if guard.level is AccessLevel.ACCESS:
            sources += [*extension.authenticators, *guard.authenticators]
            if extension.services.settings.rate_limit(API_KEY):  # of each key, on every route that takes one
                added.add(TooManyRequests)
        if guard.level is not AccessLevel.PUBLIC:
            sources += [each for each in extension.requirements if type(each) not in guard.exempt]
        added.update(each for source in sources for each in source.refusals)
        hooks = extension.services.hooks
        added.update(each for signal in getattr(view, "signals", ()) for each in hooks.refusals(signal))
        if extension.services.settings.refresh_cookie == "on":
            added.update(cookie_document.describe(operation, view))
        added.update(getattr(view, "refusals_of_services", lambda _services: ())(extension.services))
        add_responses(operation, added)

    def json_below(self, prefix: str) -> bytes:
        """The document as JSON text, for clients that know this service below a path prefix."""
        return self.json.replace(_servers(""), _servers(prefix), 1) if prefix else self.json

    def yaml_below(self, prefix: str) -> str:
        """The same document as YAML."""
        document = self.json
        with self._making:
            if self._yaml is None:
                self._yaml = native_threads.run(lambda: _as_yaml(loads(document)))
        root, below = (_as_yaml({"servers": [{"url": url}]}) for url in ("/", prefix))
        return self._yaml.replace(root, below, 1) if prefix else self._yaml

    def _register_error_handlers(self) -> None:
        """Do nothing: ``api/errors.py`` registers the error handlers."""


def new_document(app: Flask) -> OpenAPIDocument:
    """Return a document for ``app``; it describes the blueprints that are registered with it from now on."""
    app.config.update(
        AUTHAPP_API_TITLE="authapp", AUTHAPP_API_VERSION=version("authapp"), AUTHAPP_OPENAPI_VERSION="3.1.0"
    )
    document = OpenAPIDocument(
        app,
        config_prefix="AUTHAPP",  # an application may publish an API of its own with the library
        spec_kwargs={
            "info": {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": [{"url": "/"}],
        },
    )
    converter = document.ma_plugin.converter
    converter.add_attribute_function(describe_pattern)
    converter.add_attribute_function(describe_enum)
    converter.add_parameter_attribute_function(describe_parameter)
    return document


def _schemes(authenticators: Iterable[Authenticator]) -> dict[str, Any]:
    return {name: scheme for each in authenticators for name, scheme in each.security_schemes.items()}


def _tags(operation: Any) -> list[str]:
    # Beside the operations of a path there may be a list of their parameters.
    return operation["tags"] if isinstance(operation, dict) else []


def _servers(prefix: str) -> bytes:
    return dumps({"servers": [{"url": prefix or "/"}]}, separators=(",", ":"))[1:-1].encode()


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
