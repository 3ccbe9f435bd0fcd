"""Secrets are compared in constant time, or not at all.

The bug this prevents: `==` on a token or signature ends at the first byte that differs, and whoever measures that
finds the whole of it byte by byte. Keys are found by a hash that only the server can make, so there the time tells
nothing.
"""

import ast
import re
from collections.abc import Mapping

import pytest
from tests.rules.source_files import SourceFile

_NAMES = re.compile(r"secret|token|signature|digest|password|hash\b", re.IGNORECASE)
# What is compared and is no secret; an entry that is not needed any more fails.
HARMLESS: Mapping[str, str] = {
    "api_keys.c.hash == key_hash": "a keyed hash, of which a caller can choose no bit",
    "f'{zlib.crc32(secret[:-8].encode()):08x}' == secret[-8:]": "a checksum that anybody can work out",
    "webhook_secrets.c.account_id == account_id": "an id; the table has the name",
    "webhook_secrets.c.version == version": "as above",
    "'Secret' in str(Settings.model_fields[name].annotation)": "the name of a type",
}


def comparisons(source: SourceFile) -> list[str]:
    """Return what a file compares with `==`, `!=` or `in` that has the name of a secret."""
    plain = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
    return [
        ast.unparse(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, plain) for operator in node.ops)
        and _NAMES.search(ast.unparse(node))
    ]


def test_secrets_are_compared_in_constant_time(sources: tuple[SourceFile, ...]) -> None:
    found = {one for source in sources for one in comparisons(source)}
    assert found - HARMLESS.keys() == set()
    assert HARMLESS.keys() <= found, "take out of HARMLESS what is not there"


@pytest.mark.parametrize("text", ["if token == given: ...", "x = given in secrets", "a.signature != b"])
def test_such_a_comparison_is_found(text: str) -> None:
    assert comparisons(SourceFile.from_text("api/it.py", text))
    assert not comparisons(SourceFile.from_text("api/it.py", "hmac.compare_digest(token, given)"))
