"""A graphics card that is not there: the device `card` keeps its tensors in main memory and is as strict as a real one.

An operation on tensors of the card and of the CPU raises, as on a real card, except with a single number. NumPy cannot see
a tensor of the card. Values are those of the CPU.
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

ACROSS = {"aten::copy_", "aten::_to_copy", "aten::index_put_", "aten::_index_put_impl_", "aten::index"}
"""Operations that may take tensors of both devices."""


class CardTensor(torch.Tensor):
    """A tensor of the card, with its values in a tensor of the CPU."""

    @staticmethod
    def __new__(cls, values):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device("card", 0),
        )
        made.values_on_cpu = values
        return made

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def run(operation, args, kwargs):
    """Run an operation on the values, and put the results where a real card would have them."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [each for each in flat if isinstance(each, torch.Tensor)]
    strangers = [each for each in tensors if not isinstance(each, CardTensor) and each.dim()]
    if strangers and operation._schema.name not in ACROSS:
        raise RuntimeError(f"{operation} was given tensors of the card and of the CPU: {[t.shape for t in tensors]}")
    device = kwargs.get("device")
    back = operation._schema.name == "aten::_to_copy" and device is not None and torch.device(device).type != "card"
    inner = {**tree_map(_values, kwargs)}
    if device is not None:
        inner["device"] = torch.device("cpu")
    found = operation(*tree_map(_values, args), **inner)
    if back:
        return found
    made = tree_map(lambda each: CardTensor(each) if isinstance(each, torch.Tensor) else each, found)
    if not any(isinstance(each, CardTensor) for each in tensors):
        return made
    return return_and_correct_aliasing(operation, args, kwargs, made)


def _values(each):
    return each.values_on_cpu if isinstance(each, CardTensor) else each


class _Module:
    """What torch asks of the module of a device."""

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def is_initialized():
        return True

    @staticmethod
    def device_count():
        return 1

    @staticmethod
    def current_device():
        return 0

    @staticmethod
    def get_amp_supported_dtype():
        return [torch.bfloat16]

    @staticmethod
    def _is_in_bad_fork():
        return False

    @staticmethod
    def manual_seed_all(seed):
        """Draws of the card come from the CPU's generator."""


def install(monkeypatch):
    """Register the device `card`, once in a process, and mend what torch cannot do on a device in Python."""
    tensor, as_tensor = torch.tensor, torch.as_tensor

    def made_on(make):
        return lambda data, *, device=None, **options: (
            make(data, **options) if device is None else make(data, **options).to(device)
        )

    monkeypatch.setattr(torch, "tensor", made_on(tensor))
    monkeypatch.setattr(torch, "as_tensor", made_on(as_tensor))
    monkeypatch.setattr(
        torch.Tensor,
        "new_tensor",
        lambda self, data, **options: tensor(data, **{"dtype": self.dtype, **options}).to(self.device),
    )
    if torch._C._get_privateuse1_backend_name() == "card":
        return
    _setup_privateuseone_for_python_backend("card", _Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda operation, *args, **kwargs: run(operation, args, kwargs), "PrivateUse1")
    install.library = library  # it lasts as long as this reference
