"""Trains a reference model in PyTorch: `python3 pytorch.py MODEL FOLDER WARM_UP STEPS`, with the batch and, where there is such a
file, the first weights that lie in the folder; or multiplies matrices: `python3 pytorch.py product SIZE`. Prints one line of JSON.
The environment says how many threads compute. Models are those of models/, in PyTorch's own layers and fastest idiom."""
import ctypes
import json
import os
import resource
import statistics
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    inputs = ['image', 'digit']

    def __init__(self):
        super().__init__()
        self.linear = nn.ModuleList([nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)])

    def forward(self, image, digit):
        h = F.relu(self.linear[0](image / 255))
        h = F.relu(self.linear[1](h))
        return F.cross_entropy(self.linear[2](h), digit)

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class LeNet(nn.Module):
    inputs = ['image', 'digit']

    def __init__(self):
        super().__init__()
        self.conv2d = nn.ModuleList([nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)])
        self.linear = nn.ModuleList([nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)])

    def forward(self, image, digit):
        h = F.avg_pool2d(torch.tanh(self.conv2d[0](image[:, None] / 255)), 2)
        h = F.avg_pool2d(torch.tanh(self.conv2d[1](h)), 2)
        h = torch.tanh(self.linear[0](h.flatten(1)))
        h = torch.tanh(self.linear[1](h))
        return F.cross_entropy(self.linear[2](h), digit)

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


class AlexNet(nn.Module):
    inputs = ['image', 'digit']

    def __init__(self):
        super().__init__()
        channels = [3, 64, 192, 384, 256, 256]
        self.conv2d = nn.ModuleList([nn.Conv2d(n, m, 3, padding=1) for n, m in zip(channels, channels[1:])])
        self.linear = nn.ModuleList([nn.Linear(4096, 1024), nn.Linear(1024, 512), nn.Linear(512, 10)])

    def forward(self, image, digit):
        h = F.max_pool2d(F.relu(self.conv2d[0](image / 255)), 2)
        h = F.max_pool2d(F.relu(self.conv2d[1](h)), 2)
        h = F.relu(self.conv2d[2](h))
        h = F.relu(self.conv2d[3](h))
        h = F.max_pool2d(F.relu(self.conv2d[4](h)), 2).flatten(1)
        h = F.relu(self.linear[0](F.dropout(h, 0.5)))
        h = F.relu(self.linear[1](F.dropout(h, 0.5)))
        return F.cross_entropy(self.linear[2](h), digit)

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


