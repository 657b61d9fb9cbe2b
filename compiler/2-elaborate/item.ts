/**
 * What an expression evaluates to while a file is elaborated: a compile-time constant, a tensor of the graph, or something that
 * can be called. A poison item stands for an expression that was reported already; whatever meets it stays silent.
 */
import type { FunctionItem, LayerItem, OptimizerItem } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import { printType, type DType, type Dim } from '../ir/type.ts';
import type { AnyOp } from '../ops/define.ts';
import type { Span } from '../source/text.ts';
import type { Builtin } from './builtins.ts';
import type { RegisteredModel } from './context.ts';
import type { Element } from './element.ts';
import type { Module } from './scope.ts';

export type Item =
  | NumberItem
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'dtype'; readonly dtype: DType }
  | ListItem
  | TensorItem
  | { readonly kind: 'fn'; readonly definition: FunctionItem; readonly module: Module }
  | { readonly kind: 'layer'; readonly definition: LayerItem; readonly module: Module }
  | { readonly kind: 'optimizer'; readonly definition: OptimizerItem; readonly module: Module }
  | { readonly kind: 'op'; readonly op: AnyOp }
  | { readonly kind: 'builtin'; readonly name: string; readonly builtin: Builtin }
  | { readonly kind: 'instance'; readonly instance: Instance }
  | { readonly kind: 'model'; readonly model: HeldModel }
  /** What a model gives that was applied, by the names of its outputs. */
  | { readonly kind: 'outputs'; readonly model: string; readonly values: ReadonlyMap<string, Item> }
  | { readonly kind: 'element'; readonly element: Element }
  | { readonly kind: 'poison' };

export interface NumberItem {
  readonly kind: 'number';
  readonly value: number;
  /** The dimension of a tensor that the number was bound to by a type such as `f32[..., D]`. */
  readonly dim: Dim | null;
  /** The dimension it becomes where a type is written with its name: `hidden` in `f32[B, hidden]`. */
  readonly label: Dim | null;
}
export interface ListItem {
  readonly kind: 'list';
  readonly elements: readonly Item[];
}
export interface TensorItem {
  readonly kind: 'tensor';
  readonly value: Value;
}

/** A constructed layer. Its parameters are made at its first application and found again, by path, at later ones. */
export interface Instance {
  readonly definition: LayerItem;
  readonly module: Module;
  readonly arguments: ReadonlyMap<string, Item>;
  readonly path: readonly string[];
  /** Whether its body is elaborated for training: that of a model that another one holds is not. */
  readonly training: boolean;
  readonly span: Span;
  /** Parameters, states and named layers inside, filled by application: what `embed.table` finds. */
  readonly members: Map<string, Item>;
}

/** A model that another one holds: applied in evaluation, over its own parameters. */
export interface HeldModel {
  readonly registered: RegisteredModel;
  /** Required where an output depends on it; `batched` where its first dimension is the batch. */
  readonly inputs: readonly { readonly name: string; readonly required: boolean; readonly batched: boolean }[];
  /** What the names of its body stand for at its end. */
  readonly names: ReadonlyMap<string, Item>;
}

export const none: Item = { kind: 'none' };
export const poison: Item = { kind: 'poison' };
export const number = (value: number, dim: Dim | null = null, label: Dim | null = null): NumberItem => ({ kind: 'number', value, dim, label });
export const boolean = (value: boolean): Item => ({ kind: 'boolean', value });
export const list = (elements: readonly Item[]): ListItem => ({ kind: 'list', elements });
export const tensorItem = (value: Value): TensorItem => ({ kind: 'tensor', value });

/** In a sentence: "the number 3", "a tensor f32[B, 784]", "the layer `linear`". */
export function describe(item: Item): string {
  switch (item.kind) {
    case 'number': return `the number ${item.value}`;
    case 'boolean': return `\`${item.value}\``;
    case 'string': return `the string "${item.value}"`;
    case 'none': return '`none`';
    case 'dtype': return `the type \`${item.dtype}\``;
    case 'list': return `a list of ${item.elements.length}`;
    case 'tensor': return `a tensor ${printType(item.value.type)}`;
    case 'fn': return `the function \`${item.definition.name.text}\``;
    case 'layer': return `the unconstructed layer \`${item.definition.name.text}\``;
    case 'optimizer': return `the optimizer \`${item.definition.name.text}\``;
    case 'op': return `the function \`${item.op.definition.name}\``;
    case 'builtin': return `the function \`${item.name}\``;
    case 'instance': return `the unapplied layer \`${item.instance.definition.name.text}\``;
    case 'model': return `the model \`${item.model.registered.definition.name.text}\``;
    case 'outputs': return `the outputs of the model \`${item.model}\``;
    case 'element': return item.element.kind === 'index' ? 'an index' : 'an element under indices';
    case 'poison': return 'an expression in error';
    default: return item satisfies never;
  }
}

/** How a constant is written. */
export function printItem(item: Item): string {
  switch (item.kind) {
    case 'number': return String(item.value);
    case 'boolean': return String(item.value);
    case 'string': return `"${item.value}"`;
    case 'none': return 'none';
    case 'dtype': return item.dtype;
    case 'list': return `[${item.elements.map(printItem).join(', ')}]`;
    default: return describe(item);
  }
}
