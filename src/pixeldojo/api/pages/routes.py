"""/api-platform: the pages that people read: the list of models, one page for each, a reference, how to get a key.

Owns the addresses and the headers; the pages need no JavaScript but for the reference. They are no operations of the
API, so the OpenAPI document does not tell of them. Each is made when it is first asked for, and kept.
"""

from functools import cached_property, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from pixeldojo.api.auth import count_public, services_of
from pixeldojo.api.pages.files import PageFiles
from pixeldojo.api.published import Published
from pixeldojo.api.services import Services
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import NotFound

if TYPE_CHECKING:
    from pixeldojo.api.pages.templating import Templates

PREFIX: Final = "/api-platform"
_HTML: Final = "text/html; charset=utf-8"
# A long file name that nothing is called by costs little to compare, and no page is longer than its neighbours.
_LONGEST_NAME: Final = 100
# Nothing but this server's own style; no script at all.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# The reference runs its own program, and calls this server.
_REFERENCE_POLICY: Final = f"{_POLICY}; script-src 'self'; connect-src 'self'"


router = APIRouter()


class Pages:
    """The pages of one app."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._base = services.settings.base_url
        self._prefix = urlsplit(self._base).path
        self.index = Published(_HTML, self._render_index)
        self.home = f"{self._prefix}{PREFIX}"
        self.reference = Published(_HTML, lambda: self._templates.render("reference.html"))
        self.keys = Published(_HTML, self._render_keys)
        self._models = {
            model.id: Published(_HTML, partial(self._render_model, model)) for model in services.catalog.models
        }

    @cached_property
    def files(self) -> PageFiles:
        """The files that the pages refer to."""
        return PageFiles()

    def model(self, model_id: str) -> Published | None:
        """Return the page of a model."""
        return self._models.get(model_id)

    def missing(self, model_id: str) -> bytes:
        """Return the page for an id that no model has, with the nearest that one has."""
        near = self._services.catalog.nearest(model_id)
        return self._templates.render("missing.html", model_id=model_id[:_LONGEST_NAME], near=near)

    @cached_property
    def _templates(self) -> "Templates":
        from pixeldojo.api.pages.templating import Templates  # noqa: PLC0415  not loaded before the first page

        return Templates(self._prefix, self.files.stamps())

    def _render_index(self) -> bytes:
        from pixeldojo.api.pages.model_page import listed_models  # noqa: PLC0415  as above

        models = self._services.catalog.models
        sections = listed_models(self._services.catalog)
        return self._templates.render("models.html", sections=sections, total=len(models))

    def _render_keys(self) -> bytes:
        from pixeldojo.api.pages.examples import new_key_line  # noqa: PLC0415  as above

        return self._templates.render("keys.html", command=new_key_line(self._base))

    def _render_model(self, model: Model) -> bytes:
        from pixeldojo.api.pages.model_page import model_page  # noqa: PLC0415  as above

        samples = f"{self._base}{PREFIX}/files"
        page = model_page(model, self._base, samples, self._services.live_providers)
        return self._templates.render("model.html", page=page)


@router.route("/", methods=["GET"])
async def get_home(request: Request) -> Response:
    """Lead whoever opens the server's bare address to the list of models."""
    await count_public(request)
    return RedirectResponse(_pages_of(request).home)


@router.route(PREFIX, methods=["GET"])
async def get_index(request: Request) -> Response:
    """Answer with the list of all models."""
    return await _answer(request, _pages_of(request).index)


@router.route(f"{PREFIX}/documentation", methods=["GET"])
async def get_reference(request: Request) -> Response:
    """Answer with the interactive reference of /api/openapi."""
    return await _answer(request, _pages_of(request).reference, _REFERENCE_POLICY)


@router.route(f"{PREFIX}/api-keys", methods=["GET"])
async def get_keys(request: Request) -> Response:
    """Answer with how to get a key."""
    return await _answer(request, _pages_of(request).keys)


@router.route(f"{PREFIX}/{{apiId}}", methods=["GET"])
async def get_model(request: Request) -> Response:
    """Answer with the page of a model, or with one that says there is none."""
    pages, model_id = _pages_of(request), request.path_params["apiId"]
    page = pages.model(model_id)
    if page is not None:
        return await _answer(request, page)
    await count_public(request)
    return _protected(Response(pages.missing(model_id), 404, media_type=_HTML))


@router.route(f"{PREFIX}/files/{{name}}", methods=["GET"])
async def get_file(request: Request) -> Response:
    """Answer with a file that pages refer to."""
    pages, name = _pages_of(request), request.path_params["name"]
    file = pages.files.find(name)
    if file is None:
        await count_public(request)
        raise NotFound("No page refers to a file of this name.")
    return await _answer(request, file)


async def _answer(request: Request, published: Published, policy: str = _POLICY) -> Response:
    await count_public(request)
    return _protected(await published.answer(request), policy)


def _protected(response: Response, policy: str = _POLICY) -> Response:
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _pages_of(request: Request) -> Pages:
    assert services_of(request)
    pages = request.app.state.pages
    assert isinstance(pages, Pages)
    return pages
