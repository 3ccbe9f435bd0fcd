"""A broken file stops the start with the file, the place, the reason and what would be right."""

import pytest
from tests.unit.catalog.conftest import HEAD, PRICE, PROMPT, UPSTREAM, VIDEO_OUTPUT, MakeModel, WriteCatalog

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import cost_line, credit_cost_json, quote_price
from pixeldojo.catalog.schema import PROVIDERS
from pixeldojo.core.errors import ConfigurationError, NotFound

WHOLE = HEAD + PRICE + PROMPT + VIDEO_OUTPUT + UPSTREAM

RESOLUTION = """
[[parameters]]
name = "resolution"
type = "string"
enum = ["720p", "1080p"]
default = "720p"
description = "Size."
"""
DURATION = """
[[parameters]]
name = "duration"
type = "integer"
enum = [6, 10]
default = 6
description = "Seconds."
"""
FPS = '[[parameters]]\nname="fps"\ntype="integer"\nminimum=1\nmaximum=60\ndescription="Frames."\n'
STEPS = '[[parameters]]\nname="steps"\ntype="integer"\ndefault=9\ndescription="Steps."\n'
IMAGE_URL = """
[[parameters]]
name = "image_url"
type = "string"
media = "image"
role = "start_image"
description = "First frame."
"""
SIZE_BY_RESOLUTION = """
[output]
kind = "video"
formats = ["mp4"]
length = { seconds = 5 }

[output.size]
resolution_parameter = "resolution"
default_resolution = "720p"

[output.size.table.720p]
"*" = [1280, 720]
"""


def test_smallest_model_loads_with_the_file_name_as_its_id(write_catalog: WriteCatalog) -> None:
    model = write_catalog({"my-model.v2": WHOLE}).models[0]
    assert model.id == "my-model.v2"
    assert model.timeout_seconds == 1800
    assert model.example == {"prompt": "A lighthouse at dusk"}
    assert [upstream.provider for upstream in model.upstreams] == ["replicate"]


