"""From a template and what it shows to the bytes of a page. Everything that is shown is escaped."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class Templates:
    """The templates beside this file.

    Args:
        prefix: The path under which the server is found, `""` or such as `/pixeldojo`.
        stamps: By file name, what changes in a file's address when the file does.
    """

    def __init__(self, prefix: str, stamps: Mapping[str, str]) -> None:
        folder = Path(str(resources.files("pixeldojo.api.pages"))) / "templates"
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(prefix=prefix, stamps=stamps)

    def render(self, name: str, **shown: object) -> bytes:
        """Return the page of a template."""
        return self._environment.get_template(name).render(shown).encode()
