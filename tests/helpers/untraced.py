"""Small networks in double precision that torch.fx cannot follow, and lesions of them by hand."""

import copy
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def images(shape, seed=0):
    """Return normal images in double precision."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


class Attention(nn.Module):
    """Two heads over tokens of eight values, with queries, keys and values packed."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class VisionTransformer(nn.Module):
    """One block over four patches and a class token."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm1, self.attention = nn.LayerNorm(8), Attention()
        self.norm2 = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = tokens + self.attention(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return self.head(tokens[:, 0])


class ConvNeXt(nn.Module):
    """One block: a depthwise convolution, then dense layers with the channels last."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 2, stride=2)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.LayerNorm(6)
        self.up, self.down = nn.Linear(6, 10), nn.Linear(10, 6)
        self.scale = nn.Parameter(torch.rand(6))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        return self.head((x + y.permute(0, 3, 1, 2)).mean(dim=(2, 3)))


class Signals(nn.Module):
    """Two convolutions of one dimension, with a group normalization."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 4, 5), nn.Conv1d(4, 6, 3, stride=2)
        self.norm = nn.GroupNorm(2, 4)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x.flatten(2))))
        return self.head(torch.relu(self.conv2(x)).mean(dim=2))


class Volumes(nn.Module):
    """Two convolutions of three dimensions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(1, 4, 3), nn.Conv3d(4, 5, 2)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.act(self.conv2(self.act(self.conv1(x)))).mean(dim=(2, 3, 4)))


class Recurrent(nn.Module):
    """An LSTM over the rows of an image, read at its last state."""

    def __init__(self, *, bidirectional=False, batch_first=True, recurrent=nn.LSTM):
        super().__init__()
        options = {"bidirectional": bidirectional, "batch_first": batch_first}
        self.layer = recurrent(8, 5, num_layers=2, **options)
        self.head = nn.Linear(10 if bidirectional else 5, 3)

    def forward(self, x):
        rows = x[:, 0]
        _, state = self.layer(rows if self.layer.batch_first else rows.transpose(0, 1))
        last = state[0] if isinstance(state, tuple) else state
        last = last[-2:].transpose(0, 1) if self.layer.bidirectional else last[-1:].transpose(0, 1)
        return self.head(last.flatten(1))


class Windows(nn.Module):
    """A dense layer over the four windows of an image, as rows of the batch."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(16, 7)
        self.head = nn.Linear(28, 3)

    def forward(self, x):
        windows = x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(-1, 16)
        return self.head(self.inside(windows).tanh().reshape(len(x), -1))


class TwoHeads(nn.Module):
    """A second head that has no part in the logits, and a layer used by its weights alone."""

    def __init__(self):
        super().__init__()
        self.body, self.used = nn.Linear(5, 6), nn.Linear(6, 6)
        self.other, self.head = nn.Linear(6, 4), nn.Linear(6, 3)

    def forward(self, x):
        x = self.body(x).relu()
        self.other(x)
        return self.head(F.linear(x, self.used.weight))


class WithLogits(nn.Module):
    """A network that returns an object with its logits, as Hugging Face's classifiers do."""

    def __init__(self):
        super().__init__()
        self.inside = VisionTransformer()

    def forward(self, x):
        return SimpleNamespace(logits=self.inside(x))


SHAPE = (1, 8, 8)


def made(kind, shape=SHAPE, **options):
    """Return a network in evaluation mode, the same weights every time.

    Its logits are centred over some images, so that lesions change predictions.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = kind(**options).double().eval()
    for parameter in network.parameters():
        parameter.data *= 2.0
    with torch.no_grad():
        logits = network(images((50, *shape), seed=9))
        (head,) = [part for name, part in network.named_modules() if name.endswith("head")]
        head.bias -= getattr(logits, "logits", logits).mean(0)
    return network


# network, shape of images, and by default layer: units and the axis that holds them
NETWORKS = {
    "vision transformer": (
        lambda: made(VisionTransformer),
        SHAPE,
        {"patches": (8, 1), "attention.proj": (8, 2), "mlp.0": (12, 2), "mlp.2": (8, 2)},
    ),
    "ConvNeXt": (
        lambda: made(ConvNeXt),
        SHAPE,
        {"stem": (6, 1), "depthwise": (6, 1), "up": (10, 3), "down": (6, 3)},
    ),
    "signals": (lambda: made(Signals, (1, 1, 20)), (1, 1, 20), {"conv1": (4, 1), "conv2": (6, 1)}),
    "volumes": (
        lambda: made(Volumes, (1, 5, 6, 6)),
        (1, 5, 6, 6),
        {"conv1": (4, 1), "conv2": (5, 1)},
    ),
    "LSTM": (lambda: made(Recurrent), SHAPE, {"layer": (5, 2)}),
    "bidirectional LSTM": (
        lambda: made(Recurrent, bidirectional=True),
        SHAPE,
        {"layer": (10, 2)},
    ),
    "GRU, time first": (
        lambda: made(Recurrent, recurrent=nn.GRU, batch_first=False),
        SHAPE,
        {"layer": (5, 2)},
    ),
    "windows": (lambda: made(Windows), SHAPE, {"inside": (7, 1)}),
    "logits by name": (
        lambda: made(WithLogits),
        SHAPE,
        {
            "inside.patches": (8, 1),
            "inside.attention.proj": (8, 2),
            "inside.mlp.0": (12, 2),
            "inside.mlp.2": (8, 2),
        },
    ),
}


def lesioned_logits(network, x, lesion, axes):
    """Return the logits under a lesion: image by image, by a hook for each lesioned layer.

    `axes` has the axis of units by layer. A recurrent layer is replaced by one that runs step by
    step over the whole sequence and then zeroes the units, in its values and its last state.
    """
    network = copy.deepcopy(network)
    for name, units in lesion.items():

        def zero(module, inputs, output, units=units, axis=axes[name]):
            if isinstance(output, torch.Tensor):
                index = [slice(None)] * output.ndim
                index[axis] = np.asarray(units)
                output = output.clone()
                output[tuple(index)] = 0
                return output
            values, state = output
            values = values.clone()
            values[:, :, np.asarray(units)] = 0
            hidden = (state[0] if isinstance(state, tuple) else state).clone()
            for unit in units:
                direction = -1
                if module.bidirectional:
                    direction = -2 if unit < module.hidden_size else -1
                hidden[direction, :, unit % module.hidden_size] = 0
            return values, ((hidden, state[1]) if isinstance(state, tuple) else hidden)

        network.get_submodule(name).register_forward_hook(zero)
    with torch.no_grad():
        rows = [network(x[row : row + 1]) for row in range(len(x))]
    return torch.cat([getattr(row, "logits", row) for row in rows])


def outputs(network, x, name):
    """Return what a module returns, image by image: of a recurrent layer its values."""
    seen = []

    def keep(module, inputs, output):
        seen.append((output if isinstance(output, torch.Tensor) else output[0]).clone())

    handle = network.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        for row in range(len(x)):
            network(x[row : row + 1])
    handle.remove()
    return seen
