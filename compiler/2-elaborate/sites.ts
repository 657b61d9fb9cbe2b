/**
 * The places in a body that construct layers or declare parameters and states, with the names they give. A construction that is
 * the whole right side of a binding has the binding's name, any other its layer's; names that occur inside a `for` or at more
 * than one place are numbered.
 */
import type { Expression, Statement } from '../1-parse/ast.ts';
import { expressionParts } from './parts.ts';
import { findDefinition, type Module, type Site } from './scope.ts';

interface Found {
  readonly start: number;
  readonly name: string;
  readonly looped: boolean;
}

export function sitesOf(body: readonly Statement[], module: Module, parameters: readonly string[]): ReadonlyMap<number, Site> {
  const found: Found[] = [];
  const bound = new Set(parameters);
  statements(body, false);
  const counts = new Map<string, number>();
  for (const { name } of found) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map(found.map(({ start, name, looped }) => [start, { name, numbered: looped || counts.get(name)! > 1 }]));

  function statements(list: readonly Statement[], looped: boolean): void {
    for (const statement of list) {
      switch (statement.kind) {
        case 'bind': {
          const [target] = statement.targets;
          expression(statement.value, looped, statement.targets.length === 1 ? target!.text : null);
          statement.targets.forEach(name => bound.add(name.text));
          break;
        }
        case 'indexed':
          expression(statement.value, looped);
          bound.add(statement.name.text);
          break;
        case 'param': case 'state':
          found.push({ start: statement.span.start, name: statement.name.text, looped });
          bound.add(statement.name.text);
          break;
        case 'result': case 'update': case 'return': case 'yield': expression(statement.value, looped); break;
        case 'for':
          bound.add(statement.variable.text);
          statements(statement.body, true);
          break;
        case 'if':
          statements(statement.then, looped);
          statements(statement.otherwise ?? [], looped);
          break;
        case 'scan': expression(statement.loop, looped); break;
        case 'input': case 'freeze': bound.add(statement.name.text); break;
        case 'where': break;
        default: statement satisfies never;
      }
    }
  }

  function expression(root: Expression, looped: boolean, binding: string | null = null): void {
    const pending: { readonly at: Expression; readonly binding: string | null; readonly piped: boolean }[] = [{ at: root, binding, piped: false }];
    while (pending.length > 0) {
      const { at, binding: own, piped } = pending.pop()!;
      const inside = expressionParts(at);
      const callee = at.kind === 'call' ? at.callee : piped ? at : null;
      // What is given as a parameter may be a layer; if it is none, the place is never asked for.
      const isGiven = own !== null && callee?.kind === 'name' && parameters.includes(callee.text);
      if (isGiven || (callee?.kind === 'name' && !bound.has(callee.text) && findDefinition(module, callee.text)?.definition.kind === 'layer')) {
        found.push({ start: at.span.start, name: own ?? callee.text, looped });
      }
      if (at.kind === 'scan') {
        for (const name of [at.variable, ...at.carries.map(carry => carry.name)]) bound.add(name.text);
        statements(at.body, looped);
      }
      pending.push(...inside.map(part => ({ at: part, binding: null, piped: at.kind === 'pipe' && part === at.target })).reverse());
    }
  }
}