@pytest.mark.parametrize(
    ("find", "replace", "place", "reason"),
    [
        ('name = "Test"', 'name = "Test', "", "line 2"),
        ('name = "Test"', "name = 3", "name", "must be a string, not 3"),
        ('name = "Test"', "", "name", "is missing"),
        ('name = "Test"', 'id = "x"\nname = "Test"', "id", "the id is the file's name"),
        ('name = "Test"', 'name = "T"\ncaption = "x"', "caption", "is not a key of this table"),
        ("order = 1", "order = 2020-01-01", "order", "is a date"),
        ('section = "video"', 'section = "music"', "section", "must be 'image' or 'video', not \"music\""),
        ('task = "text-to-video"', 'task = "text-to-vido"', "task", "'text-to-video'"),
        ("order = 1", 'order = 1\nfeatures = ["Sound"]', "features[0]", "'LoRA', 'Editing' or 'Audio'"),
        ("order = 1", 'order = 1\nfamily = "imgae"', "family", "there is no families/imgae.toml"),
        ('description = "Words."', 'descripton = "Words."', "parameters[0].", "missing"),
        ('type = "string"', 'type = "text"', "parameters[0].type", "must be 'string'"),
        ("required = true", 'required = "yes"', "parameters[0].required", 'must be true or false, not "yes"'),
        ("required = true", "required = true\ndefault = 3", "parameters[0]", "has no default"),
        ("required = true", "minimum = 3", "(prompt).minimum", 'no limit of the type "string"'),
        ("required = true", "min_length = 9\nmax_length = 3", "(prompt).min_length", "9 is above max_length, 3"),
        ("required = true", 'enum = ["a", "a"]', "(prompt).enum", "twice"),
        ("required = true", "enum = [1]", "(prompt).enum", "must be a string, not the number 1"),
        ("required = true", 'enum = ["a", "b"]\ndefault = "c"', "(prompt).default", 'must be "a" or "b", not "c"'),
        ("required = true", 'media = "image"', "(prompt)", "media and role belong together"),
        ("required = true", 'applies_when = { given = ["seed"] }', "applies_when", 'no parameter is named "seed"'),
        ('name = "prompt"', 'name = "webhook_url"', "parameters[0].name", "belongs to the API"),
        ('amount = "1"', "amount = 1.5", "price.amount", 'write credits as a string such as "0.25"'),
        ('amount = "1"', 'amount = "0"', "price.amount", "above zero"),
        ('amount = "1"', 'amount = "0.0001"', "price.amount", "at most three decimals"),
        ('amount = "1"', 'amount = "lots"', "price.amount", "not an amount of credits"),
        ('rule = "fixed"', 'rule = "free"', "price", "rule must be one of 'fixed', 'per_output'"),
        ('rule = "fixed"', "", "price", "needs the key rule"),
        ('rule = "fixed"', 'rule = "per_output"', "price.rule", "needs output.count_parameter"),
        ('kind = "video"', 'kind = "film"', "output.kind", "must be 'image'"),
        ("length = { seconds = 5 }", "", "output.length", "is missing"),
        ("[1280, 720]", "[1281, 720]", "output.size.table.*.*", "even numbers"),
        ('formats = ["mp4"]', 'formats = ["mp4"]\ncount_parameter = "num"', "output", 'no parameter is named "num"'),
        ('endpoint = "o/m"', "", "upstreams[0].endpoint", "is missing"),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nsend = { promt = "t" }', ".send", 'did you mean "prompt"?'),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nlacks = ["seed"]', ".lacks", 'no parameter is named "seed"'),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nignores = ["seed"]', ".ignores", 'no parameter is named "seed"'),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nconstants = { prompt = 1 }', "(replicate)", "prompt is written twice"),
        (
            'endpoint = "o/m"',
            'endpoint = "o/m"\nconstants = { "prompt.a" = 1 }',
            "(replicate)",
            "already holds a value",
        ),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nconstants = { "a[1].b" = 1 }', "(replicate)", "leaves a gap"),
        ('endpoint = "o/m"', 'endpoint = "o/m"\nsize = { width = "w" }', ".size", "either width and height"),
        (
            'endpoint = "o/m"',
            'endpoint = "o/m"\nsend = { prompt = "a" }\nlacks = ["prompt"]',
            "(replicate)",
            "under two of send, lacks and ignores",
        ),
    ],
)
def test_one_mistake_in_a_good_file_is_named(
    write_catalog: WriteCatalog, find: str, replace: str, place: str, reason: str
) -> None:
    assert find in WHOLE
    with pytest.raises(ConfigurationError) as caught:
        write_catalog({"broken": WHOLE.replace(find, replace)})
    message = str(caught.value)
    assert message.startswith("models/broken.toml: ")
    assert place in message
    assert reason in message


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((PROMPT,), '"prompt" stands for two parameters'),
        ((IMAGE_URL + 'aliases = ["prompt"]\n',), '"prompt" stands for two parameters'),
        (('[[parameters]]\nname="disable_safety_checker"\ntype="boolean"\ndescription="x"\n',), "never offered"),
        (('[[parameters]]\nname="loras"\ntype="array<object>"\ndescription="x"\n',), "list their members as fields"),
        (('[[parameters]]\nname="n"\ntype="integer"\nmedia="image"\nrole="mask"\ndescription="x"\n',), "are addresses"),
        (('[[parameters]]\nname="xs"\ntype="array<string>"\nmax_items=1000\ndescription="x"\n',), "100 items"),
        (('[[rules]]\nrule="exactly_one"\nof=["prompt", "image_url"]\n',), 'named "image_url"'),
        ((IMAGE_URL, '[[rules]]\nrule="exactly_one"\nof=["prompt", "image_url"]\n'), "prompt is always there"),
        ((RESOLUTION, '[[rules]]\nrule="when"\nwhen={ one_of={ resolution=["4k"] } }\nneeds=["prompt"]\n'), "'4k'"),
        ((IMAGE_URL, '[[rules]]\nrule="when"\nwhen={ given=["image_url"] }\n'), "but not what"),
        (
            (
                RESOLUTION,
                FPS + 'applies_when = { one_of = { resolution = ["720p"] } }\n',
                '[[rules]]\nrule="when"\nwhen={ given=["fps"] }\nallow={ resolution=["720p"] }\n',
            ),
            "fps itself exists only sometimes",
        ),
    ],
)
def test_parameters_and_rules_that_do_not_fit_are_named(
    make_model: MakeModel, parts: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^models/test\.toml: (parameters|rules)\[") as caught:
        make_model(*parts)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ('rule="by_resolution"\namounts={ "720p"="1" }', "price.amounts: has no amount for resolution 1080p"),
        ('rule="by_resolution"\namounts={ "720p"="1", "1080p"="2", "1440p"="3" }', "1440p is not among the values"),
        ('rule="by_resolution"\namounts={ "720p"="3", "1080p"="2" }', "1080p costs less than 720p"),
        ('rule="by_resolution"\nby="size"\namounts={ a="1" }', 'price.by: no parameter is named "size"'),
        ('rule="by_resolution"\nby="prompt"\namounts={ a="1" }', "must always be there and have an enum"),
        ('rule="per_second"\nseconds={ parameter="duration" }', "either rate or rates"),
        ('rule="per_second"\nrate="1"\nseconds={}', "give the parameter that says how long, or is_measured"),
        ('rule="per_second"\nrate="1"\nseconds={ is_measured=true }', "price.seconds.maximum: is missing"),
        ('rule="per_second"\nrate="1"\nseconds={ parameter="length" }', 'no parameter is named "length"'),
        ('rule="per_second"\nrate="1"\nseconds={ parameter="fps" }', "fps may be left out"),
        ('rule="per_second"\nrate="1"\nseconds={ parameter="steps" }', "steps needs a minimum"),
        ('rule="by_resolution_and_duration"\nseconds="fps"\namounts={ 720p={}, 1080p={} }', "an enum and a default"),
        (
            'rule="by_resolution"\namounts={ 720p="1", 1080p="2" }\npixels={ 1080p=9, 720p=1 }',
            "price.pixels: lists the tiers of amounts, in the same order",
        ),
        (
            'rule="by_resolution"\namounts={ 720p="1", 1080p="2" }\npixels={ 720p=1, 1080p=9 }',
            'price.sides: no parameter is named "width"',
        ),
        (
            'rule="by_resolution_and_duration"\n[price.amounts]\n720p={ 6="1", 10="2" }\n1080p={ 6="2" }',
            "price.amounts.1080p: has no amount for 10 seconds, which no rule refuses",
        ),
        (
            'rule="by_resolution_and_duration"\n[price.amounts]\n720p={6="1",10="2",8="4"}\n1080p={ 6="2",10="2" }',
            "8 is not among the values of duration",
        ),
    ],
)
def test_prices_cover_exactly_what_can_be_asked(make_model: MakeModel, price: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_model(RESOLUTION, DURATION, FPS, STEPS, price=f"[price]\n{price}\n")
    assert reason in str(caught.value)


def test_a_pair_without_a_price_is_fine_where_a_rule_refuses_it(make_model: MakeModel) -> None:
    price = '[price]\nrule="by_resolution_and_duration"\n[price.amounts]\n720p={ 6="4", 10="7" }\n1080p={ 6="7" }\n'
    rule = '[[rules]]\nrule="when"\nwhen={ one_of={ resolution=["1080p"] } }\nallow={ duration=[6] }\n'
    assert make_model(RESOLUTION, DURATION, rule, price=price).id == "test"


def test_an_image_model_with_a_count_is_priced_per_output(make_model: MakeModel) -> None:
    count = (
        '[[parameters]]\nname="num_outputs"\ntype="integer"\nminimum=1\nmaximum=4\ndefault=1\ndescription="How many."\n'
    )
    output = (
        '[output]\nkind="image"\nformats=["png"]\ncount_parameter="num_outputs"\n[output.size.table."*"]\n"*"=[8, 8]\n'
    )
    with pytest.raises(ConfigurationError, match="use per_output"):
        make_model(count, output=output)


def test_an_image_model_with_a_count_costs_per_image(make_model: MakeModel) -> None:
    count = '[[parameters]]\nname="num_outputs"\ntype="integer"\nminimum=1\nmaximum=4\ndefault=1\ndescription="x"\n'
    output = (
        '[output]\nkind="image"\nformats=["png"]\ncount_parameter="num_outputs"\n[output.size.table."*"]\n"*"=[8, 8]\n'
    )
    model = make_model(count, price='[price]\nrule="per_output"\namount="0.25"\n', output=output)
    assert quote_price(model, read_input(model, {"prompt": "x", "num_outputs": 3})).amount_millicredits == 750
    assert cost_line(model) == "0.25 credit(s)"
    assert credit_cost_json(model) == {"type": "per_output", "default": 0.25, "amount": 0.25, "unit": "output"}


def test_a_canvas_names_parameters(make_model: MakeModel) -> None:
    canvas = 'canvas = { left = "l", right = "l", top = "l", bottom = "l" }\n[output.size.table'
    with pytest.raises(ConfigurationError, match=r'output\.size\.canvas: no parameter is named "l"'):
        make_model(output=VIDEO_OUTPUT.replace("[output.size.table", f"[output.size]\n{canvas}"))


def test_an_upstream_s_condition_names_parameters(make_model: MakeModel) -> None:
    with pytest.raises(ConfigurationError, match=r'\(replicate\)\.when: no parameter is named "image_url"'):
        make_model(upstreams=UPSTREAM + 'when = { given = ["image_url"] }\n')


@pytest.mark.parametrize("key", ["parameters", "upstreams", "output"])
def test_a_table_in_the_wrong_place_is_named(write_catalog: WriteCatalog, key: str) -> None:
    parts = {"parameters": PROMPT, "upstreams": UPSTREAM, "output": VIDEO_OUTPUT}
    others = "".join(text for other, text in parts.items() if other != key)
    with pytest.raises(ConfigurationError, match=rf"models/m\.toml: {key}: "):
        write_catalog({"m": HEAD + f"{key} = 3\n" + PRICE + others})


def test_a_size_table_covers_every_value(make_model: MakeModel) -> None:
    with pytest.raises(ConfigurationError, match=r'output\.size\.table: has no row "1080p"'):
        make_model(RESOLUTION, output=SIZE_BY_RESOLUTION)


def test_following_something_that_is_no_medium_is_named(make_model: MakeModel) -> None:
    output = VIDEO_OUTPUT.replace("{ seconds = 5 }", '{ follow = ["prompt"] }')
    with pytest.raises(ConfigurationError, match="prompt is not a media parameter"):
        make_model(output=output)


def test_a_format_parameter_offers_only_formats(make_model: MakeModel) -> None:
    text = '[[parameters]]\nname="output_format"\ntype="string"\nenum=["mp4", "gif"]\ndefault="mp4"\ndescription="x"\n'
    output = VIDEO_OUTPUT.replace('formats = ["mp4"]', 'formats = ["mp4"]\nformat_parameter = "output_format"')
    with pytest.raises(ConfigurationError, match='"gif" of output_format is neither a format'):
        make_model(text, output=output)


def test_a_replacement_for_a_value_that_cannot_be_given_is_named(make_model: MakeModel) -> None:
    upstream = UPSTREAM + 'send = { resolution = { to = "size", values = { 720P = "hd" } } }\n'
    with pytest.raises(ConfigurationError, match='values: "720P" is not among the values of resolution'):
        make_model(RESOLUTION, output=VIDEO_OUTPUT, upstreams=upstream)


def test_an_example_that_breaks_the_rules_is_named(make_model: MakeModel) -> None:
    with pytest.raises(ConfigurationError, match="example: is not a valid input: prompt is required"):
        make_model(top='example = { promt = "x" }')


FAMILY = """
[[parameters]]
name = "seed"
type = "integer"
description = "Repeats."

[sizes.frames.720p]
"*" = [1280, 720]
"16:9" = [1280, 720]
"""
IN_FAMILY = HEAD + 'family = "video"\n' + PRICE + PROMPT


def test_a_family_lends_parameters_that_the_model_may_change(write_catalog: WriteCatalog) -> None:
    text = IN_FAMILY + '[[parameters]]\nuse = "seed"\nmaximum = 9\n' + VIDEO_OUTPUT + UPSTREAM
    seed = write_catalog({"m": text}, {"video": FAMILY}).find("m").parameter("seed")
    assert seed is not None
    assert (seed.type, seed.description, seed.maximum) == ("integer", "Repeats.", 9)


def test_a_family_lends_only_the_sizes_the_model_offers(write_catalog: WriteCatalog) -> None:
    size = '[output.size]\ntable="frames"\ndefault_resolution="720p"\n'
    output = f'[output]\nkind="video"\nformats=["mp4"]\nlength={{seconds=5}}\n{size}'
    model = write_catalog({"m": IN_FAMILY + output + UPSTREAM}, {"video": FAMILY}).find("m")
    assert model.output_json["size"] == {"table": {"720p": {"*": [1280, 720]}}, "default_resolution": "720p"}


@pytest.mark.parametrize(
    ("model", "family", "reason"),
    [
        ('[[parameters]]\nuse = "sed"\n' + VIDEO_OUTPUT, FAMILY, 'models/m.toml: parameters[1].use: the family has no'),
        (VIDEO_OUTPUT.replace('[output.size.table."*"]\n"*" = [1280, 720]', '[output.size]\ntable = "framse"'), FAMILY,
         'models/m.toml: output.size.table: the family has no sizes "framse"; did you mean "frames"?'),
        (VIDEO_OUTPUT, 'family = "other"\n' + FAMILY, "families/video.toml: family: a family cannot stand on another"),
        (VIDEO_OUTPUT, FAMILY.replace("integer", "int"), "families/video.toml: parameters[0].type: must be"),
        (VIDEO_OUTPUT, FAMILY + '[model]\ntask = "film"\n', "families/video.toml: model.task: must be"),
        (VIDEO_OUTPUT, FAMILY + '[model]\nname = "x"\n', "families/video.toml: model.name: is not a key of this table"),
        (VIDEO_OUTPUT, FAMILY + '[[model.parameters]]\nuse = "sed"\n',
         "families/video.toml: model.parameters[0].use: the family has no"),
        ("", FAMILY + VIDEO_OUTPUT.replace("[output", "[model.output").replace("seconds = 5", 'follow = ["clip"]'),
         "families/video.toml: model.output.length"),
    ],
)  # fmt: skip
def test_mistakes_around_families_are_named(write_catalog: WriteCatalog, model: str, family: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        write_catalog({"m": IN_FAMILY + model + UPSTREAM}, {"video": family})
    assert reason in str(caught.value)


def test_a_family_lends_whole_keys_that_a_model_may_give_itself(write_catalog: WriteCatalog) -> None:
    family = FAMILY + "".join(
        part.replace("[price", "[model.price").replace("[output", "[model.output").replace("[[", "[[model.")
        for part in (PRICE, PROMPT, VIDEO_OUTPUT, UPSTREAM)
    )
    top = HEAD + 'family = "video"\n'
    own = top.replace("order = 1", "order = 2") + PRICE.replace('"1"', '"2"')
    catalog = write_catalog({"a": top, "b": own}, {"video": family})
    first, second = (catalog.find(name) for name in "ab")
    assert (cost_line(first), cost_line(second)) == ("1 credit(s)", "2 credit(s)")
    for key in ("parameters", "output", "upstreams"):
        assert getattr(first, key) == getattr(second, key) != ()
    with pytest.raises(ConfigurationError) as caught:
        write_catalog({}, {"video": family.replace('"replicate"', '"Fal"')})
    (mistake,) = str(caught.value).splitlines()  # once, however many models borrow it
    assert mistake.startswith("families/video.toml: model.upstreams[0].provider: must be one of fal, ")


@pytest.mark.parametrize(("name", "hint"), [("Fal", 'did you mean "fal"?'), ("freepik", "in a comment")])
def test_a_provider_without_an_adapter_is_refused_with_those_that_have_one(
    make_model: MakeModel, name: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_model(output=VIDEO_OUTPUT, upstreams=UPSTREAM.replace("replicate", name))
    told = str(caught.value)
    assert f'upstreams[0].provider: must be one of {", ".join(PROVIDERS)}, not "{name}"' in told
    assert hint in told


def test_two_models_in_one_place_are_named(write_catalog: WriteCatalog) -> None:
    with pytest.raises(ConfigurationError, match=r"models/b\.toml: order: 1 is taken by models/a\.toml"):
        write_catalog({"a": WHOLE, "b": WHOLE})


def test_a_folder_without_models_is_named(write_catalog: WriteCatalog) -> None:
    with pytest.raises(ConfigurationError, match="holds no model"):
        write_catalog({})


def test_a_file_that_is_not_text_is_named(write_catalog: WriteCatalog) -> None:
    with pytest.raises(ConfigurationError, match=r"models/a\.toml: is not TOML"):
        write_catalog({"a": "\0"})


def test_models_stand_images_first_in_their_own_order(write_catalog: WriteCatalog) -> None:
    image = WHOLE.replace('section = "video"', 'section = "image"')
    catalog = write_catalog({"a": WHOLE.replace("order = 1", "order = 7"), "b": WHOLE, "c": image})
    assert [model.id for model in catalog.models] == ["c", "b", "a"]


def test_an_unknown_model_names_the_nearest_and_the_list(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match=r'Did you mean "flux-1\.1-pro"\? GET /api/v1/models'):
        catalog.find("flux-1.1-por")
    with pytest.raises(NotFound, match="GET /api/v1/models") as caught:
        catalog.find("\ud800" * 10_000)
    assert "mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("VEO 3.1 Fast", "veo-3.1-fast"),
        ("grok-imagine-video", "xai-video"),
        ("flux pro 1.1", "flux-1.1-pro"),
        ("veo3.1", "veo-3.1-lite"),
        ("nanobanana2", "nano-banana-2"),
        ("qwen-image", "qwen-image-max"),
        ("seedance-2", "seedance-2-high"),
        ("omnihumn", "omnihuman"),
        *((elsewhere, None) for elsewhere in ("sora-2", "luma", "minimax", "recraft-v3", "api-keys", "2", "x", "")),
    ],
)
def test_what_is_named_instead_speaks_of_what_was_asked_for(catalog: Catalog, asked: str, meant: str | None) -> None:
    assert catalog.nearest(asked) == meant


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ('of = "clip"\nmaximum = 3', 'lengths[0].of: no parameter is named "clip"'),
        ('of = "image_url"\nmaximum = 3', "lengths[0].of: image_url is no clip or sound"),
        ('of = "video_url"', "lengths[0]: limits nothing"),
        ('of = "video_url"\nminimum = 4\nmaximum = 3', "lengths[0]: the minimum, 4, is above the maximum, 3"),
        ('of = "video_url"\nmaximum = 3\nwhen = { given = ["x"] }', 'lengths[0].when: no parameter is named "x"'),
    ],
)
def test_a_length_that_cannot_be_is_named(make_model: MakeModel, limit: str, reason: str) -> None:
    clip = (
        IMAGE_URL.replace("image_url", "video_url").replace('"image"', '"video"').replace("start_image", "source_video")
    )
    with pytest.raises(ConfigurationError) as caught:
        make_model(IMAGE_URL + clip + f"[[lengths]]\n{limit}\n")
    assert reason in str(caught.value)
