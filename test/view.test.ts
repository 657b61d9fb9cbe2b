/** Pictures: every stage draws, the same each time and as DOT that graphviz reads; folding loses no edge; names cannot break out. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compile, type Levels } from '../compiler/index.ts';
import { attributes, lines, pictureDot, quote } from '../compiler/view/dot.ts';
import { foldPicture, foldToFit, fullDepth, type Picture, type PictureNode } from '../compiler/view/picture.ts';
import { render, view, type Stage } from '../compiler/view/view.ts';

const stages = ['source', 'forward', 'gradient', 'simplified', 'kernels', 'memory'] as const satisfies readonly Stage[];

function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'test.model', text, library: false }, 'schedule');
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return levels;
}

const mnist = levelsOf(readFileSync(new URL('../models/mnist.model', import.meta.url), 'utf8'));
const blocks = levelsOf(`
layer block(heads) (x: f32[B, T, D]) -> f32[B, T, D] {
  attention = multi_head_attention(heads)
  norm = layer_norm()
  return x + attention(norm(x))
}
model Blocks() {
  input x: f32[B, 5, 8]
  input y: i32[B]
  h = x
  for i in 0..3 { h = block(2)(h) }
  logits = mean(h, axis: 1) |> linear(4)
  loss = cross_entropy(logits, y)
  output scores = logits
}
train {
  batch 3
  epochs 1
  optimizer adam(lr: 0.01)
}
`);

/** Of several batches a step, with averages: one of the batches is drawn. */
const batches = levelsOf(`
model Batches {
  input x: f32[B, 5]
  loss = mean(x |> linear(4) |> tanh())
}
train {
  batch 3
  accumulate 2
  ema 0.99
  optimizer adam(lr: 0.01)
}
`);

describe.each(stages)('%s', stage => {
  it('is drawn by graphviz, from the same text each time', async () => {
    for (const levels of [mnist, blocks, batches]) {
      const dot = view(levels, stage);
      expect(view(levels, stage)).toBe(dot);
      const svg = new TextDecoder().decode(await render(dot, 'svg'));
      expect(svg).toContain(levels.model!.name);
      expect(svg.trim()).toMatch(/^<\?xml[^]*<\/svg>$/);
    }
  });

  it('is in characters whose widths are known', () => {
    expect(view(mnist, stage)).toMatch(/^[\n -~]*$/);
  });
});

