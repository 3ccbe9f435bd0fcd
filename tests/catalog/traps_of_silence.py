"""What upstreams make, add and charge when they are not told otherwise; told by what the binding says."""

from tests.catalog.trap import IMAGE, Trap

TRAPS = (
    # What is billed unless it is said.
    *(
        Trap(f"{model} makes and charges four pictures unless told a number", model, {}, "dashscope", start, {path: 1})
        for model, start, path in (
            ("wan-2.6-image", "wan2.6-t2i@", "parameters.n"),
            ("wan-2.6-image-edit", "wan2.6-image@", "parameters.n"),
            ("wan-2.7-image", "wan2.7-image@", "parameters.n"),
            ("wan-2.7-image-pro", "wan2.7-image-pro@", "parameters.n"),
            ("wan-2.7-image-edit", "wan2.7-image@", "parameters.n"),
            ("qwen-image-2.0", "qwen-image-2.0@", "parameters.n"),
            ("qwen-image-edit", "qwen-image-edit-plus@", "parameters.n"),
        )
    ),
    Trap(
        "twelve pictures are the default of a series",
        "wan-2.7-image",
        {"enable_sequential": True, "num_outputs": 6},
        "dashscope",
        "wan2.7-image@",
        {"parameters.n": 6, "parameters.enable_sequential": True},
    ),
    Trap(
        "interleaving answers with text and pictures, as many as it likes",
        "wan-2.6-image-edit",
        {},
        "dashscope",
        "wan2.6-image@",
        {"parameters.enable_interleave": False},
    ),
    *(
        Trap("high or auto is made", f"gpt-image-{quality}", given, provider, start, {"quality": quality})
        for quality in ("low", "medium", "high")
        for given, provider, start in (
            ({}, "replicate", "openai/gpt-image-1.5"),
            ({}, "fal", "fal-ai/gpt-image-1.5"),
            ({}, "openai", "gpt-image-1.5@images/generations"),
            ({"image_urls": [IMAGE]}, "openai", "gpt-image-1.5@images/edits"),
        )
    ),
    Trap(
        "2K is what the list's first price buys; upstream 1K is the default",
        "nano-banana-2",
        {},
        "replicate",
        "google/nano-banana-2",
        {"resolution": "2K"},
    ),
    Trap("fal makes 1K unless told", "nano-banana-pro", {}, "fal", "fal-ai/nano-banana-pro", {"resolution": "2K"}),
    *(
        Trap(f"{provider} makes 1080p, which costs half as much again", model, {}, provider, "", {path: tier})
        for model, provider, path, tier in (
            ("happyhorse-1.0-t2v", "dashscope", "parameters.resolution", "720P"),
            ("happyhorse-1.0-t2v", "fal", "resolution", "720p"),
            ("happyhorse-1.0-i2v", "fal", "resolution", "720p"),
            ("happyhorse-1.0-video-edit", "dashscope", "parameters.resolution", "720P"),
            ("wan-2.7-t2v", "fal", "resolution", "720p"),
            ("wan-2.6-standard", "fal", "resolution", "720p"),
        )
    ),
    Trap(
        "Replicate makes 1080p", "veo-3.1-fast", {"resolution": "720p"}, "replicate", "google/", {"resolution": "720p"}
    ),
    Trap("fal makes 720p", "veo-3.1-fast", {}, "fal", "fal-ai/veo3.1/fast", {"resolution": "1080p"}),
    # What is drawn or heard unless it is said.
    Trap(
        "400 pixels below and a zoom of 20 % are added by themselves",
        "outpaint",
        {"expand_left": 64, "expand_right": 0},
        "fal",
        "fal-ai/image-apps-v2/outpaint",
        {
            "expand_left": 64,
            "expand_right": 0,
            "expand_top": 0,
            "expand_bottom": 0,
            "zoom_out_percentage": 0,
        },
    ),
    *(
        Trap("a brand mark is stamped", f"happyhorse-1.0-{kind}", {}, "dashscope", "", {"parameters.watermark": False})
        for kind in ("t2v", "i2v", "r2v", "video-edit")
    ),
    Trap(
        "the mark of the character swap stands in the input",
        "wan-video-character-swap",
        {},
        "dashscope",
        "wan2.2-animate-mix@",
        {"input.watermark": False},
    ),
    *(
        Trap("Veo Lite comes with sound, which the list does not promise", "veo-3.1-lite", given, provider, start, says)
        for given, provider, start, says in (
            ({}, "runware", "google:veo@3.1-lite", {"providerSettings.google.generateAudio": False}),
            ({}, "fal", "fal-ai/veo3.1/lite", {"generate_audio": False}),
            ({"image_url": IMAGE}, "fal", "fal-ai/veo3.1/lite/image-to-video", {"generate_audio": False}),
        )
    ),
    *(
        Trap("sound is on at fal and off at Replicate", "seedance-1.5", {}, provider, start, {"generate_audio": True})
        for provider, start in (("fal", "fal-ai/bytedance/"), ("replicate", "bytedance/"))
    ),
    Trap(
        "fal's switch for sound has two names",
        "wan-reference-to-video",
        {"generate_audio": False},
        "fal",
        "wan/",
        {"generate_audio": False, "enable_audio": False},
    ),
    Trap(
        "only DashScope can leave the sound out",
        "wan-2.6-flash",
        {"generate_audio": False},
        "dashscope",
        "wan2.6-i2v-flash@",
        {"parameters.audio": False},
    ),
    *(
        Trap("fal cuts between shots for text alone", "wan-2.6-standard", given, "fal", "", {"multi_shots": False})
        for given in ({}, {"image_url": IMAGE})
    ),
    *(
        Trap(
            "Replicate takes the picture's pose, and the dearer mode",
            model,
            {},
            "replicate",
            "kwaivgi/",
            {"character_orientation": "video", "mode": mode},
        )
        for model, mode in (("kling-motion-control", "std"), ("kling-motion-control-pro", "pro"))
    ),
    *(
        Trap(
            "frames are added for text alone", "wan-2.2-standard", given, "replicate", "", {"interpolate_output": True}
        )
        for given in ({}, {"image_url": IMAGE})
    ),
    Trap(
        "the upstream's own list keeps animals out of every picture",
        "ponyxl-tponynai3-v7",
        {},
        "replicate",
        "delta-lock/ponynai3:",
        {"negative_prompt": "", "model": "tPonynai3_v7"},
    ),
)
