"""Muon where it is defined, and AdamW elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import AdamW

from manypaths import fields
from manypaths.errors import InputError, InvalidValue
from manypaths.optim.composite import Composite


class MuonAdamW(Composite):
    """Muon (Jordan et al. 2024) for weights of two dimensions, AdamW for all others: biases, norms, convolutions.

    Muon's step is the momentum orthogonalised, and rescaled so that its root mean square is AdamW's (Liu et al. 2025,
    "Muon is scalable for LLM training"): both have one learning rate and one weight decay.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: fields.Positive = 1e-3,
        momentum: fields.Fraction = 0.95,
        betas: tuple[fields.Fraction, fields.Fraction] = (0.9, 0.999),
        weight_decay: fields.NonNegative = 0.0,
    ):
        fields.check_arguments(MuonAdamW, locals())
        if not hasattr(torch.optim, "Muon"):
            raise InputError(f"torch {torch.__version__} has no Muon: expected torch 2.9 or later, or 'adamw'")
        parameters = list(params)
        matrices = [p for p in parameters if p.ndim == 2]
        others = [p for p in parameters if p.ndim != 2]
        if not matrices:
            raise InvalidValue("no weight has two dimensions, which Muon is for: expected 'adamw'")
        muon = torch.optim.Muon(
            matrices, lr=lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw"
        )
        rest = [AdamW(others, lr=lr, betas=betas, weight_decay=weight_decay)] if others else []
        super().__init__([muon, *rest])
