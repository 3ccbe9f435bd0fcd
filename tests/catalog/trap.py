"""One trap: what an upstream does or wants that the user of the API does not expect."""

from dataclasses import dataclass, field

from pixeldojo.core.json_types import JsonObject

IMAGE, CLIP, SOUND = "https://example.com/a.png", "https://example.com/a.mp4", "https://example.com/a.mp3"


@dataclass(frozen=True)
class Trap:
    """What is asked of a model, and what one provider is to hear.

    Attributes:
        because: What would happen otherwise.
        model: Its id.
        given: Added to the model's example; None takes a parameter out of it.
        provider: Whose words are looked at.
        endpoint: What its name begins with.
        says: Values by dotted path; a list's items have their index as name.
        is_silent_about: Paths that must not be there.
    """

    because: str
    model: str
    given: JsonObject
    provider: str
    endpoint: str
    says: JsonObject = field(default_factory=dict)
    is_silent_about: tuple[str, ...] = ()
