"""Which upstreams a job goes to, in which order, and in whose words."""

import base64
from typing import Any

from tests.unit.worker.workshop import ScriptedProvider, Workshop, clip, picture, refused

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.core.output_facts import OutputFacts
from pixeldojo.providers.contract import UpstreamErrorKind


async def routes(shop: Workshop, key: ApiKey, *names: str, sound: bool = False) -> list[str]:
    """Return the upstreams that an edit is offered to, in order, when those of that name are set up."""
    asked: list[str] = []

    def busy(name: str) -> ScriptedProvider:
        async def note() -> None:
            asked.append(name)
            raise refused(UpstreamErrorKind.UNAUTHORIZED)

        return ScriptedProvider(name, to_submit=[note])  # type: ignore[list-item]  # it never returns

    shop.set_up(*(busy(name) for name in names))
    given: dict[str, Any] = {"audio_url": shop.fetcher.put("sound", clip(1.0, kind="audio"))} if sound else {}
    url = shop.fetcher.put("1.png", picture())
    await shop.carry(await shop.submit(key, "edit", image_urls=[url], **given))
    return asked


async def test_a_live_job_goes_to_the_upstreams_that_are_set_up_in_the_catalogs_order(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    assert await routes(shop, key, "gamma", "alpha") == ["alpha", "gamma"]
    assert await routes(shop, key, "gamma", "beta") == ["gamma"]
    assert await routes(shop, key, "sandbox", "beta") == []


async def test_an_upstream_that_cannot_take_the_input_is_left_out(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    assert await routes(shop, key, "gamma", "alpha", sound=True) == ["alpha"]


async def test_a_test_job_goes_to_the_sandbox_whatever_is_set_up(shop: Workshop, key: ApiKey) -> None:
    assert await routes(shop, key, "alpha", "sandbox", "gamma") == ["sandbox"]


async def test_an_upstream_is_called_in_its_own_words(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    alpha = ScriptedProvider("alpha")
    shop.set_up(alpha)
    urls = [shop.fetcher.put(f"{n}.png", picture(width=300 + n, height=200)) for n in range(2)]
    lora = "https://files.test/weights"
    await shop.carry(await shop.submit(key, "edit", image_urls=urls, lora_url=lora))
    [call] = alpha.calls
    assert (call.model_id, call.task, call.endpoint) == ("edit", "image-edit", "alpha/edit")
    # The size follows the first picture, so the call was made with its measures.
    assert call.arguments == {
        "prompt": "Make it night",
        "inputs": {"pictures": urls},
        "weights": lora,
        "width": 300,
        "height": 200,
    }
    assert call.input["image_urls"] == urls
    assert OutputFacts.from_json(call.output).kind == "image"
    assert call.rehearsal is None


async def test_the_sandbox_is_called_in_our_words(shop: Workshop, key: ApiKey) -> None:
    job_id = await shop.submit(key, num_outputs=2)
    await shop.carry(job_id)
    [call] = shop.upstream.calls
    assert call.arguments == call.input == {"prompt": "A lantern", "num_outputs": 2}
    assert (call.job_id, call.endpoint) == (job_id, "picture")


async def test_a_picture_inside_the_request_reaches_the_upstream_as_the_caller_gave_it(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    alpha = ScriptedProvider("alpha")
    shop.set_up(alpha)
    inline = f"data:image/png;base64,{base64.b64encode(picture(width=5)).decode()}"
    last = shop.fetcher.put("2.png", picture())
    await shop.carry(await shop.submit(key, "edit", image_urls=[inline, last]))
    assert alpha.calls[0].arguments["inputs"] == {"pictures": [inline, last]}


class Closed(ScriptedProvider):
    """An upstream that fetches nothing."""

    largest_media_bytes = 400


async def test_an_upstream_that_fetches_nothing_gets_every_file_inside_the_request(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    alpha = Closed("alpha")
    shop.set_up(alpha)
    contents = [picture(width=width) for width in (5, 6)]
    urls = [shop.fetcher.put(f"{number}.png", content) for number, content in enumerate(contents)]
    await shop.carry(await shop.submit(key, "edit", image_urls=urls))
    sent = [f"data:image/png;base64,{base64.b64encode(content).decode()}" for content in contents]
    assert alpha.calls[0].arguments["inputs"] == {"pictures": sent}


async def test_what_does_not_fit_into_a_request_of_the_first_upstream_goes_to_the_next(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    alpha, gamma = Closed("alpha"), ScriptedProvider("gamma")
    shop.set_up(alpha, gamma)
    urls = [shop.fetcher.put(f"{number}.png", picture(width=number)) for number in range(100, 103)]
    job_id = await shop.submit(key, "edit", image_urls=urls)
    await shop.carry(job_id)
    assert (await shop.ending(key, job_id))[0] == "completed"
    assert (alpha.calls, len(gamma.calls)) == ([], 1)


async def test_more_than_fits_into_a_request_is_not_sent(shop: Workshop) -> None:
    key = await shop.key(KeyMode.LIVE)
    alpha = Closed("alpha")
    shop.set_up(alpha)
    urls = [shop.fetcher.put(f"{number}.png", picture(width=number)) for number in range(100, 103)]
    job_id = await shop.submit(key, "edit", image_urls=urls)
    await shop.carry(job_id)
    assert (await shop.ending(key, job_id))[:2] == ("failed", "invalid_input")
    message = (await shop.job(job_id)).error_message or ""
    assert message.startswith("image_urls: the files have ")
    assert message.endswith("the upstream takes up to 400 bytes in a request. Send smaller ones.")
    assert alpha.calls == []