describe('what is drawn of a model', () => {
  const boxes = (dot: string): number => dot.split('\n').filter(line => /^\s*n\d+ \[/.test(line)).length;

  it('is what the user wrote', () => {
    const dot = view(mnist, 'source');
    const written = ['image / 255', 'linear(hidden)', 'weight [hidden, 784]', 'relu', 'cross_entropy(logits, digit)', 'loss', 'probabilities'];
    for (const text of written) expect(dot).toContain(text);
    expect(dot).toContain('B = 64, hidden = 256');
    expect(dot).toContain('235,146 parameters');
  });

  it('draws the losses that were written, not the sum of several', () => {
    const two = levelsOf('model Two { input x: f32[B, 2]\n  loss near = mean(square(x |> linear(1)))\n  loss far = mean(x |> linear(1)) }');
    const labels = [...view(two, 'source').matchAll(/label="(\w+)\\n\w+", fillcolor="#ffffff"/g)].map(match => match[1]);
    expect(labels.sort()).toEqual(['far', 'near']);
  });

  it('has a box for each turn of a loop whose turns meet through other expressions', () => {
    const turns = levelsOf('model Turns { input x: f32[B, 4]\n  h = x\n  for i in 0..3 {\n    best = max(h, axis: 1, keep: true)\n    h = exp(h - best)\n  }\n  output h = h }');
    expect(view(turns, 'source').split('\n').filter(line => line.includes('label="exp(h - best)'))).toHaveLength(3);
  });

  it('has parameters by name at every level', () => {
    for (const stage of ['forward', 'simplified', 'kernels'] as const) {
      const dot = view(mnist, stage, { depth: 9 });
      for (const name of ['linear.0.weight', 'linear.1.bias', 'linear.2.weight']) expect(dot, `${name} in ${stage}`).toContain(`label="${name}\\n`);
    }
  });

  it('tells gradients by the names of their parameters', () => {
    for (const stage of ['simplified', 'kernels'] as const) expect(view(mnist, stage, { depth: 9 })).toContain('label=" linear.1.weight\\l ');
  });

  it('says its loss once, computed by the last call of the forward pass', () => {
    const dot = view(mnist, 'kernels', { depth: 9 });
    const loss = /(n\d+) \[label="loss\\n/.exec(dot)![1]!;
    const from = new RegExp(`(n\\d+) -> ${loss} `).exec(dot)![1]!;
    expect(new RegExp(`${from} \\[label="([^"]*)"`).exec(dot)![1]).toContain('add[i0 < 64]');
  });

  it('becomes less with less depth', () => {
    const counts = [0, 1, 2].map(depth => boxes(view(blocks, 'forward', { depth })));
    expect(counts[0]).toBeLessThan(counts[1]!);
    expect(counts[1]).toBeLessThan(counts[2]!);
    expect(view(blocks, 'forward', { depth: 0 })).toContain('label="block.1\\n');
    expect(view(blocks, 'forward', { depth: 1 })).toContain('label="attention\\n');
  });

  it('fits a page when no depth is given', () => {
    for (const stage of stages) expect(boxes(view(blocks, stage))).toBeLessThanOrEqual(120);
  });

  it('tells what is recomputed under a memory limit', () => {
    const block = 'layer block() (x: f32[B, D]) -> f32[B, D] {\n  return x |> linear(D) |> layer_norm() |> relu\n}';
    const stack = 'model Stack() {\n  input x: f32[B, 16]\n  h = x\n  for i in 0..6 { h = block()(h) }\n  loss = mean(h)\n}';
    const limited = levelsOf(`${block}\n${stack}\ntrain {\n  batch 256\n  memory 200KB\n  optimizer sgd(lr: 0.1)\n}\n`);
    const kernels = view(limited, 'kernels', { depth: 9 });
    expect(kernels).toMatch(/label="\d+  \w+, recomputed\\l/);
    expect(kernels).toMatch(/label="block\.\d, recomputed"/);
    expect(view(limited, 'memory')).toContain('blue-green: recomputed');
    expect(view(mnist, 'memory')).not.toContain('recomputed');
  });

  it('has a box for each buffer of the step', () => {
    const dot = view(mnist, 'memory');
    for (const name of ['parameters', 'optimizer.m', 'image']) expect(dot).toContain(`label="${name}\\l"`);
  });
});

const node = (id: string, scope: readonly string[], more: Partial<PictureNode> = {}): PictureNode =>
  ({ id, kind: 'op', phase: 'forward', lines: [id], scope, expression: null, flops: 1, parameters: [], ...more });
const edge = (from: string, to: string): Picture['edges'][number] => ({ from, to, tensor: { key: `${from}${to}`, name: null, shape: '[2]', bytes: 8 } });

describe('folding', () => {
  const picture: Picture = {
    title: 'Test', notes: [],
    nodes: [node('a', []), node('b', ['l']), node('c', ['l', 'm']), node('d', ['l', 'm']), node('e', ['k']), node('f', [])],
    edges: [edge('a', 'b'), edge('a', 'c'), edge('b', 'c'), edge('c', 'd'), edge('d', 'e'), edge('c', 'e'), edge('e', 'f'), edge('d', 'f')],
  };

  it('keeps every connection between what stays apart', () => {
    for (let depth = 0; depth <= fullDepth(picture); depth++) {
      const groupOf = (id: string): string => {
        const { scope } = picture.nodes.find(each => each.id === id)!;
        return scope.length > depth ? scope.slice(0, depth + 1).join('/') : id;
      };
      const first = (id: string): string => picture.nodes.find(each => groupOf(each.id) === groupOf(id))!.id;
      const between = picture.edges.filter(each => groupOf(each.from) !== groupOf(each.to));
      const expected = new Set(between.map(each => `${first(each.from)} ${first(each.to)}`));
      const { edges } = foldPicture(picture, { depth, updateDepth: 0, expressions: false });
      expect(edges.map(each => `${each.from} ${each.to}`).sort()).toEqual([...expected].sort());
    }
  });

  it('sums FLOPs and tells parallel tensors together', () => {
    const { nodes, edges } = foldPicture(picture, { depth: 0, updateDepth: 0, expressions: false });
    expect(nodes.map(each => each.flops)).toEqual([1, 3, 1, 1]);
    expect(edges.find(each => each.from === 'b' && each.to === 'e')!.tensor).toMatchObject({ shape: '2 tensors', bytes: 16 });
  });

  it('keeps the turns of a loop apart when it joins an expression', () => {
    const written = { path: 'x.model', start: 0, end: 4, text: 'relu' };
    const turns: Picture = {
      ...picture,
      nodes: [...['p', 'q', 's'].map(id => node(id, [], { expression: written })), node('r', ['l'])],
      edges: [edge('p', 'q'), edge('q', 'r'), edge('r', 's')],
    };
    expect(foldPicture(turns, { depth: 0, updateDepth: 0, expressions: true }).nodes.map(each => each.lines[0])).toEqual(['relu', 'relu', 'l']);
  });

  it('takes the most detail that fits', () => {
    expect(foldToFit(picture, 6).nodes).toHaveLength(6);
    expect(foldToFit(picture, 5).nodes).toHaveLength(5);
    expect(foldToFit(picture, 4).nodes).toHaveLength(4);
  });
});

describe('names', () => {
  const hostile = ['a"]; evil [label="', 'back\\slash\\n', '{x|y}', '<b>bold</b>', '&amp;', 'line\nbreak', '\\', 'graph', ''];

  it('stand in a picture as they are', async () => {
    const nodes = hostile.map((name, i) => node(`${i}`, [name], { lines: [name] }));
    const picture: Picture = { title: hostile.join(' '), notes: hostile, nodes, edges: [edge('0', '1')] };
    const svg = new TextDecoder().decode(await render(pictureDot(picture), 'svg'));
    expect(svg).not.toContain('<title>evil</title>');
    const shown = ['a&quot;]; evil [label=&quot;', 'back\\slash\\n', '{x|y}', '&lt;b&gt;bold&lt;/b&gt;', '&amp;amp;', 'line break'];
    for (const text of shown) expect(svg).toContain(`>${text}<`);
  });

  it('are quoted', () => {
    expect(quote('a"b\\c')).toBe('"a\\"b\\\\c"');
    expect(lines(['a', 'b"'], '\\l')).toBe('"a\\lb\\"\\l"');
    expect(attributes({ label: 'x"y', color: '#fff' })).toBe('label="x\\"y", color="#fff"');
  });
});

describe('an image', () => {
  it('is a PNG of 144 pixels to the inch, with text, the same each time', async () => {
    const png = await pngOf('digraph { graph [pad="0"] a [label="", shape=box, fixedsize=true, width=2, height=1] }');
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([288, 144]);
    const lettered = await pngOf('digraph { graph [pad="0"] a [label="text", shape=box, fixedsize=true, width=2, height=1, fontname=Helvetica] }');
    expect(lettered.equals(png)).toBe(false);
    expect((await pngOf(view(mnist, 'source'))).equals(await pngOf(view(mnist, 'source')))).toBe(true);
  });

  it('is drawn coarser when it would be very large', async () => {
    const png = await pngOf('graph { graph [pad="0"] a [shape=box, fixedsize=true, width=200, height=100] }');
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    expect(width / height).toBeCloseTo(2, 2);
    expect(width * height).toBeLessThan(65e6);
    expect(width * height).toBeGreaterThan(63e6);
  });

  it('refuses what it cannot draw, and says what to do', async () => {
    await expect(render('digraph { a -> }', 'svg')).rejects.toThrow('too large');
  });
});

const pngOf = async (dot: string): Promise<Buffer> => Buffer.from(await render(dot, 'png'));
