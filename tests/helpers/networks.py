"""Made-up networks: layers with given weights, and small networks that branch."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn


def _double(values):
    return torch.as_tensor(values, dtype=torch.float64)


def _set(layer, weight, bias):
    layer.weight.data = weight
    if layer.bias is not None:
        layer.bias.data = _double([0.0] * len(weight) if bias is None else bias)
    return layer


def dense(weight, bias=None):
    """Return a dense layer; `weight` is given as rows of units (n_out, n_in)."""
    weight = _double(weight)
    return _set(nn.Linear(*reversed(weight.shape)), weight, bias)


def dense_arrays(*kernels):
    """Return kernels and biases 0, 1, 2, ... of a chain of dense layers."""
    arrays = {}
    for index, kernel in enumerate(kernels):
        arrays[f"{index}.weight"] = np.array(kernel, dtype=float)
        arrays[f"{index}.bias"] = np.arange(len(kernel), dtype=float)
    return arrays


def conv(weight, bias=None, **options):
    """Return a convolution; `weight` has shape (n_out, n_in, height, width)."""
    weight = _double(weight)
    n_out, n_in, *size = weight.shape
    channels = n_in * options.get("groups", 1)
    return _set(nn.Conv2d(channels, n_out, tuple(size), **options), weight, bias)


def batch_norm(kind, gamma, variance, mean=None, beta=None):
    """Return a batch normalization with epsilon 0.001 and these statistics."""
    n = len(gamma)
    norm = kind(n, eps=1e-3)
    norm.weight.data = _double(gamma)
    norm.bias.data = _double([0.0] * n if beta is None else beta)
    norm.running_var = _double(variance)
    norm.running_mean = _double([0.0] * n if mean is None else mean)
    return norm


def stack(*modules):
    """Return the modules one after the other, in inference mode."""
    return nn.Sequential(*modules).double().eval()


def random_mlp(sizes, seed):
    """Return a ReLU network with normal weights and biases; layers are named 0, 2, 4, ..."""
    generator = torch.Generator().manual_seed(seed)
    modules = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.randn(n_out, n_in, generator=generator, dtype=torch.float64)
        modules += [dense(weight, torch.randn(n_out, generator=generator).tolist()), nn.ReLU()]
    return stack(*modules[:-1])


class Made(nn.Module):
    """A network whose forward pass is a function of its modules."""

    def __init__(self, forward, modules):
        super().__init__()
        for name, module in modules.items():
            *parents, last = name.split(".")
            holder = self
            for parent in parents:
                if not hasattr(holder, parent):
                    holder.add_module(parent, nn.Module())
                holder = getattr(holder, parent)
            holder.add_module(last, module)
        self.function = forward
        self.double().eval()

    def forward(self, x):
        return self.function(self, x)


def made(forward, modules=None, **named):
    """Return a network; `modules` may have names with dots."""
    return Made(forward, {**(modules or {}), **named})


# images of 3 channels, 2 x 2
X = torch.from_numpy(np.random.default_rng(7).integers(-3, 4, (6, 3, 2, 2))).float()
# gamma over sqrt(variance + 0.001): -2 / 0.5 = -4 and 3 / 2 = 1.5
NORM = {"gamma": [-2.0, 3.0], "variance": [0.249, 3.999]}


def pointwise(weight, **options):
    """Return a 1 x 1 convolution of a matrix (n_out, n_in)."""
    return conv(np.asarray(weight, dtype=float)[:, :, None, None], **options)


def norm(gamma=NORM["gamma"], variance=NORM["variance"], **others):
    return batch_norm(nn.BatchNorm2d, gamma, variance, **others)


def pooled(x):
    return torch.flatten(torch.nn.functional.adaptive_avg_pool2d(x, 1), 1)


IMAGE = [[1, 0, -1], [0, 1, 1]]


def residual():
    """Return conv0 - ReLU - (conv1 - ReLU - conv2, skip) - sum - ReLU - pool - fc."""

    def forward(m, x):
        start = m.conv0(x).relu()
        return m.fc(pooled((m.conv2(m.conv1(start).relu()) + start).relu()))

    return made(
        forward,
        conv0=pointwise(IMAGE),
        conv1=pointwise([[1, -2], [0, 3], [-1, 1]]),
        conv2=pointwise([[2, 0, 1], [-1, 1, 0]]),
        fc=dense([[1, 0], [0, 1]]),
    )


def strided():
    """Return two blocks; in the second one the skip is a convolution, both with stride 2."""

    def forward(m, x):
        x = m.stem(x).relu()
        x = (m.a.conv2(m.a.conv1(x).relu()) + x).relu()
        x = (m.b.conv2(m.b.conv1(x).relu()) + m.b.down(x)).relu()
        return m.fc(pooled(x))

    modules = {
        "stem": pointwise(IMAGE),
        "a.conv1": pointwise([[1, 2], [0, -1]]),
        "a.conv2": pointwise([[0, 3], [-2, 1]]),
        "b.conv1": pointwise([[4, 0], [1, -1]], stride=2),
        "b.conv2": pointwise([[1, 1], [0, 2]]),
        "b.down": pointwise([[-5, 0], [0, 6]], stride=2),
        "fc": dense([[1, 0], [0, 1]]),
    }
    return made(forward, modules)


def preactivated():
    """Return stem - (norm1 - ReLU - conv1 - norm2 - ReLU - conv2, skip) - sum - norm3 - ReLU."""

    def forward(m, x):
        x = m.stem(x)
        x = x + m.conv2(m.norm2(m.conv1(m.norm1(x).relu())).relu())
        return m.fc(pooled(m.norm3(x).relu()))

    return made(
        forward,
        stem=pointwise(IMAGE),
        norm1=norm(beta=[1.0, 2.0]),
        conv1=pointwise([[1, 2], [3, 0]]),
        norm2=norm([1.0, -1.0], [0.249, 0.999]),  # factors 2 and -1
        conv2=pointwise([[0, -1], [5, 7]]),
        norm3=norm([3.0, 1.0], [0.999, 0.999]),  # factors 3 and 1
        fc=dense([[1, 0], [0, 1]]),
    )


def concatenated():
    """Return (one, two - ReLU - norm2) side by side - norm - ReLU - mix - fc."""

    def forward(m, x):
        both = torch.cat([m.one(x).relu(), m.norm2(m.two(x).relu())], dim=1)
        return m.fc(pooled(m.mix(m.norm(both).relu()).relu()))

    return made(
        forward,
        one=pointwise([[1, 1, 1]]),
        two=pointwise(IMAGE),
        norm2=norm(),  # factors -4 and 1.5
        norm=norm([2.0, 3.0, -5.0], [0.999] * 3),
        mix=pointwise([[1, 2, 3], [0, -1, 4]]),
        fc=dense([[1, 0], [0, 1]]),
    )


def dense_block():
    """Return conv0; conv1 of it; conv2 of both; fc of all three."""

    def forward(m, x):
        first = m.conv0(x)
        second = m.conv1(first.relu())
        third = m.conv2(torch.cat([first, second], 1).relu())
        return m.fc(pooled(torch.cat((first, second, third), dim=1).relu()))

    return made(
        forward,
        conv0=pointwise(IMAGE),
        conv1=pointwise([[1, 2]]),
        conv2=pointwise([[3, -4, 5]]),
        fc=dense([[1, 0, 1, 0], [0, 1, 0, 1]]),
    )


def fire():
    """Return stem - squeeze - (expand1, expand3 with 3 x 3 kernels) side by side - last."""

    def forward(m, x):
        x = m.squeeze(m.stem(x).relu()).relu()
        x = torch.cat([m.expand1(x).relu(), m.expand3(x).relu()], 1)
        return pooled(m.last(x))

    rng = np.random.default_rng(3)
    return made(
        forward,
        stem=pointwise(IMAGE),
        squeeze=pointwise([[1, 2], [1, -1]]),
        expand1=pointwise([[1, -1], [2, 3]]),
        expand3=conv(rng.integers(-2, 3, (1, 2, 3, 3)).astype(float), padding=1),
        last=pointwise([[1, 0, 2], [0, -3, 1]]),
    )


def residual_mlp():
    """Return first - ReLU - (second - ReLU, skip) - sum - out; reads two numbers."""

    def forward(m, x):
        x = m.first(x).relu()
        return m.out(x + m.second(x).relu())

    return made(
        forward,
        first=dense([[1, -2], [3, 4]]),
        second=dense([[5, 0], [-6, 7]]),
        out=dense([[1, 2], [0, -3]]),
    )


# --- larger ones, of random weights; `at` sees values on their way: for oracles ---


def _random(rng, n_out, n_in, size=1, **options):
    return conv(rng.normal(size=(n_out, n_in, size, size)), rng.normal(size=n_out), **options)


def _random_norm(rng, n):
    return norm(
        rng.normal(size=n), rng.random(n) + 0.5, mean=rng.normal(size=n), beta=rng.random(n)
    )


def centred(network, x):
    """Move the logits of a network to mean 0: otherwise one class wins whatever is lesioned."""
    last = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)][-1]
    last.bias.data -= network(x).mean(dim=0).detach()
    return network


def keep(where, value):
    """Return a value as it is."""
    return value


def resnet_forward(m, x, at=keep):
    x = at("stem end", m.norm(at("stem", m.stem(x))).relu())
    inner = at("a.conv1 end", m.a.norm1(at("a.conv1", m.a.conv1(x))).relu())
    x = at("a.conv2 end", at("a.conv2", m.a.norm2(m.a.conv2(inner)) + x).relu())
    inner = at("b.conv1 end", m.b.norm1(at("b.conv1", m.b.conv1(x))).relu())
    x = at("b.down", m.b.norm2(m.b.conv2(inner)) + m.b.norm3(m.b.down(x)))
    return m.fc(pooled(at("b.down end", x.relu())))


def resnet(seed=0):
    """Return a block with a plain skip and one with a strided convolution on the skip."""
    rng = np.random.default_rng(seed)
    modules = {"stem": _random(rng, 4, 3, 3, padding=1), "norm": _random_norm(rng, 4)}
    modules |= {"a.conv1": _random(rng, 4, 4, 3, padding=1), "a.norm1": _random_norm(rng, 4)}
    modules |= {"a.conv2": _random(rng, 4, 4, 3, padding=1), "a.norm2": _random_norm(rng, 4)}
    modules |= {"b.conv1": _random(rng, 5, 4, 3, padding=1, stride=2)}
    modules |= {"b.norm1": _random_norm(rng, 5), "b.conv2": _random(rng, 6, 5, 3, padding=1)}
    modules |= {"b.norm2": _random_norm(rng, 6), "b.down": _random(rng, 6, 4, stride=2)}
    modules |= {"b.norm3": _random_norm(rng, 6), "fc": dense(rng.normal(size=(3, 6)))}
    return made(resnet_forward, modules)


def inception_forward(m, x, at=keep):
    x = at("stem end", at("stem", m.stem(x)).relu())
    plain = at("one end", at("one", m.one(x)).relu())
    squeezed = at("squeeze end", at("squeeze", m.squeeze(x)).relu())
    three = at("three end", m.norm3(at("three", m.three(squeezed))).relu())
    flat = torch.nn.functional.max_pool2d(x, 3, 1, 1)
    pool = at("pool end", at("pool", m.pool(flat)).relu())
    x = at("last end", at("last", m.last(m.norm(torch.cat([plain, three, pool], 1)).relu())).relu())
    return m.fc(pooled(x))


def inception(seed=0):
    """Return three ways side by side, behind which a normalization and a convolution stand."""
    rng = np.random.default_rng(seed)
    modules = {"stem": _random(rng, 8, 3, 3, padding=1), "one": _random(rng, 6, 8)}
    modules |= {"squeeze": _random(rng, 6, 8), "three": _random(rng, 7, 6, 3, padding=1)}
    modules |= {"norm3": _random_norm(rng, 7), "pool": _random(rng, 5, 8)}
    modules |= {"norm": _random_norm(rng, 18), "last": _random(rng, 8, 18)}
    return made(inception_forward, {**modules, "fc": dense(rng.normal(size=(3, 8)))})


def layer_values(network, x, lesion=None):
    """Return what each layer of a chain gives, by name; lesioned units give 0."""
    values = {}
    with torch.no_grad():
        for name, part in network.named_children():
            x = part(x)
            if name in (lesion or {}):
                x = x.clone()
                x[:, lesion[name]] = 0
            values[name] = x
    return values


def lesioned_accuracies(network, x, y, lesion):
    """Return the accuracy of a chain for each class where lesioned units give 0."""
    *_, logits = layer_values(network, x, lesion).values()
    right = (logits.argmax(1) == y).double()
    return np.array([float(right[y == label].mean()) for label in range(int(y.max()) + 1)])
