"""Arrays that are filled again and again."""

import pytest
import torch
from torch import nn

from localspec.units import Workspace


def test_the_same_purpose_gives_the_same_memory_and_another_its_own():
    workspace, example = Workspace(), torch.zeros(1, dtype=torch.float64)
    first = workspace.array("a", (4, 6), example)
    smaller = workspace.array("a", (2, 3), example)
    other = workspace.array("b", (4, 6), example)
    assert first.shape == (4, 6)
    assert smaller.shape == (2, 3)
    assert first.dtype == torch.float64
    assert first.data_ptr() == smaller.data_ptr()
    assert first.data_ptr() != other.data_ptr()
    assert workspace.array("a", (4, 6), example.float()).dtype == torch.float32


def test_a_larger_array_than_before_is_whole():
    workspace, example = Workspace(), torch.zeros(1)
    workspace.array("a", (2, 3), example)
    larger = workspace.array("a", (5, 7), example).fill_(1.0)
    assert larger.sum() == 35


def test_channels_lie_last_where_asked_for():
    maps = Workspace().array("a", (2, 3, 4, 5), torch.zeros(1), channels_last=True)
    assert maps.shape == (2, 3, 4, 5)
    assert maps.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dense_layers_give_what_they_give_themselves(bias, dtype):
    torch.manual_seed(0)
    layer, values = nn.Linear(16, 8, bias=bias).to(dtype), torch.rand(20, 16).to(dtype)
    workspace = Workspace()
    with torch.inference_mode():
        first = workspace.dense("a", layer, values).clone()
        second = workspace.dense("a", layer, values + 1)
        assert torch.equal(first, layer(values))
        assert torch.equal(second, layer(values + 1))
    assert not second.requires_grad


def test_only_plain_dense_layers_on_rows_are_run():
    workspace, layer, rows = Workspace(), nn.Linear(4, 2), torch.zeros(3, 4)
    hooked = nn.Linear(4, 2)
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    weighed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    assert workspace.runs(layer, rows)
    assert not workspace.runs(layer, rows[None])
    assert not workspace.runs(hooked, rows)
    assert not workspace.runs(weighed, rows)
    assert not workspace.runs(nn.ReLU(), rows)
