"""What `language.ts` compares with: `python3 language.py FOLDER STEPS BATCH` trains GPT in PyTorch's own layers from the weights and on the
rows that lie in the folder, as `models/gpt.model` says, and prints the loss on the test rows as JSON."""
import json
import math
import os
import sys

import numpy
import torch
from torch import nn
from torch.nn import functional as F

HEADS, LAYERS = 4, 4


class Conv1D(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, out))
        self.bias = nn.Parameter(torch.empty(out))

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).view(*x.shape[:-1], -1)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_attn, self.c_proj = Conv1D(width, 3 * width), Conv1D(width, width)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (part.view(B, T, HEADS, D // HEADS).transpose(1, 2) for part in self.c_attn(x).chunk(3, -1))
        later = torch.ones(T, T, dtype=torch.bool).triu(1)
        weights = F.softmax((q @ k.transpose(-2, -1) / math.sqrt(D // HEADS)).masked_fill(later, -math.inf), -1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(B, T, D))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(width, 4 * width), Conv1D(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate='tanh'))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(width), Attention(width), nn.LayerNorm(width), Perceptron(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self, vocabulary, positions, width):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList([Block(width) for _ in range(LAYERS)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, text, following):
        x = self.wte(text) + self.wpe.weight[:text.shape[1]]
        for block in self.h:
            x = block(x)
        return F.cross_entropy(F.linear(self.ln_f(x), self.wte.weight).flatten(0, 1), following.flatten())


def read_safetensors(path):
    contents = open(path, 'rb').read()
    start = 8 + int.from_bytes(contents[:8], 'little')
    header = {name: entry for name, entry in json.loads(contents[8:start]).items() if name != '__metadata__'}
    data = numpy.frombuffer(contents, dtype='<f4', offset=start)
    return {name: torch.tensor(data[entry['data_offsets'][0] // 4:entry['data_offsets'][1] // 4]).view(entry['shape']) for name, entry in header.items()}


def learning_rate(step, steps, peak=2e-3, warmup=100, floor=1e-4):
    progress = min(max(step - 1 - warmup, 0) / max(steps - warmup, 1), 1)
    return min(step / warmup, 1) * (floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * progress)))


_, folder, steps, batch = sys.argv
steps, batch = int(steps), int(batch)
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
weights = read_safetensors(os.path.join(folder, 'weights.safetensors'))
model = Gpt(*weights['wte.weight'].shape[:1], *weights['wpe.weight'].shape)
model.load_state_dict(weights)
named = dict(model.named_parameters())
undecayed = [value for name, value in named.items() if name.endswith('.bias') or 'ln_' in name]
decayed = [value for name, value in named.items() if not (name.endswith('.bias') or 'ln_' in name)]
optimizer = torch.optim.AdamW([{'params': decayed, 'weight_decay': 0.1}, {'params': undecayed, 'weight_decay': 0}], betas=(0.9, 0.99))
rows = lambda name: [torch.from_numpy(numpy.load(os.path.join(folder, f'{name}-{part}.npy'))).long() for part in ('text', 'next')]
text, following = rows('train')
for step in range(1, steps + 1):
    for group in optimizer.param_groups:
        group['lr'] = learning_rate(step, steps)
    optimizer.zero_grad(set_to_none=True)
    at = slice((step - 1) * batch, step * batch)
    model(text[at], following[at]).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
text, following = rows('test')
with torch.no_grad():
    losses = [model(text[i:i + 64], following[i:i + 64]).item() * len(text[i:i + 64]) for i in range(0, len(text), 64)]
print(json.dumps({'test': sum(losses) / len(text)}))
