"""Who is calling: from the Authorization header to an API key with its scope and its rate."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from pixeldojo.accounts.keys import ApiKey, Scope
from pixeldojo.api.limits import count_request, counted_address
from pixeldojo.api.services import Services
from pixeldojo.core.errors import Forbidden, Unauthorized

# Wrong keys from one address in a minute before it has to wait.
_FAILURES_PER_MINUTE = 60


def services_of(request: Request) -> Services:
    """Return the services this application was built with."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


@dataclass(frozen=True, slots=True)
class NeedsKey:
    """A dependency that lets a request in only with a key that has the scope, and within its rate."""

    scope: Scope

    async def __call__(self, request: Request) -> ApiKey:
        """Return the key the request was made with."""
        services = services_of(request)
        key = await _identify(request, services)
        rate = key.rate_per_minute or services.settings.rate_per_minute
        await count_request(request, services, f"key:{key.id}", rate)
        if self.scope not in key.scopes:
            raise Forbidden(
                f"The API key {key.prefix}… lacks the scope {self.scope}; it has "
                f"{', '.join(sorted(key.scopes)) or 'none'}. Create a key with that scope."
            )
        return key


def needs(scope: Scope) -> NeedsKey:
    """Return the dependency of a route that takes keys with this scope; the OpenAPI document tells of it."""
    return NeedsKey(scope)


async def count_public(request: Request) -> None:
    """Count a request that needs no key against the limit of its address."""
    services = services_of(request)
    address = counted_address(request, services.settings)
    await count_request(request, services, f"address:{address}", services.settings.public_rate_per_minute)


async def is_still_let_in(request: Request) -> bool:
    """Whether the key that a long request was made with is still valid; it may be asked often."""
    try:
        await _authenticate(request, services_of(request))
    except Unauthorized:
        return False
    return True


async def _authenticate(request: Request, services: Services) -> ApiKey:
    scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "bearer" or not secret:
        raise Unauthorized("This endpoint needs an API key: send 'Authorization: Bearer pd_…'.")
    return await services.accounts.authenticate(secret)


async def _identify(request: Request, services: Services) -> ApiKey:
    try:
        return await _authenticate(request, services)
    except Unauthorized:
        address = counted_address(request, services.settings)
        await count_request(request, services, f"refused:{address}", _FAILURES_PER_MINUTE)
        raise
