"""Shapes: rewrite what lays values out anew, so that neither sizes nor the batch stand in it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.units._operations import (
    ADDITIONS,
    BATCH_NORMS,
    CONCATENATIONS,
    PRODUCTS,
    REDUCTIONS,
    VIEWS,
    as_pixels,
    call_name,
    flatten_places,
    module_of,
    refuse,
)

# a made-up shape of maps, with numbers that no network has, to find out what a size stands for
N_IMAGES, HEIGHT, WIDTH = 1000003, 1000033, 1000037
MADE_UP = torch.Size((N_IMAGES, 1000039, HEIGHT, WIDTH))
GLOBAL_POOLING = {"avg_pool2d": F.adaptive_avg_pool2d, "max_pool2d": F.adaptive_max_pool2d}


def size_nodes(graph_module: fx.GraphModule) -> set[fx.Node]:
    """Return the nodes that stand for sizes, types and the like of tensors, not for tensors."""
    sizes: set[fx.Node] = set()
    for node in graph_module.graph.nodes:
        read = call_name(node) in ("size", "dim", "numel") or node.target is getattr
        inputs = node.all_input_nodes
        if read or (node.op == "call_function" and inputs and sizes.issuperset(inputs)):
            sizes.add(node)
    return sizes


def _evaluated(value: object) -> object:
    """Return a size, or an expression of sizes, of the made-up shape; ValueError for all else."""
    if isinstance(value, tuple | list):
        return tuple(_evaluated(part) for part in value)
    if not isinstance(value, fx.Node):
        return value
    if call_name(value) == "size":
        dims = (*value.args[1:], *value.kwargs.values())
        return MADE_UP[dims[0]] if dims else MADE_UP
    if value.target is getattr and value.args[1] == "shape":
        return MADE_UP
    if value.op != "call_function" or value.kwargs:
        raise ValueError
    return value.target(*(_evaluated(part) for part in value.args))


def _size_or_none(value: object) -> object:
    try:
        return _evaluated(value)
    except (ValueError, TypeError, IndexError, ZeroDivisionError):
        return None


def _set_call(node: fx.Node, target: object, *args: object) -> None:
    node.op = "call_method" if isinstance(target, str) else "call_function"
    node.target, node.args, node.kwargs = target, (node.args[0], *args), {}


def _given(node: fx.Node, *names: str) -> list[object]:
    """Return the arguments behind the first by position or name; None where there are none."""
    return [
        node.args[1 + place] if len(node.args) > 1 + place else node.kwargs.get(name)
        for place, name in enumerate(names)
    ]


def _view(node: fx.Node, n_dims: int | None) -> int | None:
    """Rewrite a view so that the number of images stands nowhere; return its dimensions."""
    given = node.args[1:] or tuple(node.kwargs.values())
    given = given[0] if len(given) == 1 else given
    values = _size_or_none(given) if isinstance(given, fx.Node) else given
    values = values if isinstance(values, tuple | list) else (values,)
    first, *rest = (_size_or_none(part) for part in values)
    if not rest or first not in (-1, N_IMAGES):
        refuse(node, f"it must keep images apart, as x.flatten(1) does, not lay out as {given}")
    if len(rest) == 1:
        _set_call(node, "flatten", 1)
        return 2
    if n_dims == 4 and len(rest) == 2:
        _set_call(node, flatten_places)
        return 3
    if n_dims is not None and rest[1:] == [1, 1]:
        _set_call(node, as_pixels)
        return 4
    if n_dims is not None:
        refuse(node, f"it lays units out anew, as {given}; for rows of features use x.flatten(1)")
    if (first == N_IMAGES and -1 in rest) or any(part not in range(-1, N_IMAGES) for part in rest):
        refuse(node, f"images may be viewed as (-1, n_channels, height, width), not as {given}")
    _set_call(node, "reshape", -1, *rest)
    return 1 + len(rest)


def _flatten(node: fx.Node, module: nn.Module | None, n_dims: int | None) -> int | None:
    """Check a flattening; return its dimensions."""
    first, last = _given(node, "start_dim", "end_dim")
    if isinstance(module, nn.Flatten):
        first, last = module.start_dim, module.end_dim
    first, last, known = first or 0, -1 if last is None else last, n_dims or 4
    first, last = first % known, last % known
    if first == 0 and known > 1:
        refuse(node, "it joins images: write x.flatten(1)")
    if last == known - 1 and first == 1:
        return 2
    if n_dims is None:
        return None
    if (first, last) != (2, 3):
        refuse(node, f"it joins dimensions {first} to {last} only: write x.flatten(1)")
    _set_call(node, flatten_places)
    return 3


def _squeeze(node: fx.Node, n_dims: int | None) -> int:
    """Rewrite the removal of places as a flattening; return its dimensions."""
    (dims,) = _given(node, "dim")
    if n_dims not in (3, 4):
        refuse(node, "it may only drop the height and width of maps: write x.flatten(1)")
    dims = tuple(range(2, n_dims)) if dims is None else dims
    dims = {dim % n_dims for dim in (dims if isinstance(dims, tuple | list) else (dims,))}
    if min(dims) < 2:
        refuse(node, "it may only drop the height and width of maps: write x.flatten(1)")
    if n_dims - len(dims) == 2:
        _set_call(node, "flatten", 1)
    else:
        _set_call(node, flatten_places)
    return n_dims - len(dims)


def _unsqueeze(node: fx.Node, n_dims: int | None) -> int:
    """Check that places are added behind the channels; return the dimensions."""
    (dim,) = _given(node, "dim")
    if n_dims not in (2, 3) or not isinstance(dim, int) or dim % (n_dims + 1) < 2:
        refuse(node, "it may only give rows of features a height and width")
    return n_dims + 1


def _item(node: fx.Node, n_dims: int | None) -> int:
    """Rewrite ``x[:, :, None, None]`` and ``x[:, :, 0, 0]``; return the dimensions."""
    everything, index = slice(None), node.args[1]
    if n_dims == 2 and index == (everything, everything, None, None):
        _set_call(node, as_pixels)
        return 4
    if n_dims == 4 and index == (everything, everything, 0, 0):
        _set_call(node, "flatten", 1)  # of maps of one pixel: others are no rows of this length
        return 2
    refuse(node, f"it takes a part of the values: {index}")


def _reduced(node: fx.Node, n_dims: int | None) -> int:
    """Check that a mean, sum or maximum is one over space; return its dimensions."""
    dims, keepdim = _given(node, "dim", "keepdim")
    dims = node.kwargs.get("axis", dims)
    dims = dims if isinstance(dims, tuple | list) else (dims,)
    known = n_dims in (3, 4) and all(isinstance(dim, int) for dim in dims)
    if not known or min(dim % n_dims for dim in dims) < 2:
        refuse(node, "it must go over the height and width of maps, as x.mean((2, 3)) does")
    return n_dims if keepdim else n_dims - len(dims)


def _window(node: fx.Node) -> None:
    """Rewrite pooling whose window is the whole map."""
    (window,) = _given(node, "kernel_size")
    if _size_or_none(window) in (HEIGHT, WIDTH, (HEIGHT, WIDTH)) and len(node.args) < 3:
        _set_call(node, GLOBAL_POOLING[call_name(node)], 1)


def rewrite_shape(
    node: fx.Node, graph_module: fx.GraphModule, dims: Mapping[fx.Node, int | None]
) -> int | None:
    """Rewrite what lays a value out anew; return the number of its dimensions.

    `dims` holds those of the nodes before it, None for images in a shape unknown.
    """
    module, name = module_of(node, graph_module), call_name(node)
    read = [dims[part] for part in node.all_input_nodes if part in dims]
    n_dims = read[0] if read else None
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
        return 4
    if isinstance(module, nn.Linear):
        if n_dims in (3, 4):
            refuse(node, "it reads maps: write x.flatten(1), or pool them, before it")
        return 2
    if isinstance(module, BATCH_NORMS) and n_dims == 3:
        refuse(node, "it normalizes maps laid out as (n_images, n_channels, n_places)")
    if isinstance(module, nn.Flatten) or name == "flatten":
        return _flatten(node, module, n_dims)
    if name in VIEWS:
        return _view(node, n_dims)
    if name == "squeeze":
        return _squeeze(node, n_dims)
    if name == "unsqueeze":
        return _unsqueeze(node, n_dims)
    if name == "getitem":
        return _item(node, n_dims)
    if name in REDUCTIONS:
        return _reduced(node, n_dims)
    if name in GLOBAL_POOLING:
        _window(node)
    if name == as_pixels.__name__:
        return 4
    if name == flatten_places.__name__:
        return 3
    if (name in ADDITIONS | CONCATENATIONS and len({None, *read}) > 2) or (
        name in ADDITIONS and n_dims == 3
    ):
        refuse(node, f"its tensors have {read} dimensions: flatten or pool all of them before it")
    return max(read, key=lambda part: part or 0) if name in PRODUCTS else n_dims
