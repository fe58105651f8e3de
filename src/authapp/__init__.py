"""authapp: accounts and tokens over JSON, where a logged-out token is dead at once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from authapp.api.authenticate import Authenticator as Authenticator
    from authapp.api.authenticate import current_principal as current_principal
    from authapp.api.context import request_context as request_context
    from authapp.api.cors import request_headers as request_headers
    from authapp.api.cors import response_headers as response_headers
    from authapp.api.guards import Guard as Guard
    from authapp.api.guards import accepts as accepts
    from authapp.api.guards import fresh as fresh
    from authapp.api.guards import limited as limited
    from authapp.api.guards import mark as mark
    from authapp.api.guards import multi_factor as multi_factor
    from authapp.api.guards import public as public
    from authapp.api.guards import recent as recent
    from authapp.api.guards import requires as requires
    from authapp.api.guards import verified as verified
    from authapp.api.openapi import Blueprint as Blueprint
    from authapp.api.openapi import refuses as refuses
    from authapp.api.requirements import Requirement as Requirement
    from authapp.api.token_kinds import TokenKind as TokenKind
    from authapp.api.trusted_proxies import TrustedProxies as TrustedProxies
    from authapp.cli.alembic_env import run_project_migrations as run_project_migrations
    from authapp.cli.checks import CheckLevel as CheckLevel
    from authapp.cli.checks import CheckResult as CheckResult
    from authapp.cli.checks import doctor_checks as doctor_checks
    from authapp.config import MailServer as MailServer
    from authapp.config import ProviderSettings as ProviderSettings
    from authapp.config import RateLimit as RateLimit
    from authapp.config import Settings as Settings
    from authapp.config import SettingsError as SettingsError
    from authapp.config import rate_limits as rate_limits
    from authapp.context import OPERATOR as OPERATOR
    from authapp.context import Principal as Principal
    from authapp.context import RequestContext as RequestContext
    from authapp.database.session import db as db
    from authapp.database.session import transaction as transaction
    from authapp.domain import audit as audit
    from authapp.domain import hooks as hooks
    from authapp.domain import one_time_tokens as one_time_tokens
    from authapp.domain.account_parts import AccountPart as AccountPart
    from authapp.domain.account_parts import PartTools as PartTools
    from authapp.domain.account_parts import account_parts as account_parts
    from authapp.domain.audit import event_types as event_types
    from authapp.domain.database_metrics import database_metrics as database_metrics
    from authapp.domain.email.address_proofs import use_token as use_token
    from authapp.domain.email.factor_notices import factor_mail_kinds as factor_mail_kinds
    from authapp.domain.email.link_confirmations import LinkConfirmation as LinkConfirmation
    from authapp.domain.factors.kinds import CodeRules as CodeRules
    from authapp.domain.factors.kinds import FactorAttempt as FactorAttempt
    from authapp.domain.factors.kinds import FactorKind as FactorKind
    from authapp.domain.factors.kinds import FactorTools as FactorTools
    from authapp.domain.factors.kinds import Prover as Prover
    from authapp.domain.factors.kinds import SecondStep as SecondStep
    from authapp.domain.factors.kinds import deletes_rows as deletes_rows
    from authapp.domain.factors.kinds import factor_kinds as factor_kinds
    from authapp.domain.factors.stored_keys import EncryptedTable as EncryptedTable
    from authapp.domain.factors.stored_keys import encrypted_tables as encrypted_tables
    from authapp.domain.imports.formats import ImportFormat as ImportFormat
    from authapp.domain.imports.formats import import_formats as import_formats
    from authapp.domain.mail import outbox as outbox
    from authapp.domain.mail import recipients as recipients
    from authapp.domain.mail.kinds import MailKind as MailKind
    from authapp.domain.mail.kinds import Recipient as Recipient
    from authapp.domain.mail.kinds import mail_kinds as mail_kinds
    from authapp.domain.mail.transports import RecipientRefused as RecipientRefused
    from authapp.domain.mail.transports import ServerUnavailable as ServerUnavailable
    from authapp.domain.mail.transports import TemporaryFailure as TemporaryFailure
    from authapp.domain.mail.transports import Transport as Transport
    from authapp.domain.mail.transports import TransportKind as TransportKind
    from authapp.domain.mail.transports import mail_transports as mail_transports
    from authapp.domain.one_time_tokens import FoundToken as FoundToken
    from authapp.domain.own_exports import EXPORT_MAX_ITEMS as EXPORT_MAX_ITEMS
    from authapp.domain.own_exports import export_sections as export_sections
    from authapp.domain.passwords.checks import password_checks as password_checks
    from authapp.domain.providers import code_flow as code_flow
    from authapp.domain.providers.flows import ProviderFlow as ProviderFlow
    from authapp.domain.providers.kinds import AuthorizationResponse as AuthorizationResponse
    from authapp.domain.providers.kinds import ProviderClient as ProviderClient
    from authapp.domain.providers.kinds import ProviderResponseRefused as ProviderResponseRefused
    from authapp.domain.providers.kinds import ProviderTools as ProviderTools
    from authapp.domain.providers.kinds import ProviderUser as ProviderUser
    from authapp.domain.providers.kinds import provider_kinds as provider_kinds
    from authapp.domain.pruning import Prunable as Prunable
    from authapp.domain.pruning import prunables as prunables
    from authapp.domain.readiness_checks import HealthProblem as HealthProblem
    from authapp.domain.readiness_checks import readiness_checks as readiness_checks
    from authapp.domain.roles.permissions import permissions as permissions
    from authapp.domain.services import Services as Services
    from authapp.domain.sessions.authentication import AuthenticationResult as AuthenticationResult
    from authapp.domain.sessions.token_claims import token_claims as token_claims
    from authapp.domain.token_purposes import PurposeRule as PurposeRule
    from authapp.domain.token_purposes import token_purposes as token_purposes
    from authapp.domain.voiding_fields import voiding_fields as voiding_fields
    from authapp.extension import AuthApp as AuthApp
    from authapp.factory import create_app as create_app
    from authapp.security.foreign_hashes import HashFormat as HashFormat
    from authapp.security.foreign_hashes import hash_formats as hash_formats
    from authapp.tracing import span as span

_MODULES = {
    "authapp.api.authenticate": ["Authenticator", "current_principal"],
    "authapp.api.context": ["request_context"],
    "authapp.api.cors": ["request_headers", "response_headers"],
    "authapp.api.guards": [
        *("Guard", "accepts", "fresh", "limited", "mark", "multi_factor", "public", "recent", "requires", "verified"),
    ],
    "authapp.api.openapi": ["Blueprint", "refuses"],
    "authapp.api.requirements": ["Requirement"],
    "authapp.api.token_kinds": ["TokenKind"],
    "authapp.api.trusted_proxies": ["TrustedProxies"],
    "authapp.cli.alembic_env": ["run_project_migrations"],
    "authapp.cli.checks": ["CheckLevel", "CheckResult", "doctor_checks"],
    "authapp.config": ["MailServer", "ProviderSettings", "RateLimit", "Settings", "SettingsError", "rate_limits"],
    "authapp.context": ["OPERATOR", "Principal", "RequestContext"],
    "authapp.database.session": ["db", "transaction"],
    "authapp.domain": ["audit", "hooks", "one_time_tokens"],
    "authapp.domain.account_parts": ["AccountPart", "PartTools", "account_parts"],
    "authapp.domain.audit": ["event_types"],
    "authapp.domain.database_metrics": ["database_metrics"],
    "authapp.domain.email.address_proofs": ["use_token"],
    "authapp.domain.email.factor_notices": ["factor_mail_kinds"],
    "authapp.domain.email.link_confirmations": ["LinkConfirmation"],
    "authapp.domain.own_exports": ["EXPORT_MAX_ITEMS", "export_sections"],
    "authapp.domain.factors.kinds": [
        "CodeRules",
        "FactorAttempt",
        "FactorKind",
        "FactorTools",
        "Prover",
        "SecondStep",
        "deletes_rows",
        "factor_kinds",
    ],
    "authapp.domain.factors.stored_keys": ["EncryptedTable", "encrypted_tables"],
    "authapp.domain.imports.formats": ["ImportFormat", "import_formats"],
    "authapp.domain.mail": ["outbox", "recipients"],
    "authapp.domain.mail.kinds": ["MailKind", "Recipient", "mail_kinds"],
    "authapp.domain.mail.transports": [
        "RecipientRefused",
        "ServerUnavailable",
        "TemporaryFailure",
        "Transport",
        "TransportKind",
        "mail_transports",
    ],
    "authapp.domain.one_time_tokens": ["FoundToken"],
    "authapp.domain.passwords.checks": ["password_checks"],
    "authapp.domain.providers": ["code_flow"],
    "authapp.domain.providers.flows": ["ProviderFlow"],
    "authapp.domain.providers.kinds": [
        "AuthorizationResponse",
        "ProviderResponseRefused",
        "ProviderClient",
        "ProviderTools",
        "ProviderUser",
        "provider_kinds",
    ],
    "authapp.domain.pruning": ["Prunable", "prunables"],
    "authapp.domain.readiness_checks": ["HealthProblem", "readiness_checks"],
    "authapp.domain.roles.permissions": ["permissions"],
    "authapp.domain.services": ["Services"],
    "authapp.domain.sessions.authentication": ["AuthenticationResult"],
    "authapp.domain.sessions.token_claims": ["token_claims"],
    "authapp.domain.token_purposes": ["PurposeRule", "token_purposes"],
    "authapp.domain.voiding_fields": ["voiding_fields"],
    "authapp.extension": ["AuthApp"],
    "authapp.factory": ["create_app"],
    "authapp.security.foreign_hashes": ["HashFormat", "hash_formats"],
    "authapp.tracing": ["span"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
# One list for people and one for type checkers are enough: a test compares them.
__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - it is computed


def __getattr__(name: str) -> Any:
    # Imported on first use (PEP 562): gunicorn's master imports authapp.serving, and must not load the application.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULE_OF[name])
    return getattr(module, name) if hasattr(module, name) else import_module(f"{_MODULE_OF[name]}.{name}")
