"""What `language.ts` compares with: `python3 language.py gpt|llama FOLDER STEPS BATCH` trains the model in PyTorch's own layers from the
weights and on the rows that lie in the folder, as its file in `models/` says, and prints the loss on the test rows as JSON."""
import json
import math
import os
import sys

import numpy
import torch
from torch import nn
from torch.nn import functional as F

HEADS, GROUPS, LAYERS = 4, 2, 4


def attend(q, k, v):
    """Causal attention over [B, heads, T, D / heads], the heads joined again."""
    T, D = q.shape[-2:]
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights = F.softmax((q @ k.transpose(-2, -1) / math.sqrt(D)).masked_fill(later, -math.inf), -1)
    return (weights @ v).transpose(1, 2).flatten(2)


def heads(x, count):
    """[B, T, D] as [B, heads, T, D / heads]."""
    return x.view(*x.shape[:2], count, -1).transpose(1, 2)


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
        return self.c_proj(attend(*(heads(part, HEADS) for part in self.c_attn(x).chunk(3, -1))))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(width, 4 * width), Conv1D(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate='tanh'))


class GptBlock(nn.Module):
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
        self.h = nn.ModuleList([GptBlock(width) for _ in range(LAYERS)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, text):
        x = self.wte(text) + self.wpe.weight[:text.shape[1]]
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


def rotated(x):
    """Features i and i + D / 2 turned by the position times 10000^(-2i / D)."""
    T, D = x.shape[-2:]
    angle = (torch.arange(T)[:, None] * 10000 ** (-torch.arange(0, D, 2) / D)).repeat(1, 2)
    a, b = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


class GroupedAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        shared = width // HEADS * GROUPS
        self.query, self.key, self.value, self.out = (nn.Linear(width, out, bias=False) for out in (width, shared, shared, width))

    def forward(self, x):
        q, k, v = rotated(heads(self.query(x), HEADS)), rotated(heads(self.key(x), GROUPS)), heads(self.value(x), GROUPS)
        return self.out(attend(q, *(part.repeat_interleave(HEADS // GROUPS, 1) for part in (k, v))))


class SwiGlu(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaBlock(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.attention_norm, self.attention, self.mlp_norm, self.mlp = RmsNorm(width), GroupedAttention(width), RmsNorm(width), SwiGlu(width, inner)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Llama(nn.Module):
    def __init__(self, vocabulary, width, inner):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.block = nn.ModuleList([LlamaBlock(width, inner) for _ in range(LAYERS)])
        self.norm, self.head = RmsNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, text):
        x = self.embed(text)
        for block in self.block:
            x = block(x)
        return self.head(self.norm(x))


#: Each model by its name, of the sizes that its weights have.
MODELS = {
    'gpt': lambda weights: Gpt(len(weights['wte.weight']), *weights['wpe.weight'].shape),
    'llama': lambda weights: Llama(*weights['embed.weight'].shape, len(weights['block.0.mlp.gate_proj.weight'])),
}


def loss(model, text, following):
    return F.cross_entropy(model(text).flatten(0, 1), following.flatten())


def read_safetensors(path):
    contents = open(path, 'rb').read()
    start = 8 + int.from_bytes(contents[:8], 'little')
    header = {name: entry for name, entry in json.loads(contents[8:start]).items() if name != '__metadata__'}
    data = numpy.frombuffer(contents, dtype='<f4', offset=start)
    return {name: torch.tensor(data[entry['data_offsets'][0] // 4:entry['data_offsets'][1] // 4]).view(entry['shape']) for name, entry in header.items()}


def learning_rate(step, steps, peak=2e-3, warmup=100, floor=1e-4):
    progress = min(max(step - 1 - warmup, 0) / max(steps - warmup, 1), 1)
    return min(step / warmup, 1) * (floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * progress)))


_, name, folder, steps, batch = sys.argv
steps, batch = int(steps), int(batch)
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
weights = read_safetensors(os.path.join(folder, 'weights.safetensors'))
model = MODELS[name](weights)
model.load_state_dict(weights)
spared = lambda name: name.endswith('.bias') or 'ln_' in name or 'norm' in name
decayed, undecayed = ([value for key, value in model.named_parameters() if spared(key) == kind] for kind in (False, True))
optimizer = torch.optim.AdamW([{'params': decayed, 'weight_decay': 0.1}, {'params': undecayed, 'weight_decay': 0}], betas=(0.9, 0.99))
rows = lambda name: [torch.from_numpy(numpy.load(os.path.join(folder, f'{name}-{part}.npy'))).long() for part in ('text', 'next')]
text, following = rows('train')
for step in range(1, steps + 1):
    for group in optimizer.param_groups:
        group['lr'] = learning_rate(step, steps)
    optimizer.zero_grad(set_to_none=True)
    at = slice((step - 1) * batch, step * batch)
    loss(model, text[at], following[at]).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
text, following = rows('test')
with torch.no_grad():
    losses = [loss(model, text[i:i + 64], following[i:i + 64]).item() * len(text[i:i + 64]) for i in range(0, len(text), 64)]
print(json.dumps({'test': sum(losses) / len(text)}))
