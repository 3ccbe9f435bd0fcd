"""One job of each kind of output, against a running server: the files decode and are what was asked for."""

from pathlib import Path
from typing import Any

from tests.e2e.harness import Server, call

from pixeldojo.media.facts import MediaFacts
from pixeldojo.media.measure import measure_file


def _made(server: Server, model: str, body: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[MediaFacts]]:
    """Run a job, fetch its files, and return the job and what its files are, measured by decoding them."""
    answer = server.run(model, body)
    assert answer.status == 202, answer.body
    job = server.ended(answer.json["jobId"])
    assert job["status"] == "completed", job["error"]
    assert job["creditCost"] == answer.json["creditCost"]
    facts = []
    for position, asset in enumerate(job["assets"]):
        path = folder / f"{job['jobId']}-{position}"
        path.write_bytes(call("GET", asset["url"]).body)
        measured = measure_file(path)
        assert measured.content_type == asset["contentType"]
        assert measured.size_bytes == asset["sizeBytes"]
        facts.append(measured)
    return job, facts


def test_video(server: Server, tmp_path: Path) -> None:
    body = {"prompt": "Waves at night", "duration": 4, "aspect_ratio": "9:16", "resolution": "720p"}
    job, (video,) = _made(server, "veo-3.1-fast", body, tmp_path)
    assert set(job["output"]) == {"video"}
    assert (video.kind, video.width, video.height) == ("video", 720, 1280)
    assert video.duration_seconds is not None
    assert abs(video.duration_seconds - 4) < 0.1
    assert video.has_audio
    assert job["creditCost"] == 12


def test_music(server: Server, tmp_path: Path) -> None:
    body = {"prompt": "A calm piano waltz", "duration": 7, "output_format": "wav_cd_quality"}
    job, (sound,) = _made(server, "text-to-music", body, tmp_path)
    assert set(job["output"]) == {"audio"}
    assert (sound.kind, sound.content_type) == ("audio", "audio/wav")
    assert sound.duration_seconds is not None
    assert abs(sound.duration_seconds - 7) < 0.01


def test_3d(server: Server, tmp_path: Path) -> None:
    job, (model,) = _made(server, "hunyuan-3d", {"prompt": "A stone well"}, tmp_path)
    assert set(job["output"]) == {"model"}
    assert (model.kind, model.content_type) == ("model3d", "model/gltf-binary")


def test_edit_of_our_own_output(server: Server, tmp_path: Path) -> None:
    """An output's address works as an input, and the edit keeps the source's shape."""
    first, (drawn,) = _made(
        server, "flux-1.1-pro", {"prompt": "A red barn", "aspect_ratio": "3:2", "output_format": "png"}, tmp_path
    )
    source = first["output"]["images"][0]
    job, (edited,) = _made(server, "p-image-edit", {"prompt": "Make it winter", "image_urls": [source]}, tmp_path)
    assert set(job["output"]) == {"images"}
    assert drawn.width is not None
    assert drawn.height is not None
    assert edited.width is not None
    assert edited.height is not None
    assert abs(edited.width / edited.height - drawn.width / drawn.height) < 0.05


def test_same_request_gives_the_same_bytes(server: Server, tmp_path: Path) -> None:
    body = {"prompt": "A glass city", "seed": 7}
    first, _ = _made(server, "flux-1.1-pro", body, tmp_path)
    second, _ = _made(server, "flux-1.1-pro", body, tmp_path)
    other, _ = _made(server, "flux-1.1-pro", {**body, "seed": 8}, tmp_path)
    assert first["assets"][0]["sha256"] == second["assets"][0]["sha256"]
    assert first["assets"][0]["sha256"] != other["assets"][0]["sha256"]
