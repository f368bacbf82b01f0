"""Damage and nonsense, drawn from a seed: bytes, JSON values, settings."""

from __future__ import annotations

import json
import random
from typing import Any

STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1e308, -1e-308, 10**30, 0.5, "", " ", "none", "last", "\0", "a\nb", "../x"),
    *("/etc/passwd", "os:system", "marker:Anything", "builtins:eval", "manypaths.files:remove_leftovers"),
    *("torch.hub:load", "x" * 5000, [], {}, [[]], {"name": "os:system"}, {"name": None}, {"name": "svrg"}),
    *([1, "a", None], {"": {}}, "é☃", "1e-3"),
]
TEXTS = (*map(str, STRANGE), "nan", "inf", "1,2,3", "[1,2", "svrg,svrg", "cosine", "-0", "1_000", "0x10")


def damaged(contents: bytes, seed: int) -> bytes:
    """The bytes with bits flipped, a piece cut out, doubled, zeroed or put elsewhere, or an end cut off."""
    draw, data = random.Random(seed), bytearray(contents)
    for _ in range(draw.choice((1, 1, 1, 4, 32))):
        if not data:
            return bytes(data)
        start = draw.randrange(len(data))
        stop = min(len(data), start + draw.choice((1, 2, 16, 400)))
        kind = draw.randrange(6)
        if kind == 0:
            data[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[start:stop]
        elif kind == 2:
            data[start:start] = data[start:stop]
        elif kind == 3:
            data[start:stop] = bytes(stop - start)
        elif kind == 4:
            data[start:stop] = draw.randbytes(stop - start)
        else:
            del data[start:]
    return bytes(data)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a JSON document."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(data: Any, seed: int) -> Any:
    """The document with one to three values replaced, removed, renamed or wrapped."""
    draw, whole = random.Random(seed), json.loads(json.dumps(data))
    for _ in range(draw.choice((1, 1, 2, 3))):
        ways = [way for way in places(whole) if way]
        if not ways:
            break
        *folders, last = draw.choice(ways)
        inner = whole
        for key in folders:
            inner = inner[key]
        kind = draw.randrange(6)
        if kind == 0:
            del inner[last]
        elif kind == 1 and isinstance(inner, dict):
            inner[draw.choice(("nome", "steps", "", "lr", "\0", "a.b"))] = inner.pop(last)
        elif kind == 2:
            inner[last] = [inner[last]]
        else:
            inner[last] = draw.choice(STRANGE)
    return whole


def setting(paths: list[str], seed: int) -> str:
    """A ``--set`` argument, mostly wrong."""
    draw = random.Random(seed)
    path = draw.choice((*paths, "", ".", "=", "rule.", ".lr", "a.b.c", "metrics.0.x", "metrics.99", "schedules.rule.x"))
    if draw.random() < 0.3:
        place = draw.randrange(len(path) + 1)
        path = path[:place] + draw.choice(".=_ é0") + path[place:]
    value = draw.choice(
        (*map(str, STRANGE), "nan", "inf", "1,2,3", "[1,2", "svrg,svrg", "cosine", "-0", "1_000", "0x10")
    )
    return path + draw.choice(("=", "=", "=", "==", "", ":")) + value.replace("\0", "")
