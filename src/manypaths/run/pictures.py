"""Sample grids."""

from __future__ import annotations

import io
import math

import torch
from PIL import Image
from torch import Tensor


def grid_png(images: Tensor, *, columns: int, smallest: int = 28) -> bytes:
    """Images (N, C, H, W) in uint8 as one PNG, enlarged by a whole factor to at least ``smallest`` pixels each."""
    n, channels, height, width = images.shape
    rows = math.ceil(n / columns)
    gap = 1
    canvas = torch.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, dtype=torch.uint8)
    for i, image in enumerate(images.cpu()):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image.permute(1, 2, 0)
    picture = Image.fromarray(canvas.squeeze(-1).numpy() if channels == 1 else canvas.numpy())
    factor = max(1, math.ceil(smallest / height))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
