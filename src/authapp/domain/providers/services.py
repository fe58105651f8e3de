"""The use cases of providers, wired for one application."""

from dataclasses import dataclass
from typing import Self

from authapp.domain.core_services import CoreServices
from authapp.domain.factors.factor_changes import FactorChanges
from authapp.domain.providers import github, identity_part, openid  # noqa: F401 - they register them
from authapp.domain.providers.flows import Flows
from authapp.domain.providers.kinds import ProviderTools
from authapp.domain.providers.links import ProviderLinks
from authapp.domain.providers.logins import ProviderLogins
from authapp.domain.providers.providers import Provider, Providers
from authapp.domain.sessions.sessions import Sessions
from authapp.domain.users.accounts import Accounts


@dataclass(frozen=True)
class ProviderServices:
    """The use cases of providers."""

    configured: Providers
    logins: ProviderLogins
    links: ProviderLinks

    @classmethod
    def build(cls, core: CoreServices, accounts: Accounts, sessions: Sessions, changes: FactorChanges) -> Self:
        """Create the use cases. Raises ``KeyError`` for a kind of provider that is not registered."""
        settings = core.settings
        tools = ProviderTools(leeway=settings.leeway)
        by_name = {name: Provider(each, tools) for name, each in (settings.providers or {}).items()}
        providers = Providers(by_name, Flows(core.challenges), settings.redirect_uris or ())
        must_verify = settings.email_verification == "required"
        return cls(
            configured=providers,
            logins=ProviderLogins(providers, accounts, sessions, core.hooks, must_verify=must_verify),
            links=ProviderLinks(providers, changes),
        )
