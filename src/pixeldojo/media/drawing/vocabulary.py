"""Which words of a prompt mean what to a scene: its place, its mood, its subjects, its colour and its style.

Owns the word tables and `read_prompt`. Leaves what a place or a mood looks like to `places` and `palette`.
Words that no table knows still decide: a place is chosen by the smallest hash among the words, so prompts that
share words tend to share a place.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

_Meaning = TypeVar("_Meaning", bound=StrEnum)


class Place(StrEnum):
    """A composition."""

    SEA = "sea"
    LAKE = "lake"
    MOUNTAINS = "mountains"
    HILLS = "hills"
    FOREST = "forest"
    DESERT = "desert"
    CITY = "city"
    SPACE = "space"
    UNDERWATER = "underwater"
    SKY = "sky"
    STUDIO = "studio"
    ABSTRACT = "abstract"


class Mood(StrEnum):
    """A time of day, a season, a weather: it chooses the colours."""

    SUNSET = "sunset"
    DAWN = "dawn"
    DAY = "day"
    GOLDEN = "golden"
    NIGHT = "night"
    STORM = "storm"
    MIST = "mist"
    AUTUMN = "autumn"
    WINTER = "winter"
    NEON = "neon"
    PASTEL = "pastel"
    FIRE = "fire"
    EMERALD = "emerald"
    DEEP = "deep"
    COSMOS = "cosmos"
    SEPIA = "sepia"


class Subject(StrEnum):
    """Something that stands in the picture."""

    WOMAN = "woman"
    MAN = "man"
    CAT = "cat"
    DOG = "dog"
    FOX = "fox"
    HORSE = "horse"
    BIRD = "bird"
    FISH = "fish"
    WHALE = "whale"
    BOAT = "boat"
    HOUSE = "house"
    CASTLE = "castle"
    LIGHTHOUSE = "lighthouse"
    TREE = "tree"
    PALM = "palm"
    FLOWER = "flower"
    BALLOON = "balloon"
    ROCKET = "rocket"
    CAR = "car"
    ROBOT = "robot"
    CUP = "cup"
    BOTTLE = "bottle"


class Style(StrEnum):
    """A treatment of the whole picture."""

    PLAIN = "plain"
    MONOCHROME = "monochrome"
    PIXEL = "pixel"
    POSTER = "poster"


# A word that names a place decides it; a word that only suggests one decides where no place was named.
_PLACE_WORDS = {
    Place.SEA: "sea ocean beach coast wave surf seaside shore harbor harbour island pier bay",
    Place.LAKE: "lake river pond waterfall canal fjord lagoon",
    Place.MOUNTAINS: "mountain alps peak summit glacier cliff canyon valley himalaya everest volcano alpine",
    Place.HILLS: "hill meadow field countryside farm village garden grass prairie vineyard",
    Place.FOREST: "forest wood jungle grove rainforest",
    Place.DESERT: "desert dune sahara mars pyramid egypt",
    Place.CITY: "city skyline street town tokyo york london paris skyscraper urban downtown alley metropolis",
    Place.SPACE: "space galaxy nebula universe cosmos orbit",
    Place.UNDERWATER: "underwater reef",
    Place.SKY: "sky cloud rainbow",
    Place.STUDIO: "portrait headshot selfie studio closeup",
    Place.ABSTRACT: "abstract pattern fractal wallpaper texture",
}

_SUGGESTED_PLACES = {
    Place.SEA: "sailing tropical pirate boat ship sail sailboat yacht lighthouse palm seagull",
    Place.LAKE: "reflection swan water bridge",
    Place.MOUNTAINS: "dragon hiker climber snow winter",
    Place.HILLS: "path road horse unicorn house cabin cottage tree flower castle spring landscape",
    Place.FOREST: "pine enchanted fairy elf deer fox wolf bear moss autumn owl",
    Place.DESERT: "sand camel cactus western wasteland",
    Place.CITY: "cyberpunk car taxi bus building market traffic rooftop architecture shop office neon",
    Place.SPACE: "planet star cosmic astronaut rocket spaceship alien moon asteroid satellite jupiter saturn",
    Place.UNDERWATER: "coral fish whale shark dolphin turtle jellyfish mermaid submarine octopus",
    Place.SKY: "balloon airplane plane flying bird eagle kite heaven aerial",
    Place.STUDIO: "face woman man girl boy person character model smile product bottle cup mug coffee logo "
    "perfume shoe sneaker phone watch food cake burger pizza fashion robot cat kitten dog puppy couple doctor chef "
    "wizard warrior king queen knight samurai superhero baby child actor avatar singer dancer presenter speaker "
    "talking influencer vase bouquet",
    Place.ABSTRACT: "geometric swirl fluid gradient psychedelic ink smoke marble wavy generative vector shape "
    "energy sound music",
}

# Again: a time, a season or a weather decides; an atmosphere decides where none of those was named.
_MOOD_WORDS = {
    Mood.SUNSET: "sunset dusk evening twilight sundown",
    Mood.DAWN: "dawn sunrise morning",
    Mood.DAY: "day noon sunny summer daylight",
    Mood.NIGHT: "night midnight moonlit moonlight starry",
    Mood.STORM: "storm stormy rain rainy thunder lightning thunderstorm hurricane",
    Mood.MIST: "mist misty fog foggy",
    Mood.AUTUMN: "autumn fall harvest october",
    Mood.WINTER: "winter snow snowy ice icy frozen frost christmas arctic",
    Mood.NEON: "neon cyberpunk synthwave vaporwave retrowave",
    Mood.FIRE: "fire lava volcano inferno burning",
    Mood.SEPIA: "sepia vintage antique",
}

_SUGGESTED_MOODS = {
    Mood.SUNSET: "romantic",
    Mood.DAY: "bright clear blue",
    Mood.GOLDEN: "golden gold warm honey amber cinematic epic",
    Mood.NIGHT: "dark moon lantern nocturnal",
    Mood.STORM: "gloomy dramatic moody gothic",
    Mood.MIST: "haze hazy calm quiet serene zen ghost mysterious",
    Mood.AUTUMN: "pumpkin rustic",
    Mood.WINTER: "cold penguin polar",
    Mood.NEON: "futuristic glow glowing disco laser hologram",
    Mood.PASTEL: "pastel soft cute kawaii dreamy gentle anime ghibli baby blossom cherry sakura candy whimsical",
    Mood.FIRE: "flame hell explosion dragon apocalypse phoenix",
    Mood.EMERALD: "emerald jungle lush rainforest spring moss fairy enchanted tropical",
    Mood.DEEP: "underwater reef coral abyss submarine",
    Mood.COSMOS: "cosmos cosmic space galaxy nebula universe astronaut",
    Mood.SEPIA: "old nostalgic western steampunk",
}

_SUBJECT_WORDS = {
    Subject.WOMAN: "woman girl queen she her lady mother sister princess witch actress mermaid dancer singer model",
    Subject.MAN: "man boy king he his samurai knight wizard warrior doctor chef superhero hero astronaut father "
    "brother gentleman viking pirate actor speaker avatar traveler traveller hiker couple",
    Subject.CAT: "cat kitten kitty feline tiger lion leopard",
    Subject.DOG: "dog puppy corgi labrador husky retriever poodle",
    Subject.FOX: "fox wolf coyote deer",
    Subject.HORSE: "horse unicorn pony stallion camel zebra",
    Subject.BIRD: "bird eagle seagull crow raven owl swan dove dragon plane airplane butterfly",
    Subject.FISH: "fish koi goldfish shark",
    Subject.WHALE: "whale dolphin orca submarine",
    Subject.BOAT: "boat ship sail sailing sailboat yacht pirate vessel",
    Subject.HOUSE: "house cabin cottage hut home barn village farm shop",
    Subject.CASTLE: "castle fortress palace temple tower cathedral",
    Subject.LIGHTHOUSE: "lighthouse",
    Subject.TREE: "tree oak bonsai",
    Subject.PALM: "palm tropical island beach hawaii",
    Subject.FLOWER: "flower rose tulip daisy sunflower bouquet blossom lotus garden vase plant",
    Subject.BALLOON: "balloon airship zeppelin",
    Subject.ROCKET: "rocket spaceship shuttle spacecraft",
    Subject.CAR: "car truck taxi bus automobile ferrari porsche mustang vehicle racing",
    Subject.ROBOT: "robot android mech cyborg droid",
    Subject.CUP: "cup mug coffee tea espresso latte cake food burger pizza",
    Subject.BOTTLE: "bottle perfume wine product potion shampoo lamp candle",
}

_SUGGESTED_SUBJECTS = {
    Subject.WOMAN: "portrait face person selfie headshot character someone people influencer presenter smile talking",
}

_STYLE_WORDS = {
    Style.MONOCHROME: "noir monochrome grayscale greyscale charcoal pencil sketch film",
    Style.PIXEL: "pixel pixelart minecraft retro arcade lego",
    Style.POSTER: "poster cartoon comic flat vector minimal minimalist watercolor watercolour illustration paper",
}

_COLOUR_WORDS = {
    "red": (214, 54, 48),
    "crimson": (184, 22, 54),
    "scarlet": (224, 48, 30),
    "orange": (245, 138, 40),
    "yellow": (250, 208, 56),
    "gold": (232, 180, 60),
    "lime": (160, 214, 50),
    "green": (52, 158, 84),
    "emerald": (22, 150, 104),
    "teal": (24, 148, 150),
    "turquoise": (48, 196, 190),
    "cyan": (46, 202, 226),
    "blue": (44, 108, 214),
    "azure": (58, 146, 232),
    "indigo": (74, 62, 176),
    "purple": (132, 62, 186),
    "violet": (146, 84, 214),
    "lavender": (178, 154, 226),
    "magenta": (214, 48, 160),
    "pink": (244, 132, 172),
    "rose": (226, 92, 124),
    "brown": (128, 84, 52),
    "silver": (176, 184, 196),
    "white": (238, 240, 242),
    "black": (28, 28, 34),
}

_PLACE_MOODS = {
    Place.SEA: (Mood.DAY, Mood.SUNSET, Mood.DAWN, Mood.GOLDEN, Mood.STORM),
    Place.LAKE: (Mood.DAWN, Mood.GOLDEN, Mood.MIST, Mood.DAY, Mood.AUTUMN),
    Place.MOUNTAINS: (Mood.DAY, Mood.DAWN, Mood.GOLDEN, Mood.WINTER, Mood.PASTEL),
    Place.HILLS: (Mood.DAY, Mood.GOLDEN, Mood.DAWN, Mood.EMERALD, Mood.PASTEL),
    Place.FOREST: (Mood.EMERALD, Mood.MIST, Mood.AUTUMN, Mood.GOLDEN),
    Place.DESERT: (Mood.GOLDEN, Mood.SUNSET, Mood.DAY, Mood.FIRE),
    Place.CITY: (Mood.NIGHT, Mood.NEON, Mood.SUNSET, Mood.DAWN),
    Place.SPACE: (Mood.COSMOS, Mood.NEON, Mood.NIGHT, Mood.FIRE),
    Place.UNDERWATER: (Mood.DEEP,),
    Place.SKY: (Mood.DAY, Mood.SUNSET, Mood.PASTEL, Mood.DAWN),
    Place.STUDIO: (Mood.PASTEL, Mood.GOLDEN, Mood.DAY, Mood.SUNSET, Mood.EMERALD, Mood.NEON),
    Place.ABSTRACT: (Mood.SUNSET, Mood.NEON, Mood.PASTEL, Mood.EMERALD, Mood.DEEP, Mood.FIRE, Mood.COSMOS),
}

_SHORTEST_PLURAL = 3
_WORD = re.compile(r"[^\W\d_]+")


def _invert(table: dict[_Meaning, str]) -> dict[str, _Meaning]:
    """Turn a table of meanings into a table of words; the first meaning that lists a word keeps it."""
    words: dict[str, _Meaning] = {}
    for meaning, listed in table.items():
        for word in listed.split():
            words.setdefault(word, meaning)
    return words


_PLACES = _invert(_PLACE_WORDS)
_SUGGESTIONS = _invert(_SUGGESTED_PLACES)
_MOODS = _invert(_MOOD_WORDS)
_ATMOSPHERES = _invert(_SUGGESTED_MOODS)
_SUBJECTS = _invert(_SUBJECT_WORDS)
_SITTERS = _invert(_SUGGESTED_SUBJECTS)
_STYLES = _invert(_STYLE_WORDS)
_KNOWN_WORDS = frozenset[str]().union(
    _PLACES, _SUGGESTIONS, _MOODS, _ATMOSPHERES, _SUBJECTS, _SITTERS, _STYLES, _COLOUR_WORDS
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a prompt says to a scene.

    Attributes:
        place: The composition.
        mood: The colours.
        subject: What stands in it; None for an empty place.
        style: The treatment of the whole.
        colour: A colour that was named, red green blue in 0..255; None where none was.
        hue_shift: Degrees, -14..14: how this prompt's words turn the mood's colours.
    """

    place: Place
    mood: Mood
    subject: Subject | None
    style: Style
    colour: tuple[int, int, int] | None
    hue_shift: float