class Attention(nn.Module):
    """Causal attention in several heads as nanoGPT has it: one product for queries, keys and values."""

    def __init__(self, width, heads, positions):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer('later', torch.ones(positions, positions, dtype=torch.bool).triu(1))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (part.view(B, T, self.heads, D // self.heads).transpose(1, 2) for part in self.qkv(x).split(D, dim=2))
        scores = (q @ k.transpose(-2, -1)) * (D // self.heads) ** -0.5
        weights = F.softmax(scores.masked_fill(self.later[:T, :T], float('-inf')), dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    def __init__(self, width, heads, positions, approximate):
        super().__init__()
        self.layer_norm = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, heads, positions)
        self.linear = nn.ModuleList([nn.Linear(width, 4 * width), nn.Linear(4 * width, width)])
        self.approximate = approximate

    def forward(self, x):
        x = x + self.attention(self.layer_norm[0](x))
        return x + self.linear[1](F.gelu(self.linear[0](self.layer_norm[1](x)), approximate=self.approximate))


class Gpt(nn.Module):
    inputs = ['text', 'next']

    def __init__(self, vocabulary, positions, width, heads, layers, approximate, lr):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(positions, width)
        self.block = nn.ModuleList([Block(width, heads, positions, approximate) for _ in range(layers)])
        self.layer_norm = nn.LayerNorm(width)
        self.lr = lr
        for table in (self.embed, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, text, following):
        h = self.embed(text) + self.position(torch.arange(text.shape[1]))
        for block in self.block:
            h = block(h)
        logits = F.linear(self.layer_norm(h), self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1), following.flatten())

    def optimizer(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.1)


class Lstm(nn.Module):
    inputs = ['text', 'next']

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(65, 128)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.head = nn.Linear(128, 65)

    def forward(self, text, following):
        return F.cross_entropy(self.head(self.lstm(self.embed(text))[0]).flatten(0, 1), following.flatten())

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


models = {
    'mlp': Mlp,
    'lenet': LeNet,
    'alexnet': AlexNet,
    'lstm': Lstm,
    'gpt': lambda: Gpt(65, 64, 128, 4, 4, 'none', 1e-3),
    'gpt2': lambda: Gpt(50257, 1024, 768, 12, 12, 'tanh', 6e-4),
    'gpt2-1024': lambda: Gpt(50257, 1024, 768, 12, 12, 'tanh', 6e-4),
}


def read_safetensors(path):
    """Tensors of f32 by their names: eight bytes of length, a header in JSON, the elements."""
    contents = open(path, 'rb').read()
    start = 8 + int.from_bytes(contents[:8], 'little')
    header = {name: entry for name, entry in json.loads(contents[8:start]).items() if name != '__metadata__'}
    data = numpy.frombuffer(contents, dtype='<f4', offset=start)
    between = lambda entry: slice(entry['data_offsets'][0] // 4, entry['data_offsets'][1] // 4)
    return {name: torch.tensor(data[between(entry)]).view(entry['shape']) for name, entry in header.items()}


def load(model, weights):
    """nabla's names are those of the modules here, except that queries, keys and values are three products there."""
    for name, parameter in model.named_parameters():
        parts = [weights[name.replace('qkv', part)] for part in ('query', 'key', 'value')] if 'qkv' in name else [weights[name]]
        parameter.data.copy_(torch.cat(parts))


def measure(name, folder, warm_up, steps):
    model = models[name]()
    weights = os.path.join(folder, 'weights.safetensors')
    if os.path.exists(weights):
        load(model, read_safetensors(weights))
    read = lambda name: torch.from_numpy(numpy.load(os.path.join(folder, f'{name}.npy')))
    inputs = [value.long() if value.dtype == torch.int32 else value for value in map(read, model.inputs)]
    optimizer = model.optimizer()
    losses, times, first_step_at = [], [], None
    for _ in range(warm_up + steps):
        started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(*inputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append(1000 * (time.perf_counter() - started))
        first_step_at = first_step_at or 1000 * time.time()
    times = times[warm_up:]
    return {
        'version': version(),
        'parameters': sum(parameter.numel() for parameter in model.parameters()),
        'losses': losses,
        'ms_per_step': {'median': statistics.median(times), 'min': min(times)},
        'first_step_at': first_step_at,
        'peak_bytes': 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def product(size):
    """Milliseconds of a product of square matrices, into memory that is there already."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    out = torch.empty(size, size)
    times = []
    for _ in range(max(12, 2 ** 31 // size ** 3)):
        started = time.perf_counter()
        torch.matmul(a, b, out=out)
        times.append(1000 * (time.perf_counter() - started))
    times = times[2:]
    return {'ms': {'median': statistics.median(times), 'min': min(times)}}


def version():
    """With the processor that OpenBLAS computes for, and its kind of threads, where it is there to ask."""
    paths = [line.split()[-1] for line in open('/proc/self/maps') if 'libopenblas' in line] if os.path.exists('/proc/self/maps') else []
    if not paths:
        return torch.__version__
    library = ctypes.CDLL(paths[0])
    library.openblas_get_corename.restype = ctypes.c_char_p
    threads = ['sequential', 'pthreads', 'OpenMP'][library.openblas_get_parallel()]
    return f'{torch.__version__} (OpenBLAS for {library.openblas_get_corename().decode()}, {threads})'


_, name, *rest = sys.argv
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
print(json.dumps(product(int(rest[0])) if name == 'product' else measure(name, rest[0], int(rest[1]), int(rest[2]))))
