"""A tuned choice of convolution kernels: per layer, torch's own or the same sum by another public route."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manypaths.evaluation.convolution_routes import ROUTES

Key = tuple[Any, ...]
Call = tuple[Tensor, Tensor, Tensor | None, int, int]
"""Data, weight, bias, stride, padding."""
NATIVE = "native"
ROUNDS = 3
BETTER = 0.9
"""Another route is taken only where it needs less than this share of the time of torch's own."""


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

    def __getstate__(self) -> dict[str, Any]:
        """A copy has the choices, and a lock of its own."""
        return self.state_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        TunedConvolutions.__init__(self)
        self.load_state_dict(state)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        call = _plain_call(func, args, kwargs or {}) if func in ROUTES else None
        if call is None:
            return func(*args, **(kwargs or {}))
        key = _key(func, call)
        with self._lock:  # two evaluations meet a shape at once, and must agree
            if key not in self._choices and (name := _fastest(func, call)):
                self._choices[key] = name
        return _taken(func, self._choices.get(key, NATIVE), call)

    def state_dict(self) -> dict[str, Any]:
        return {"choices": [[list(key), name] for key, name in self._choices.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        known = {NATIVE} | {name for routes in ROUTES.values() for name in routes}
        self._choices = {_frozen(key): name for key, name in state["choices"] if name in known}


_NAMES = {torch.conv2d: "convolution", torch.conv_transpose2d: "transposed convolution"}
_DEFAULTS = {
    torch.conv2d: {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    torch.conv_transpose2d: {
        "bias": None, "stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1,
    },
}  # fmt: skip


def _plain_call(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
    """What a call that has other routes is given; ``None`` of another call."""
    defaults = _DEFAULTS[func]
    given = {**defaults, **dict(zip(("input", "weight", *defaults), args, strict=False)), **kwargs}
    stride, padding, dilation, extra = (
        _one_number(given.get(name, 0)) for name in ("stride", "padding", "dilation", "output_padding")
    )
    data, weight = given["input"], given["weight"]
    if stride is None or padding is None or (dilation, extra, given["groups"]) != (1, 0, 1):
        return None
    if data.ndim != 4 or data.is_meta:
        return None
    return data, weight, given["bias"], stride, padding


def _one_number(value: Any) -> int | None:
    """3 of 3, (3,) and (3, 3); ``None`` of anything else ("same", unequal numbers)."""
    numbers = {value} if isinstance(value, (int, str)) else set(value)
    found = next(iter(numbers))
    return found if len(numbers) == 1 and isinstance(found, int) else None


def _taken(func: Any, name: str, call: Call) -> Tensor:
    """The sum by a route, in the order in memory of torch's own: the layers behind would change theirs."""
    data, weight, bias, stride, padding = call
    if name == NATIVE:
        return func(data, weight, bias, stride, padding)
    found = ROUTES[func][name](data, weight, stride, padding)
    if bias is not None:
        found = found + bias[:, None, None].to(found.dtype)
    n, channels, height, width = found.shape
    if _channels_last(data) or _channels_last(weight):
        flat = found.permute(0, 2, 3, 1).reshape(-1)
        return flat.view(n, height, width, channels).permute(0, 3, 1, 2)
    return found.reshape(-1).view(n, channels, height, width)  # of one channel ``contiguous`` would keep the strides


def _channels_last(tensor: Tensor) -> bool:
    """Whether torch takes the strides for channels_last, as it chooses the order of what a convolution makes.

    Asked of the strides: inside torch.func's maps a tensor cannot say its memory format.
    """
    least = 0
    for d in (1, 3, 2, 0):
        stride, size = tensor.stride(d), tensor.shape[d]
        if size == 0 or stride < least or (d == 0 and least == tensor.stride(1)):
            return False
        least = stride * max(1, size)
    return tensor.stride(1) != 0


def _key(func: Any, call: Call) -> Key:
    data, weight, bias, stride, padding = call
    device = data.device.type
    sizes = tuple(data.shape), tuple(weight.shape), bias is not None, stride, padding
    autocast = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else ""
    numbers = str(data.dtype), str(weight.dtype), autocast
    last = _channels_last(data), _channels_last(weight)
    return _NAMES[func], *sizes, last, *numbers, device, torch.get_num_threads()


def _fastest(func: Any, call: Call) -> str | None:
    """The name of the route that takes the least time, forward and backward, on random numbers of these shapes.

    ``None`` inside a transform of ``torch.func``, where no other graph can be differentiated: the shape is tried later.
    A route that fails, for want of memory say, is not taken.
    """
    if not _can_differentiate():
        return None
    data, weight, bias, stride, padding = call
    whole = data.shape[2:] == (1, 1) and padding == 0
    names = [NATIVE, *(name for name in ROUTES[func] if name != "product" or whole)]
    x, w, b = _stand_in(data), _stand_in(weight), None if bias is None else _stand_in(bias)
    inputs = [x, w] if b is None else [x, w, b]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(1 + ROUNDS):  # in turns: another evaluation may keep the processor busy for a while
        for name in list(times):
            try:
                seconds = _seconds(partial(_taken, func, name, (x, w, b, stride, padding)), inputs)
            except RuntimeError:
                if name == NATIVE:
                    return None
                del times[name]
            else:
                times[name].append(seconds)
    least = {name: min(found[1:]) for name, found in times.items()}
    best = min(least, key=lambda name: least[name])
    return best if least[best] < BETTER * least[NATIVE] else NATIVE


def _can_differentiate() -> bool:
    """Whether a graph can be made and differentiated here: not in inference mode, nor inside a transform."""
    try:
        with torch.enable_grad():
            probe = torch.ones(1).requires_grad_()
            torch.autograd.grad(probe.square(), probe)
    except RuntimeError:
        return False
    return True


def _stand_in(tensor: Tensor) -> Tensor:
    """Random numbers of the same shape, dtype and layout."""
    generator = torch.Generator(tensor.device).manual_seed(0)
    found = torch.randn(tensor.shape, dtype=tensor.dtype, device=tensor.device, generator=generator)
    return torch.empty_like(tensor, requires_grad=False).copy_(found).requires_grad_()


def _seconds(of: Callable[[], Tensor], inputs: list[Tensor]) -> float:
    """Of a forward and a backward pass, with the gradient that the layers behind hand back: dense, in their order.

    A gradient that comes in another order than its tensor's is copied into it, as whoever takes it would.
    """
    wait = partial(torch.cuda.synchronize, inputs[0].device) if inputs[0].is_cuda else lambda: None
    wait()
    started = time.perf_counter()
    with torch.enable_grad():
        found = of()
        gradients = torch.autograd.grad(found, inputs, torch.ones_like(found))
    for gradient, tensor in zip(gradients, inputs, strict=True):
        if gradient.stride() != tensor.stride():
            torch.empty_like(tensor, requires_grad=False).copy_(gradient)
    wait()
    return time.perf_counter() - started


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
