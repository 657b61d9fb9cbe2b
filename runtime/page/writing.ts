/** The part of the page for models that draw tokens: a prompt, the text as it comes, and what is computed from the tokens in the end. */
import { elementCount } from '../tensor.ts';
import type { TensorArray } from '../tensor.ts';
import { byId, make } from './dom.ts';
import type { ProgramFacts, TrainerRequest } from './messages.ts';
import { outputPart } from './prediction.ts';

export interface Writing {
  readonly add: (piece: string) => void;
  readonly finished: (outputs: Readonly<Record<string, TensorArray>>) => void;
  readonly failed: (message: string) => void;
}

/** Null where a program draws no tokens. */
export function openWriting({ generation, settings }: ProgramFacts, send: (request: TrainerRequest) => void): Writing | null {
  byId('writing').hidden = generation === null;
  if (generation === null) return null;
  const form = byId<HTMLFormElement>('write');
  const prompt = byId<HTMLTextAreaElement>('prompt');
  const temperature = byId<HTMLInputElement>('temperature');
  const button = byId<HTMLButtonElement>('generate');
  const [text, note] = [byId('text'), byId('writing-note')];
  const parts = new Map(generation.outputs.map(({ name, shape, image }) =>
    [name, outputPart({ name, count: elementCount(shape), image: image ?? null, picture: null, labels: () => null })] as const));
  byId('from-tokens').replaceChildren(...[...parts.values()].map(({ element }) => element));
  prompt.value = generation.prompt ?? '';
  byId('prompt-field').hidden = generation.prompt === null;
  temperature.value = String(generation.temperature);
  let writes = false;
  let seed = settings?.seed ?? 0;
  const rest = (message: string): void => {
    writes = false;
    button.textContent = 'Generate';
    note.textContent = message;
    note.hidden = message === '';
  };
  form.onsubmit = event => {
    event.preventDefault();
    if (writes) return send({ kind: 'stop' });
    writes = true;
    button.textContent = 'Stop';
    text.replaceChildren(...(generation.continues ? [make('b', {}, prompt.value)] : []));
    send({ kind: 'generate', prompt: generation.prompt === null ? null : prompt.value, temperature: Number(temperature.value), seed });
    seed = (seed + 1) % 2 ** 31;
  };
  return {
    add: piece => text.append(piece),
    finished: outputs => {
      for (const [name, { show }] of parts) show(outputs[name]!);
      rest('');
    },
    failed: rest,
  };
}
