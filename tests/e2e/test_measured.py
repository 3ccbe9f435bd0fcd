"""Jobs whose length comes from a file: the most is held, what was measured is charged, through a real worker."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from tests.e2e.harness import Server, call, eventually

# Of the server's own samples: 4 seconds of video, 3.6 of speech.
_CLIP_SECONDS: Final = 4.0
_SPEECH_SECONDS: Final = 3.6


def sample(server: Server, name: str) -> str:
    return f"{server.url}/api-platform/files/{name}"


def held(server: Server) -> float:
    found: float = call("GET", f"{server.url}/api/v1/credits", key=server.key).json["held"]
    return found


@pytest.mark.parametrize(
    ("model", "inputs", "quoted", "rate", "seconds"),
    [
        pytest.param("happyhorse-1.0-video-edit", {"prompt": "Make it winter"}, 15 * 4, 4, _CLIP_SECONDS, id="an edit"),
        pytest.param(
            "kling-motion-control", {"video_duration": 6}, 6 * 3, 3, _CLIP_SECONDS, id="motion control, its length said"
        ),
        pytest.param("p-video-avatar", {"resolution": "720p"}, 60 * 1, 1, _SPEECH_SECONDS, id="an avatar"),
        pytest.param(
            "p-video", {"prompt": "A harbour"}, 20 * 0.5, 0.5, _SPEECH_SECONDS, id="a clip that follows sound"
        ),
    ],
)
def test_the_most_is_held_and_the_measured_length_is_charged(
    server: Server, model: str, inputs: Mapping[str, Any], quoted: float, rate: float, seconds: float
) -> None:
    body = {**inputs, **sources(server, model)}
    accepted = server.run(model, body)
    assert (accepted.status, accepted.json["creditCost"]) == (202, quoted)
    job = server.ended(accepted.json["jobId"])
    assert job["status"] == "completed", job["error"]
    assert job["creditCost"] == pytest.approx(rate * seconds)
    assert job["creditCost"] < quoted
    assert job["assets"][0]["durationSeconds"] == pytest.approx(seconds, abs=0.05)
    # The server's own first job may still be under way.
    eventually(lambda: held(server) == 0, what="nothing is held any more")


def test_lip_sync_costs_what_it_says_however_long(server: Server) -> None:
    accepted = server.run("lip-sync", sources(server, "lip-sync"))
    job = server.ended(accepted.json["jobId"])
    assert (job["status"], job["creditCost"], accepted.json["creditCost"]) == ("completed", 5, 5)


def test_a_source_longer_than_said_is_refused_uncharged_and_unseen_by_any_upstream(server: Server) -> None:
    calls = server.sandbox_calls()
    accepted = server.run("kling-motion-control", {**sources(server, "kling-motion-control"), "video_duration": 3})
    assert accepted.json["creditCost"] == 9
    job = server.ended(accepted.json["jobId"])
    assert (job["status"], job["creditCost"], job["error"]["code"]) == ("failed", 0, "invalid_input")
    assert "it is 4.0 seconds long, and video_duration says 3" in job["error"]["message"]
    assert server.sandbox_calls() == calls


def sources(server: Server, model: str) -> dict[str, str]:
    """Return the media of a request for a model."""
    names = {"image_url": "picture.jpg", "video_url": "clip.mp4", "audio_url": "speech.mp3"}
    wanted = {
        "happyhorse-1.0-video-edit": ("video_url",),
        "kling-motion-control": ("image_url", "video_url"),
        "p-video-avatar": ("image_url", "audio_url"),
        "p-video": ("audio_url",),
        "lip-sync": ("video_url", "audio_url"),
    }
    return {name: sample(server, names[name]) for name in wanted[model]}
