/**
 * Names. A module is a file's definitions with what it imports; a scope is the names of one body being elaborated. A name is
 * looked for in the body, the file, its imports, the library, the op table and the builtins, in this order.
 */
import type { ConstantItem, File, FunctionItem, LayerItem, OptimizerItem } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import type { ImageLayout } from '../ir/model.ts';
import type { Dim } from '../ir/type.ts';
import type { Span } from '../source/text.ts';
import type { Given } from './call.ts';
import type { Instance, Item } from './item.ts';

export type Definition = LayerItem | FunctionItem | OptimizerItem | ConstantItem;

export interface Module {
  readonly files: readonly File[];
  readonly definitions: ReadonlyMap<string, Definition>;
  readonly imports: readonly Module[];
  /** Null for the library itself. */
  readonly library: Module | null;
  /** Values of constants evaluated so far; null while one is being evaluated. */
  readonly constants: Map<string, Item | null>;
}

/** One body being elaborated. `for` and `if` share the scope of the body they stand in, so binding inside them shadows outside. */
export interface Scope {
  readonly names: Map<string, Item>;
  readonly module: Module;
  /** Where each dimension name got its extent. */
  readonly bound: Map<string, Span>;
  /** What `...` stands for. */
  ellipsis: readonly Dim[] | null;
  /** Variables of the loops that are running. */
  readonly loops: Set<string>;
  readonly body: Body;
}

/** What a body may do besides computing. */
export type Body =
  /** The model or one application of a layer: may construct layers and own parameters and states. */
  | { readonly kind: 'layer'; readonly instance: Instance; readonly occurrences: Map<number, number>; readonly sites: ReadonlyMap<number, Site>;
      readonly states: Map<string, { readonly path: string; readonly leaf: Value }>; readonly model: ModelBody | null }
  | { readonly kind: 'fn'; readonly name: string }
  | { readonly kind: 'optimizer'; readonly parameter: Value; readonly states: Map<string, OptimizerState> }
  /** The rows of a synthetic source. */
  | { readonly kind: 'source' }
  /** A default, a constant or a setting. */
  | { readonly kind: 'constant' };

/** What only the body of a model declares. */
export interface ModelBody {
  readonly inputs: Map<string, Value>;
  /** What a model that is held is applied to, by input; null for the model itself, whose inputs are leaves. */
  readonly given: ReadonlyMap<string, Given> | null;
  readonly results: { readonly role: 'loss' | 'metric' | 'output'; readonly name: string; readonly value: Value; readonly image: ImageLayout | null; readonly span: Span }[];
}

/** A state of an optimizer for the parameter at hand. */
export interface OptimizerState {
  readonly leaf: Value;
  readonly initial: Value;
  updated: Value;
}

/** A place in a body that constructs a layer or declares a parameter or state, by the offset at which it starts. */
export interface Site {
  readonly name: string;
  /** Inside a `for`, or one of several sites with the same name: its instances are told apart by numbers. */
  readonly numbered: boolean;
}

export const newScope = (module: Module, body: Body): Scope => ({ names: new Map(), module, bound: new Map(), ellipsis: null, loops: new Set(), body });

/** The definition a name stands for in a module, with the module that it is of. */
export function findDefinition(module: Module, name: string): { readonly definition: Definition; readonly module: Module } | null {
  for (const candidate of [module, ...module.imports, ...(module.library ? [module.library] : [])]) {
    const definition = candidate.definitions.get(name);
    if (definition) return { definition, module: candidate };
  }
  return null;
}

/** Every name a module's bodies can use without binding it. */
export function definedNames(module: Module): string[] {
  return [module, ...module.imports, ...(module.library ? [module.library] : [])].flatMap(m => [...m.definitions.keys()]);
}