def read_prompt(prompt: str) -> Reading:
    """Read a prompt; any text will do, the empty one too."""
    words = [_plain(word) for word in _WORD.findall(prompt.casefold())] or [""]
    place = _first(words, _PLACES) or _first(words, _SUGGESTIONS)
    subject = _first(words, _SUBJECTS) or _first(words, _SITTERS)
    mood = _first(words, _MOODS) or _first(words, _ATMOSPHERES)
    chosen_place = place or _choose(words, tuple(Place), "place")
    return Reading(
        place=chosen_place,
        mood=mood or _choose(words, _PLACE_MOODS[chosen_place], "mood"),
        subject=subject,
        style=_first(words, _STYLES) or Style.PLAIN,
        colour=next((_COLOUR_WORDS[word] for word in words if word in _COLOUR_WORDS), None),
        hue_shift=_smallest_hash(words, "hue") % 29 - 14,
    )


def _first(words: list[str], table: dict[str, _Meaning]) -> _Meaning | None:
    return next((table[word] for word in words if word in table), None)


def _choose(words: list[str], choices: tuple[_Meaning, ...], salt: str) -> _Meaning:
    return choices[_smallest_hash(words, salt) % len(choices)]


def _smallest_hash(words: list[str], salt: str) -> int:
    """Two prompts agree on this as often as they share words."""
    digests = (hashlib.blake2b(f"{salt}:{word}".encode(), digest_size=8).digest() for word in words)
    return int.from_bytes(min(digests), "big") >> 3


def _plain(word: str) -> str:
    """Bring a plural to the singular the tables list."""
    if word in _KNOWN_WORDS:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > _SHORTEST_PLURAL else word
