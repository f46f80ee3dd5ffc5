"""Ways to train, as ratios measured in the same run.

Usage: python benchmarks/training.py    writes benchmarks/tables/training.csv

MLP: replicates at once in batched products against one by one, which on two threads is the
baseline. "side by side" is what `localspec train` does: as many processes as cores, each with one
network after another on one thread. "batched" stacks the replicates' weights, so that a layer is
one batched product for all of them. All ways start from the same weights and see the same batches.
Seconds are per replicate and epoch of MNIST (469 batches of 128), extrapolated from fewer steps;
the smallest of several rounds counts. Weights of the ways differ by rounding, which Adam enlarges
from step to step: one thread and two differ as much.

CNN: one network on one thread in bfloat16, channels last, in a process that returns freed memory to
the system, as glibc does by default and is the baseline, and in one that keeps it, as `localspec
train` does. Seconds are per epoch of MNIST (938 batches of 64).
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import torch
from ratios import measure, write
from torch.nn import functional as F

from localspec._utils.hardware import keep_freed_memory
from localspec.networks._architectures import cnn, mlp
from localspec.networks._initialisation import initialise
from localspec.networks._optimiser import KerasAdam

SIZES = (784, 256, 256, 256, 256, 10)
N_REPLICATES, N_STEPS, BATCH = 4, 100, 128
STEPS_PER_EPOCH = 469
CNN_BATCH, CNN_STEPS_PER_EPOCH = 64, 938
N_ROUNDS = 3
CORES = 2
CONTEXT = multiprocessing.get_context("spawn")  # forked threads of torch would hang


def batches(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a replicate's inputs (n_steps, batch, 784) and classes (n_steps, batch)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(N_STEPS, BATCH, SIZES[0], generator=generator)
    return x, torch.randint(SIZES[-1], (N_STEPS, BATCH), generator=generator)


def network(seed: int) -> torch.nn.Module:
    """Return a replicate before training."""
    made = mlp(SIZES[0], SIZES[1:-1], SIZES[-1])
    initialise(made, torch.Generator().manual_seed(seed))
    return made


def train_one(seed: int, n_threads: int) -> list[torch.Tensor]:
    """Train one replicate; return its parameters."""
    torch.set_num_threads(n_threads)
    module = network(seed)
    optimizer = KerasAdam(module.parameters())
    for x, y in zip(*batches(seed), strict=True):
        optimizer.zero_grad()
        F.cross_entropy(module(x), y).backward()
        optimizer.step()
    return [parameter.detach() for parameter in module.parameters()]


def batched(n_threads: int) -> list[torch.Tensor]:
    """Train all replicates at once; return their stacked parameters."""
    torch.set_num_threads(n_threads)
    each = [list(network(seed).parameters()) for seed in range(N_REPLICATES)]
    stacked = [torch.stack(same).detach().requires_grad_(True) for same in zip(*each, strict=True)]
    optimizer = KerasAdam(stacked)
    inputs, classes = zip(*map(batches, range(N_REPLICATES)), strict=True)
    inputs, classes = torch.stack(inputs, dim=1), torch.stack(classes, dim=1)
    for x, y in zip(inputs, classes, strict=True):
        optimizer.zero_grad()
        for index in range(0, len(stacked), 2):
            weight, bias = stacked[index : index + 2]
            x = torch.baddbmm(bias[:, None], x if index == 0 else F.relu(x), weight.mT)
        losses = F.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="sum") / BATCH
        losses.backward()
        optimizer.step()
    return [parameter.detach() for parameter in stacked]


def train_cnn() -> list[torch.Tensor]:
    """Train the paper's CNN for some steps on one thread; return its parameters."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    module = cnn((1, 28, 28), (64, 64, "pool", 64, "pool"), (128,), 10)
    initialise(module, generator)
    module.to(memory_format=torch.channels_last)
    optimizer = KerasAdam(module.parameters())
    x = torch.rand(CNN_BATCH, 1, 28, 28, generator=generator)
    y = torch.randint(10, (CNN_BATCH,), generator=generator)
    for _ in range(N_STEPS):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = module(x)
        optimizer.zero_grad()
        F.cross_entropy(outputs.float(), y).backward()
        optimizer.step()
    return [parameter.detach() for parameter in module.parameters()]


def mlp_rows() -> list[dict]:
    """Return a row for each way to train replicates of an MLP."""
    parameters: dict[str, list] = {}
    with ProcessPoolExecutor(CORES, CONTEXT) as pool:

        def one_by_one() -> None:
            parameters["one by one"] = [train_one(seed, CORES) for seed in range(N_REPLICATES)]

        def side_by_side() -> None:
            seeds = range(N_REPLICATES)
            parameters["side by side"] = list(pool.map(train_one, seeds, [1] * N_REPLICATES))

        def at_once() -> None:
            parameters["batched"] = list(zip(*batched(CORES), strict=True))

        ways = {"one by one": one_by_one, "side by side": side_by_side, "batched": at_once}
        measure(ways, n_rounds=1)  # starts the processes
        seconds = measure(ways, n_rounds=N_ROUNDS)
    return rows_of("MLP", N_REPLICATES, CORES, STEPS_PER_EPOCH, seconds, parameters)


def cnn_rows() -> list[dict]:
    """Return a row for a CNN's training with freed memory returned, and one with it kept."""
    parameters: dict[str, list] = {}
    with (
        ProcessPoolExecutor(1, CONTEXT) as plain,
        ProcessPoolExecutor(1, CONTEXT, initializer=keep_freed_memory) as keeping,
    ):

        def returned() -> None:
            parameters["freed memory returned"] = [plain.submit(train_cnn).result()]

        def kept() -> None:
            parameters["freed memory kept"] = [keeping.submit(train_cnn).result()]

        ways = {"freed memory returned": returned, "freed memory kept": kept}
        measure(ways, n_rounds=1)  # starts the processes
        seconds = measure(ways, n_rounds=N_ROUNDS)
    return rows_of("CNN", 1, 1, CNN_STEPS_PER_EPOCH, seconds, parameters)


def rows_of(
    network: str,
    n_replicates: int,
    n_cores: int,
    n_steps: int,
    seconds: dict[str, float],
    parameters: dict[str, list],
) -> list[dict]:
    """Return a row for each way, the first of which is the baseline; an epoch has `n_steps`."""
    baseline = next(iter(seconds))
    return [
        {
            "network": network,
            "way": way,
            "replicates": n_replicates,
            "cores": n_cores,
            "seconds_per_epoch": taken / n_replicates / N_STEPS * n_steps,
            "times_faster": seconds[baseline] / taken,
            "largest_difference": largest_difference(parameters[baseline], parameters[way]),
        }
        for way, taken in seconds.items()
    ]


def largest_difference(plain: list[list[torch.Tensor]], other: list[list[torch.Tensor]]) -> float:
    """Return how far parameters of the same networks lie apart, at most."""
    return max(
        float((a - b).abs().max())
        for theirs, ours in zip(plain, other, strict=True)
        for a, b in zip(theirs, ours, strict=True)
    )


def main() -> None:
    write("training", [*mlp_rows(), *cnn_rows()])


if __name__ == "__main__":
    main()
