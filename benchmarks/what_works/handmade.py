"""Networks made by hand, each for one construct: name -> (function that makes it, image shape)."""

import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

GREY, COLOUR, SIGNAL, VIDEO = (1, 16, 16), (3, 16, 16), (2, 32), (1, 6, 12, 12)
N_CLASSES = 5


class Passed(nn.Module):
    """A network whose forward pass is a function of its modules."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def chain(*modules):
    return lambda: nn.Sequential(*[module() for module in modules])


def convolutional(norm=nn.Identity, act=nn.ReLU, **options):
    """Return conv, norm, activation twice; mean over space; a dense layer."""

    def make():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            norm(),
            act(),
            nn.Conv2d(8, 8, 3, padding=1, **options),
            act(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, N_CLASSES),
        )

    return make


def dense(*between):
    def make():
        parts = [part() for part in between]
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 12), *parts, nn.Linear(12, N_CLASSES))

    return make


def passed(forward, **modules):
    return lambda: Passed(forward, **{name: make() for name, make in modules.items()})


def linear(*sizes, **options):
    return lambda: nn.Linear(*sizes, **options)


def conv(*sizes, **options):
    return lambda: nn.Conv2d(*sizes, **options)


def head(width=8):
    return linear(width, N_CLASSES)


def recurrent(kind, last, **options):
    def forward(m, x):
        values, state = m.layer(x[:, 0])
        return m.head(last(values, state))

    width = 12 if options.get("bidirectional") else 6
    layer = lambda: kind(16, 6, batch_first=True, **options)  # noqa: E731
    return passed(forward, layer=layer, head=head(width))


def encoder(**options):
    def make():
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, **options)
        return Passed(
            lambda m, x: m.head(m.layers(x[:, 0]).mean(1)),
            layers=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            head=nn.Linear(16, N_CLASSES),
        )

    return make


def residual(m, x):
    x = m.first(x).relu()
    return m.head((x + m.second(x)).relu().mean((2, 3)))


def gated(m, x):
    x = m.first(x).relu()
    return m.head((m.second(x) * m.gate(x.mean((2, 3), keepdim=True)).sigmoid()).mean((2, 3)))


def attention_over_images(m, x):
    x = m.first(x.flatten(1))
    return m.head((x @ x.T).softmax(1) @ x)


def loop(m, x):
    x = m.first(x.flatten(1))
    for _ in range(3):
        x = m.again(x).relu()
    return m.head(x)


def branching(m, x):
    x = m.first(x.flatten(1))
    return m.head(x.relu() if x.sum() > 0 else x.tanh())


def functional(m, x):
    x = F.linear(x.flatten(1), m.first.weight, m.first.bias).relu()
    return m.head(m.second(x).relu())


def all_functional(m, x):
    x = F.conv2d(x, m.first.weight, m.first.bias).relu()
    return m.head(x.mean((2, 3)))


def changed(make, change):
    """Return a maker of a network that is changed after it is made."""

    def made():
        network = make()
        change(network)
        return network

    return made


def pruned(network):
    prune.l1_unstructured(network[1], "weight", 0.3)


def parametrized(network):
    parametrizations.weight_norm(network[1])


def old_weight_norm(network):
    torch.nn.utils.weight_norm(network[1])


def spectral(network):
    parametrizations.spectral_norm(network[1])


def with_hook(network):
    network[1].register_forward_hook(lambda module, inputs, output: 2 * output)


def maxout(m, x):
    return m.head(m.first(x.flatten(1)).unflatten(1, (12, 2)).amax(2))


def squeezed(m, x):
    return m.head(m.first(x.flatten(1)).softmax(1))


OF_GREY_IMAGES = {
    "MLP": dense(nn.ReLU),
    "MLP, GELU": dense(nn.GELU),
    "MLP, batch normalization": dense(lambda: nn.BatchNorm1d(12), nn.ReLU),
    "MLP, layer normalization": dense(lambda: nn.LayerNorm(12), nn.ReLU),
    "MLP, RMS normalization": dense(lambda: nn.RMSNorm(12), nn.ReLU),
    "MLP, dropout": dense(nn.ReLU, nn.Dropout),
    "MLP, gated linear units": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(256, 24), nn.GLU(), nn.Linear(12, 5)
    ),
    "MLP, maxout": passed(maxout, first=linear(256, 24), head=head(12)),
    "MLP, softmax inside": passed(squeezed, first=linear(256, 12), head=head(12)),
    "MLP, softmax at the end": lambda: nn.Sequential(dense(nn.ReLU)(), nn.Softmax(dim=1)),
    "MLP, sigmoid at the end": lambda: nn.Sequential(dense(nn.ReLU)(), nn.Sigmoid()),
    "MLP, layer normalization, softmax at the end": lambda: nn.Sequential(
        dense(lambda: nn.LayerNorm(12), nn.ReLU)(), nn.Softmax(dim=1)
    ),
    "MLP, pruned": changed(dense(nn.ReLU), pruned),
    "MLP, weight normalization": changed(dense(nn.ReLU), parametrized),
    "MLP, weight normalization by hooks": changed(dense(nn.ReLU), old_weight_norm),
    "MLP, spectral normalization": changed(dense(nn.ReLU), spectral),
    "MLP, frozen": lambda: dense(nn.ReLU)().requires_grad_(False),
    "MLP, a forward hook": changed(dense(nn.ReLU), with_hook),
    "MLP, bfloat16": lambda: dense(nn.ReLU)().bfloat16(),
    "MLP, float64": lambda: dense(nn.ReLU)().double(),
    "MLP, in parallel": lambda: nn.DataParallel(dense(nn.ReLU)()),
    "MLP, compiled": lambda: torch.compile(dense(nn.ReLU)()),
    "MLP, one of its layers used three times": passed(
        loop, first=linear(256, 8), again=linear(8, 8), head=head()
    ),
    "MLP, branching on values": passed(branching, first=linear(256, 8), head=head()),
    "MLP, a layer used by its weights": passed(
        functional, first=linear(256, 8), second=linear(8, 8), head=head()
    ),
    "MLP, normalization over images and units": passed(
        lambda m, x: m.head(F.layer_norm(m.first(x.flatten(1)), (8,)).relu()),
        first=linear(256, 8),
        head=head(),
    ),
    "MLP, checkpointed": passed(
        lambda m, x: m.head(checkpoint(m.first, x.flatten(1), use_reentrant=False).relu()),
        first=linear(256, 8),
        head=head(),
    ),
    "LSTM, last step": recurrent(nn.LSTM, lambda values, _: values[:, -1]),
    "LSTM, last state": recurrent(nn.LSTM, lambda _, state: state[0][-1]),
    "LSTM, two layers in both directions": recurrent(
        nn.LSTM, lambda v, _: v.mean(1), bidirectional=True, num_layers=2
    ),
    "GRU, last state": recurrent(nn.GRU, lambda _, state: state[-1]),
    "RNN, mean over steps": recurrent(nn.RNN, lambda values, _: values.mean(1)),
    "LSTM cell": passed(
        lambda m, x: m.head(_steps(m.cell, x[:, 0])),
        cell=lambda: nn.LSTMCell(16, 6),
        head=head(6),
    ),
    "Transformer encoder": encoder(),
    "Transformer encoder, normalized first": encoder(norm_first=True, activation="gelu"),
    "Attention alone": passed(
        lambda m, x: m.head(m.attention(*3 * (x[:, 0],))[0].mean(1)),
        attention=lambda: nn.MultiheadAttention(16, 2, batch_first=True),
        head=head(16),
    ),
    "Attention over images": passed(attention_over_images, first=linear(256, 8), head=head()),
    "Normalization by the batch": dense(
        lambda: nn.BatchNorm1d(12, track_running_stats=False), nn.ReLU
    ),
    "Dropout that stays on": passed(
        lambda m, x: m.head(F.dropout(m.first(x.flatten(1)), 0.5, True)),
        first=linear(256, 8),
        head=head(),
    ),
    "One logit": lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 1)),
    "Perceptron without a hidden layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 5)),
    "A dict of outputs": passed(
        lambda m, x: {"out": m.head(m.first(x.flatten(1)).relu())},
        first=linear(256, 8),
        head=head(),
    ),
    "MLP, half precision": lambda: dense(nn.ReLU)().half(),
    "MLP, quantized": lambda: quantize_dynamic(dense(nn.ReLU)(), {nn.Linear}),
    "MLP, scripted": lambda: torch.jit.script(dense(nn.ReLU)().eval()),
    "MLP, in training mode": lambda: TrainingMode(dense(nn.ReLU)()),
}
OF_COLOUR_IMAGES = {
    "CNN": convolutional(),
    "CNN, SiLU": convolutional(act=nn.SiLU),
    "CNN, PReLU": convolutional(act=nn.PReLU),
    "CNN, batch normalization": convolutional(lambda: nn.BatchNorm2d(8)),
    "CNN, group normalization": convolutional(lambda: nn.GroupNorm(2, 8)),
    "CNN, instance normalization": convolutional(lambda: nn.InstanceNorm2d(8)),
    "CNN, local response normalization": convolutional(lambda: nn.LocalResponseNorm(3)),
    "CNN, grouped convolution": convolutional(groups=4),
    "CNN, depthwise convolution": convolutional(groups=8),
    "CNN, dilated convolution": convolutional(dilation=2),
    "CNN, circular padding": convolutional(padding_mode="circular"),
    "CNN, residual": passed(
        residual, first=conv(3, 8, 3), second=conv(8, 8, 3, padding=1), head=head()
    ),
    "CNN, concatenation": passed(
        lambda m, x: m.head(torch.cat([m.a(x), m.b(x)], 1).relu().mean((2, 3))),
        a=conv(3, 4, 3),
        b=conv(3, 4, 3),
        head=head(),
    ),
    "CNN, squeeze and excitation": passed(
        gated,
        first=conv(3, 8, 3),
        second=conv(8, 8, 3),
        gate=conv(8, 8, 1),
        head=head(),
    ),
    "CNN, transposed convolution": chain(
        conv(3, 4, 3, stride=2),
        nn.ReLU,
        lambda: nn.ConvTranspose2d(4, 8, 3),
        nn.ReLU,
        lambda: nn.AdaptiveAvgPool2d(1),
        nn.Flatten,
        head(),
    ),
    "CNN, pixel shuffle": chain(
        conv(3, 32, 3),
        lambda: nn.PixelShuffle(2),
        conv(8, 8, 3),
        nn.ReLU,
        lambda: nn.AdaptiveAvgPool2d(1),
        nn.Flatten,
        head(),
    ),
    "CNN, fully convolutional": chain(
        conv(3, 8, 3),
        nn.ReLU,
        conv(8, N_CLASSES, 1),
        lambda: nn.AdaptiveAvgPool2d(1),
        nn.Flatten,
    ),
    "CNN, a convolution used by its weights": passed(
        all_functional, first=conv(3, 8, 3), head=head()
    ),
    "CNN, channels last": lambda: convolutional()().to(memory_format=torch.channels_last),
    "Maps for logits": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 5, 3)),
}
HANDMADE = {
    "Convolutions of one dimension": (
        chain(
            lambda: nn.Conv1d(2, 8, 5),
            nn.ReLU,
            lambda: nn.Conv1d(8, 8, 3),
            nn.ReLU,
            lambda: nn.AdaptiveAvgPool1d(1),
            nn.Flatten,
            head(),
        ),
        SIGNAL,
    ),
    "Convolutions of three dimensions": (
        chain(
            lambda: nn.Conv3d(1, 8, 3),
            lambda: nn.BatchNorm3d(8),
            nn.ReLU,
            lambda: nn.Conv3d(8, 8, 3),
            nn.ReLU,
            lambda: nn.AdaptiveAvgPool3d(1),
            nn.Flatten,
            head(),
        ),
        VIDEO,
    ),
    "CNN over frames": (
        passed(
            lambda m, x: m.head(
                m.frame(x.flatten(0, 1)[:, None])
                .relu()
                .mean((2, 3))
                .unflatten(0, (len(x), -1))
                .mean(1)
            ),
            frame=conv(1, 8, 3),
            head=head(),
        ),
        (6, 12, 12),
    ),
}
HANDMADE |= {name: (make, GREY) for name, make in OF_GREY_IMAGES.items()}
HANDMADE |= {name: (make, COLOUR) for name, make in OF_COLOUR_IMAGES.items()}


class TrainingMode(nn.Module):
    """Stays in training mode."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def train(self, mode=True):
        return super().train(True)

    def forward(self, x):
        return self.network(x)


def _steps(cell, x):
    state = None
    for step in x.unbind(1):
        state = cell(step, state)
    return state[0]
