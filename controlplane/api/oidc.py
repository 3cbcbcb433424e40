"""`/login/methods` and `/login/oidc`: how one may sign in, and by which providers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from controlplane.access.page_address import own_address, own_prefix
from controlplane.access.session_tokens import cookie_text, read_cookie
from controlplane.api.operation import PUBLIC, Call, Query, Reply, View, operation
from controlplane.api.rendering import is_secure
from controlplane.api.sign_in import session_cookie, visitor_of
from controlplane.people.oidc import LIFETIME, begin_oidc, end_oidc
from controlplane.people.passkeys import relying_party

BROWSER_COOKIE: Final = "writ_sign_in"
Text = Annotated[str, Field(max_length=4_096)]


class ProviderView(View):
    """An OpenID provider one may sign in by."""

    name: str
    title: str
    path: str


class MethodsView(View):
    """How one may sign in here."""

    password: bool
    passkey_domain: str
    providers: list[ProviderView]


class CallbackQuery(Query):
    """What a provider sends back; what else it adds is left unread."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    state: Text = ""
    code: Text | None = None
    iss: Text | None = None


@operation("GET", "/api/v1/login/methods", permission=PUBLIC, result=MethodsView)
async def methods(call: Call) -> Any:
    """How one may sign in."""
    settings = call.hub.settings
    providers = [
        {"name": one.name, "title": one.title or one.name, "path": f"/api/v1/login/oidc/{one.name}"}
        for one in settings.oidc
    ]
    domain = relying_party(settings)
    return {"password": True, "passkeyDomain": domain, "providers": providers}


@operation(
    "GET",
    "/api/v1/login/oidc/{name}",
    permission=PUBLIC,
    status=302,
    errors=("rate_limited", "provider_unreachable"),
)
async def begin(call: Call) -> Any:
    """Go to a provider to sign in."""
    name = call.path["name"]
    address = own_address(call.hub.settings.public_url, call.scheme, call.headers)
    found = await begin_oidc(
        call.hub,
        name,
        redirect_uri=f"{address}/api/v1/login/oidc/{name}/callback",
        visitor=visitor_of(call),
    )
    return Reply(
        b"",
        headers={"Location": found.url},
        cookies=(_browser_cookie(call, found.browser, int(LIFETIME.total_seconds())),),
    )


@operation(
    "GET",
    "/api/v1/login/oidc/{name}/callback",
    permission=PUBLIC,
    query=CallbackQuery,
    status=302,
    errors=("sign_in_failed", "rate_limited", "provider_unreachable"),
)
async def callback(call: Call) -> Any:
    """Come back from a provider, signed in."""
    query = call.query
    secure = is_secure(call.hub.settings, call.scheme)
    made = await end_oidc(
        call.hub,
        call.path["name"],
        state=query.state,
        code=query.code,
        issuer=query.iss,
        browser=read_cookie(call.headers, BROWSER_COOKIE, secure),
        visitor=visitor_of(call),
    )
    # Always to the same place: an address in the request would be an open redirect.
    home = own_prefix(call.hub.settings.public_url, call.headers) + "/"
    return Reply(
        b"",
        headers={"Location": home},
        cookies=(session_cookie(call, made), _browser_cookie(call, "", 0)),
    )


def _browser_cookie(call: Call, value: str, seconds: int) -> str:
    secure = is_secure(call.hub.settings, call.scheme)
    return cookie_text(BROWSER_COOKIE, value, seconds=seconds, secure=secure)


OPERATIONS = [methods, begin, callback]
