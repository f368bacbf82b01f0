"""A tuned choice of convolution kernels: per layer, torch's own or the same sum by another public route."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from manypaths.games.patches import patches, placed

Key = tuple[Any, ...]
Route = Callable[[Tensor, Tensor, int, int], Tensor]
Product = Callable[[Tensor, Tensor], Tensor]
ROUNDS = 3
BETTER = 0.9
"""Another route is taken only where it needs at most this share of the time of torch's own."""


class TunedConvolutions(TorchFunctionMode):
    """Inside, every 2-d convolution and transposed convolution takes the route that was fastest on its shape.

    On the first call with a shape the routes are timed, forward and backward, and the choice is kept. All routes are
    differentiable any number of times and equal up to the order of sums. Choices are a function of timings, so two
    machines, or two runs, may round differently: ``state_dict`` keeps them with a checkpoint.

    Left to torch: groups, dilation, unequal strides or paddings, output paddings, and anything but 4-d input.
    """

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[Key, str] = {}
        self._lock = threading.Lock()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        routes = _ROUTES.get(func)
        call = None if routes is None else _plain_call(func, args, kwargs or {})
        if routes is None or call is None:
            return func(*args, **(kwargs or {}))
        data, weight, bias, stride, padding = call
        key = _key(func, data, weight, stride, padding)
        with self._lock:  # two lanes meet a shape at once, and must agree
            if key not in self._choices and (name := _fastest(func, data, weight, stride, padding)):
                self._choices[key] = name
        name = self._choices.get(key, "native")
        if name == "native":
            return func(*args, **(kwargs or {}))
        found = _ordered(routes[name], data, weight, stride, padding)
        return found if bias is None else found + bias[:, None, None].to(found.dtype)

    def state_dict(self) -> dict[str, Any]:
        return {"choices": [[list(key), name] for key, name in self._choices.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._choices = {_frozen(key): name for key, name in state["choices"]}


def _columns(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """y = W X, with the patches of the data as the columns of X (im2col)."""
    kernel = weight.shape[2:]
    size = [(n + 2 * padding - k) // stride + 1 for n, k in zip(data.shape[2:], kernel, strict=True)]
    columns = F.unfold(data, tuple(kernel), padding=padding, stride=stride).unflatten(2, size)
    return F.conv2d(columns, weight.flatten(1)[:, :, None, None])


def _folded(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The transpose of ``_columns``: y = fold(W'x), every input pixel's patch added into its place (col2im)."""
    kernel = weight.shape[2:]
    size = [(n - 1) * stride - 2 * padding + k for n, k in zip(data.shape[2:], kernel, strict=True)]
    columns = F.conv2d(data, weight.flatten(1).t()[:, :, None, None])
    return F.fold(columns.flatten(2), tuple(size), tuple(kernel), padding=padding, stride=stride)


def _rows(multiply: Product, data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """``_columns`` with the channels last: Y = X W', with the patches as the rows of X."""
    rows = patches(data.permute(0, 2, 3, 1), _kernel(weight), stride, padding)
    return multiply(rows, weight.permute(0, 2, 3, 1).flatten(1).t()).permute(0, 3, 1, 2)


def _placed_rows(multiply: Product, data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The transpose of ``_rows``: y = placed(X W), the pixels as the rows of X."""
    kernel = _kernel(weight)
    size = [(n - 1) * stride - 2 * padding + k for n, k in zip(data.shape[2:], kernel, strict=True)]
    found = multiply(data.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1).flatten(1))
    return placed(found, (size[0], size[1]), kernel, stride, padding).permute(0, 3, 1, 2)


def _pointwise(rows: Tensor, matrix: Tensor) -> Tensor:
    """The product as a convolution of one pixel: another library's kernel."""
    return F.conv2d(rows.permute(0, 3, 1, 2), matrix.t()[:, :, None, None]).permute(0, 2, 3, 1)


def _kernel(weight: Tensor) -> tuple[int, int]:
    return weight.shape[2], weight.shape[3]


def _product(data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Where the input is one pixel and nothing is cut off, a transposed convolution is one matrix product."""
    return (data.flatten(1) @ weight.flatten(1)).unflatten(1, tuple(weight.shape[1:]))


_ROUTES: dict[Any, dict[str, Route]] = {
    torch.conv2d: {
        "native": lambda data, weight, stride, padding: torch.conv2d(data, weight, None, stride, padding),
        "columns": _columns,
        "rows": partial(_rows, torch.matmul),
        "rows, pointwise": partial(_rows, _pointwise),
    },
    torch.conv_transpose2d: {
        "native": lambda data, weight, stride, padding: torch.conv_transpose2d(data, weight, None, stride, padding),
        "folded": _folded,
        "rows": partial(_placed_rows, torch.matmul),
        "rows, pointwise": partial(_placed_rows, _pointwise),
        "product": _product,
    },
}
_NAMES = {torch.conv2d: "convolution", torch.conv_transpose2d: "transposed convolution"}
_DEFAULTS = {
    torch.conv2d: {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    torch.conv_transpose2d: {
        "bias": None, "stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1,
    },
}  # fmt: skip


def _plain_call(
    func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor | None, int, int] | None:
    """(data, weight, bias, stride, padding) of a call that has other routes; else ``None``."""
    defaults = _DEFAULTS[func]
    given = {**defaults, **dict(zip(("input", "weight", *defaults), args, strict=False)), **kwargs}
    stride, padding, dilation, extra = (
        _one_number(given.get(name, 0)) for name in ("stride", "padding", "dilation", "output_padding")
    )
    data, weight = given["input"], given["weight"]
    if stride is None or padding is None or (dilation, extra, given["groups"]) != (1, 0, 1) or data.ndim != 4:
        return None
    return data, weight, given["bias"], stride, padding


def _one_number(value: Any) -> int | None:
    """3 of 3, (3,) and (3, 3); ``None`` of anything else ("same", unequal numbers)."""
    numbers = {value} if isinstance(value, (int, str)) else set(value)
    found = next(iter(numbers))
    return found if len(numbers) == 1 and isinstance(found, int) else None


def _ordered(route: Route, data: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """What a route makes, in the order in memory of torch's own: the layers behind would change theirs."""
    found = route(data, weight, stride, padding)
    last = _channels_last(weight) or _channels_last(data)
    return found.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if last else found.contiguous()


def _channels_last(tensor: Tensor) -> bool:
    """Whether this is the order in memory, by the strides where one channel makes a tensor contiguous in both.

    Asked and made by a permutation: inside torch.func's maps a tensor cannot say its memory format.
    """
    if not tensor.permute(0, 2, 3, 1).is_contiguous():
        return False
    return not tensor.is_contiguous() or (tensor.stride(1) == 1 and tensor.shape[2:] != (1, 1))


def _key(func: Any, data: Tensor, weight: Tensor, stride: int, padding: int) -> Key:
    last = _channels_last(data), _channels_last(weight)
    sizes = tuple(data.shape), tuple(weight.shape), stride, padding
    device = data.device.type
    rounded = torch.is_autocast_enabled(device)
    return _NAMES[func], *sizes, last, str(data.dtype), rounded, device, torch.get_num_threads()


def _fastest(func: Any, data: Tensor, weight: Tensor, stride: int, padding: int) -> str | None:
    """The name of the route that takes the least time, forward and backward, on random numbers of these shapes.

    ``None`` inside a transform of ``torch.func``, where no other graph can be differentiated: the shape is tried later.
    """
    whole = data.shape[2:] == (1, 1) and padding == 0
    routes = {name: route for name, route in _ROUTES[func].items() if name != "product" or whole}
    try:
        x, w = _stand_in(data), _stand_in(weight)
        times = {name: _seconds(route, x, w, stride, padding) for name, route in routes.items()}
    except RuntimeError:
        return None
    best = min(times, key=lambda name: times[name])
    return best if times[best] < BETTER * times["native"] else "native"


def _stand_in(tensor: Tensor) -> Tensor:
    """Random numbers of the same shape, dtype and layout."""
    generator = torch.Generator(tensor.device).manual_seed(0)
    found = torch.randn(tensor.shape, dtype=tensor.dtype, device=tensor.device, generator=generator)
    return torch.empty_like(tensor, requires_grad=False).copy_(found).requires_grad_()


def _seconds(route: Route, x: Tensor, w: Tensor, stride: int, padding: int) -> float:
    """Of a forward and a backward pass, with the gradient that the layers behind hand back: dense, in their order."""
    found = []
    with torch.enable_grad():
        back = torch.ones_like(_ordered(route, x, w, stride, padding))
        for _ in range(1 + ROUNDS):
            started = time.perf_counter()
            torch.autograd.grad(_ordered(route, x, w, stride, padding), (x, w), back)
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            found.append(time.perf_counter() - started)
    return min(found[1:])


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
