"""xAI's images and videos as a server on loopback.

Images after docs.x.ai and openai 3.54.0, whose `images.generate` drives them in tests/providers/test_xai_client.py.
xAI's own client speaks gRPC alone, so edits and videos are recorded shapes: those that vercel/ai's packages/xai and
docs.x.ai show, November 2026.
"""

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_RATIO = re.compile(r"auto|\d{1,2}(?:\.\d)?:\d{1,2}(?:\.\d)?")
_TICKS: Final = 200_000_000
_MOST_PICTURES: Final = 10
_LONGEST_CLIP: Final = 15

_IMAGE_MEMBERS: Final = frozenset(
    {"model", "prompt", "n", "response_format", "aspect_ratio", "resolution", "quality", "user"}
)
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "images/generations": _IMAGE_MEMBERS,
    "images/edits": _IMAGE_MEMBERS | {"image", "images"},
    "videos/generations": frozenset(
        {"model", "prompt", "duration", "aspect_ratio", "resolution", "image", "reference_images"}
    ),
    "videos/edits": frozenset({"model", "prompt", "video"}),
    "videos/extensions": frozenset({"model", "prompt", "duration", "video"}),
}
_TIERS: Final = {"images": frozenset({"1k", "2k"}), "videos": frozenset({"480p", "720p"})}
_REFUSED: Final = "Content violates usage guidelines. Team: t-1, API key ID: k-1, Failed check: SAFETY_CHECK_TYPE_BIO"


class XaiEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/v1`."""

    name: ClassVar[str] = "xai"
    usual_key: ClassVar[str] = "xai-emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: (429, {"error": "Too many requests."}, {"Retry-After": str(_BUSY_SECONDS)}),
        Trouble.BUSY_QUIET: (429, {"code": "resource-exhausted", "error": "Too many requests."}, {}),
        Trouble.AWAY: (503, {"error": "The service is at capacity."}, {}),
        Trouble.BROKEN: (500, {"error": {"message": "Internal error", "type": "server_error", "code": None}}, {}),
        Trouble.QUOTA: (403, {"code": "permission-denied", "error": "Your team has used all its credits."}, {}),
        Trouble.WRONG_KEY: (400, {"code": "invalid-argument", "error": "Incorrect API key provided: xa***ed."}, {}),
        Trouble.BAD_INPUT: (422, {"code": "invalid-argument", "error": "The prompt is too long."}, {}),
    }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/{path:images/(?:generations|edits)}", self._submit),
            web.post("/v1/{path:videos/(?:generations|edits|extensions)}", self._submit),
            web.get("/v1/videos/{id}", self._get),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        if work.kind != "image":
            return 200, {"request_id": work.id}
        return 200, {"data": self._pictures(work), "usage": {"cost_in_usd_ticks": _TICKS}}

    async def _submit(self, request: web.Request) -> Answer:
        self._check_key(request)
        path = request.match_info["path"]
        given = read_json_object(request, await request.read(), _unfit)
        unknown = sorted(set(given) - _MEMBERS[path])
        if unknown:
            raise _unfit(f"unknown field `{unknown[0]}`")
        endpoint = f"{given.get('model')}@{path}"
        if endpoint not in self.kinds:
            raise Refusal(404, {"code": "not-found", "error": f"The model {given.get('model')} does not exist."})
        _check_values(given, _TIERS[path.partition("/")[0]])
        _check_media(path, given)
        work = Work(
            id=str(uuid.uuid4()),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments=given,
            wish=self.wish_in(given),
            callback_url=None,
            count=self.count_in(given),
            is_done=path.startswith("images/"),
        )
        return await self.take(request, work)

    async def _get(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None or work.kind == "image":
            raise Refusal(404, {"code": "not-found", "error": "No such request."})
        replaced = await self.asked(request, work)
        if replaced is not None:
            return replaced
        if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
            return web.json_response({"status": "hibernating"})
        if not work.is_done:
            # Of a clip that has only begun, nothing is said.
            return web.Response(status=202) if work.polls == 1 else web.json_response(_PENDING, status=202)
        return web.json_response(self._clip(work))

    def _clip(self, work: Work) -> Mapping[str, Any]:
        if work.wants(Trouble.STOPPED):
            return {"status": "expired"}
        if work.wants(Trouble.FAILED):
            error = {"code": "internal_error", "message": "The video could not be generated."}
            return {"status": "failed", "error": error}
        urls = self.file_urls(work)
        video: dict[str, Any] = {"duration": 6, "respect_moderation": not work.wants(Trouble.MODERATED)}
        if video["respect_moderation"] and urls:
            video["url"] = urls[0]
        return {
            "status": "done",
            "progress": 100,
            "model": work.arguments["model"],
            "video": video,
            "usage": {"cost_in_usd_ticks": _TICKS},
        }

    def _pictures(self, work: Work) -> list[Mapping[str, Any]]:
        """The pictures; those that moderation took away say so, and nothing else."""
        is_inline = work.arguments.get("response_format") == "b64_json"
        content = base64.b64encode(self.content_of(work)).decode()
        pictures: list[Mapping[str, Any]] = []
        for number, url in enumerate(self.file_urls(work)):
            if work.wants(Trouble.MODERATED) or (work.wants(Trouble.PARTIAL) and number == 0):
                pictures.append({"revised_prompt": "", "respect_moderation": False})
                continue
            picture = {"b64_json": content} if is_inline else {"url": url}
            pictures.append({**picture, "revised_prompt": "", "respect_moderation": True})
        return pictures

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            raise Refusal(401, {"error": "No API key was provided."})
        if given != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)


_PENDING: Final = {"status": "pending", "progress": 40}


def _unfit(why: str) -> Refusal:
    return Refusal(422, {"code": "invalid-argument", "error": f"Failed to deserialize the JSON body: {why}"})


def _check_values(given: Mapping[str, Any], tiers: frozenset[str]) -> None:
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise _unfit("missing field `prompt`")
    if "guidelines" in prompt:
        raise Refusal(403, {"code": "permission-denied", "error": _REFUSED})
    allowed: Mapping[str, bool] = {
        "n": _is_within(given.get("n", 1), _MOST_PICTURES),
        "duration": _is_within(given.get("duration", 1), _LONGEST_CLIP),
        "response_format": given.get("response_format", "url") in {"url", "b64_json"},
        "aspect_ratio": bool(_RATIO.fullmatch(str(given.get("aspect_ratio", "auto")))),
        "resolution": "resolution" not in given or given["resolution"] in tiers,
    }
    for name, is_allowed in allowed.items():
        if not is_allowed:
            raise _unfit(f"invalid value for `{name}`: {given.get(name)!r}")


def _is_within(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _check_media(path: str, given: Mapping[str, Any]) -> None:
    """Refuse what could not be fetched, and an edit of nothing."""
    media = [given[name] for name in ("image", "video") if name in given]
    for name in ("images", "reference_images"):
        listed = given.get(name, [])
        if not isinstance(listed, list):
            raise _unfit(f"`{name}` is no list")
        media += listed
    if not media and path not in {"images/generations", "videos/generations"}:
        raise _unfit("nothing to edit")
    for item in media:
        if not isinstance(item, dict) or not str(item.get("url")).startswith(("https://", "data:")):
            raise _unfit("a picture or clip is an object with a `url` that begins with https:// or data:")
        if not set(item) <= {"url", "type"}:
            raise _unfit(f"unknown field among {sorted(item)}")
