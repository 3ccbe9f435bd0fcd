"""Where an upstream's word, type or endpoint is another than the user's, or than its own documents say."""

from tests.catalog.trap import CLIP, IMAGE, SOUND, Trap

TRAPS = (
    # Words that mean something else upstream.
    Trap(
        "what is called prompt is spoken",
        "heygen-avatar",
        {"script": "Welcome."},
        "fal",
        "fal-ai/heygen/avatar4/",
        {"prompt": "Welcome."},
        ("script",),
    ),
    Trap(
        "prompt is an alias of script", "heygen-avatar", {"script": None, "prompt": "Hi"}, "fal", "", {"prompt": "Hi"}
    ),
    Trap(
        "rewriting is switched off, not on",
        "p-video-avatar",
        {"enhance_prompt": False},
        "replicate",
        "prunaai/p-video-avatar",
        {"disable_prompt_upsampling": True},
    ),
    Trap(
        "lengths are milliseconds",
        "text-to-music",
        {"duration": 12},
        "replicate",
        "elevenlabs/music",
        {"music_length_ms": 12_000},
        ("duration",),
    ),
    Trap(
        "one picture stands where a list is wanted",
        "change-camera-angle",
        {"image_url": IMAGE},
        "fal",
        "",
        {"image_urls": [IMAGE]},
        ("image_url",),
    ),
    Trap(
        "one reference is taken, as it is",
        "video-transform",
        {"image_urls": [IMAGE]},
        "replicate",
        "runwayml/gen4-aleph",
        {"reference_image": IMAGE},
    ),
    Trap(
        "several LoRAs are one text",
        "creative-upscale",
        {"loras": ["https://example.com/a", "https://example.com/b"]},
        "replicate",
        "philz1337x/clarity-upscaler:",
        {"lora_links": "https://example.com/a,https://example.com/b"},
    ),
    # Numbers as text, and text as numbers: the types of fal's own client show every list of numbers as text.
    *(
        Trap("fal wants a number here", model, given, "fal", "", {"duration": seconds})
        for model, given, seconds in (
            ("wan-2.7-t2v", {}, 5),
            ("wan-2.7-i2v", {"duration": 2}, 2),
            ("wan-video-edit", {}, 0),
            ("ltx-2-fast-t2v", {}, 6),
            ("ltx-2-pro-i2v", {}, 6),
            ("happyhorse-1.0-t2v", {}, 5),
            ("pixverse-v6", {}, 5),
        )
    ),
    *(
        Trap("fal wants a text here", model, given, "fal", "", {"duration": seconds})
        for model, given, seconds in (
            ("wan-2.6-standard", {}, "5"),
            ("wan-reference-to-video", {"duration": 10}, "10"),
            ("kling-v2-6", {}, "5"),
            ("kling-video-v3-standard-text", {}, "5"),
            ("pixverse", {}, "5"),
            ("seedance-1.5", {}, "5"),
            ("seedance-2-high", {}, "5"),
            ("hailuo-standard", {}, "6"),
            ("veo-3.1-fast", {}, "8s"),
        )
    ),
    Trap(
        "the creative upscaler wants 2x, the precise one 2",
        "magnific-upscaler",
        {},
        "magnific",
        "image-upscaler",
        {"scale_factor": "2x", "filter_nsfw": True},
    ),
    Trap(
        "the creative upscaler wants 2x, the precise one 2",
        "magnific-upscaler",
        {"mode": "precision"},
        "magnific",
        "image-upscaler-precision-v2",
        {"scale_factor": 2},
    ),
    Trap("tiers are written in capitals", "wan-2.7-i2v", {}, "dashscope", "", {"parameters.resolution": "720P"}),
    Trap("tiers are written small", "xai-image", {}, "xai", "", {"resolution": "1k"}),
    Trap(
        "a size is a text with a star",
        "qwen-image-plus",
        {"aspect_ratio": "4:3"},
        "dashscope",
        "qwen-image-plus@",
        {"parameters.size": "1472*1104"},
    ),
    Trap(
        "a size is a text with a star",
        "wan-2.6-standard",
        {"resolution": "1080p", "aspect_ratio": "1:1"},
        "dashscope",
        "wan2.6-t2v@",
        {"parameters.size": "1440*1440"},
    ),
    # Where an endpoint knows less than the model.
    *(
        Trap("fal's endpoint for 1080p has no length", model, given, "fal", start, {}, ("duration", "resolution"))
        for model, given, start in (
            ("hailuo-standard", {"resolution": "1080p"}, "fal-ai/minimax/hailuo-2.3/pro/text-to-video"),
            (
                "hailuo-standard",
                {"resolution": "1080p", "image_url": IMAGE},
                "fal-ai/minimax/hailuo-2.3/pro/image-to-video",
            ),
            ("hailuo-fast", {"resolution": "1080p"}, "fal-ai/minimax/hailuo-2.3-fast/pro/image-to-video"),
        )
    ),
    Trap(
        "the upstream refuses seven seconds",
        "wan-2.7-i2v-spicy",
        {"duration": 7},
        "wavespeed",
        "alibaba/wan-2.7/",
        {"duration": 10},
    ),
    *(
        Trap(
            "OpenAI's edits are a form without moderation",
            model,
            {},
            "openai",
            start,
            {"image": ["https://example.com/picture.jpg"]},
            ("moderation", "images"),
        )
        for model, start in (
            ("gpt-image-1-5-edit", "gpt-image-1.5@images/edits"),
            ("gpt-image-2-edit", "gpt-image-2@images/edits"),
            ("openai-image-1-edit", "gpt-image-1-mini@images/edits"),
        )
    ),
    Trap(
        "GPT Image 2 refuses input_fidelity",
        "gpt-image-2-edit",
        {},
        "openai",
        "gpt-image-2@",
        {},
        ("input_fidelity",),
    ),
    Trap(
        "a mask is a file of the form",
        "gpt-image-2-edit",
        {"mask_url": f"{IMAGE}?mask"},
        "openai",
        "gpt-image-2@images/edits",
        {"mask": f"{IMAGE}?mask"},
    ),
    Trap(
        "xAI's edits are JSON with objects",
        "xai-image-edit",
        {},
        "xai",
        "grok-imagine-image@images/edits",
        {"image.url": "https://example.com/picture.jpg", "response_format": "url"},
    ),
    Trap("a shape is not known for video at xAI", "xai-video", {}, "xai", "", {}, ("aspect_ratio",)),
    *(
        Trap("Runware's type has no seed", model, {}, "runware", start, {"taskType": "imageInference"}, ("seed",))
        for model, start in (
            ("p-image", "prunaai:1@1"),
            ("p-image-edit", "prunaai:2@1"),
            ("imagineart", "imagineart:1@5"),
        )
    ),
    Trap(
        "frames and a size exclude one another at Runware",
        "pixverse-v6",
        {"image_url": IMAGE},
        "runware",
        "pixverse:1@8",
        {"resolution": "720p"},
        ("width", "height"),
    ),
    Trap(
        "fal's shape of a first frame is its own",
        "happyhorse-1.0-i2v",
        {},
        "fal",
        "alibaba/happy-horse/image-to-video",
        {},
        ("aspect_ratio",),
    ),
    Trap(
        "a driving sound is one of the media",
        "wan-2.7-i2v",
        {"audio_url": SOUND},
        "dashscope",
        "wan2.7-i2v@",
        {"input.media.1": {"type": "driving_audio", "url": SOUND}},
    ),
    Trap(
        "the clip comes before the pictures",
        "happyhorse-1.0-video-edit",
        {"video_url": CLIP, "image_urls": [IMAGE]},
        "dashscope",
        "",
        {"input.media.0": {"type": "video", "url": CLIP}, "input.media.1": {"type": "reference_image", "url": IMAGE}},
    ),
    # Ids that upstreams have retired.
    *(
        Trap("gpt-image-1 was shut down", model, {}, "openai", "gpt-image-1-mini@")
        for model in ("openai-image-1", "openai-image-1-edit")
    ),
    *(
        Trap("Gen-4 was replaced", model, {}, "replicate", "runwayml/gen-4.5")
        for model in ("runway-gen4", "runway-video", "runway-gen4-video")
    ),
    Trap("the id says 4, the list 4.5", "seedream-4", {}, "replicate", "bytedance/seedream-4.5"),
)
