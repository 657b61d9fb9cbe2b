/**
 * Names in bodies that no elaboration reached: definitions that are not used and branches that are not taken. Their names are
 * looked up all the same, so that a wrong one is found in this run.
 */
import type { DimExpression, Expression, File, Parameter, Statement, Subscript, TypeExpression } from '../1-parse/ast.ts';
import { within, type Context } from './context.ts';
import { evaluate, knownNames, reportUnknown } from './expression.ts';
import { reportFree } from './index-notation.ts';
import { expressionParts } from './parts.ts';
import { findDefinition, newScope, type Module } from './scope.ts';

export function checkDefinitions(context: Context, main: Module): void {
  const modules = new Set([main]);
  // A set is iterated to its end while it grows.
  for (const module of modules) {
    for (const file of module.files) checkFile(context, file, module);
    for (const imported of module.imports) modules.add(imported);
  }
}

function checkFile(context: Context, file: File, module: Module): void {
  const known = knownNames(context);
  for (const item of file.items) {
    const names = new Set<string>();
    switch (item.kind) {
      case 'constant': evaluate(context, { kind: 'name', text: item.name.text, span: item.name.span }, newScope(module, { kind: 'constant' })); break;
      case 'model':
        parameters(item.parameters);
        statements(item.body);
        break;
      case 'layer':
        parameters(item.parameters);
        parameters(item.inputs);
        item.where.forEach(condition => expression(condition));
        statements(item.body);
        break;
      case 'fn':
        parameters(item.parameters);
        item.where.forEach(condition => expression(condition));
        statements(item.body);
        if (item.derivative === null) break;
        // It sees the arguments as they came, not what the body bound.
        names.clear();
        parameters(item.parameters);
        names.add(item.derivative.gradient.text);
        statements(item.derivative.body);
        break;
      case 'optimizer':
        parameters(item.parameters);
        item.inputs.forEach(name => names.add(name.text));
        statements(item.body);
        break;
      case 'data': case 'train': case 'generate': break;
      default: item satisfies never;
    }

    function parameters(list: readonly Parameter[]): void {
      for (const parameter of list) {
        if (parameter.default) expression(parameter.default);
        if (parameter.type) type(parameter.type, true);
        names.add(parameter.name.text);
      }
    }

    function statements(list: readonly Statement[]): void {
      for (const statement of list) {
        switch (statement.kind) {
          case 'bind':
            expression(statement.value);
            statement.targets.forEach(target => names.add(target.text));
            break;
          case 'indexed':
            expression(statement.value, indexNames(statement.indices));
            names.add(statement.name.text);
            break;
          case 'param': case 'state':
            if (statement.type) type(statement.type, false);
            if (statement.value) expression(statement.value);
            names.add(statement.name.text);
            break;
          case 'input':
            type(statement.type, true);
            names.add(statement.name.text);
            break;
          case 'freeze': names.add(statement.name.text); break;
          case 'result':
            expression(statement.value);
            names.add(statement.name?.text ?? statement.role);
            break;
          case 'update': case 'return': case 'yield': expression(statement.value); break;
          case 'where': expression(statement.condition); break;
          case 'scan': expression(statement.loop); break;
          case 'for':
            expression(statement.from);
            expression(statement.to);
            names.add(statement.variable.text);
            statements(statement.body);
            break;
          case 'if':
            expression(statement.condition);
            statements(statement.then);
            statements(statement.otherwise ?? []);
            break;
          default: statement satisfies never;
        }
      }
    }

    /** A bare name in the type of an argument is bound by it. */
    function type(written: TypeExpression, binds: boolean): void {
      for (const dimension of written.dims) {
        if (dimension.kind === 'ellipsis') continue;
        if (binds && dimension.kind === 'name') names.add(dimension.text);
        else expression(dimension);
      }
    }

    /** `indices` are the names that index notation binds around the expression. */
    function expression(root: Exclude<DimExpression, { kind: 'ellipsis' }>, indices: readonly string[] = []): void {
      interface Part { readonly at: Expression; readonly indices: readonly string[]; readonly position: boolean }
      const pending: Part[] = [{ at: root, indices, position: false }];
      while (pending.length > 0) {
        const { at, indices: bound, position } = pending.pop()!;
        if (at.kind === 'name' && !names.has(at.text) && !bound.includes(at.text) && !known.has(at.text) && findDefinition(module, at.text) === null) {
          if (position && bound.length > 0) reportFree(context, at.text, at.span);
          else within(context, at.span, () => reportUnknown(context, at.text, names, module));
        }
        if (at.kind === 'scan') {
          for (const name of [at.variable, ...at.carries.map(carry => carry.name)]) names.add(name.text);
          statements(at.body);
        }
        const inside = at.kind === 'call' && at.callee.kind === 'subscript' ? [...bound, ...indexNames(at.callee.subscripts)] : bound;
        const places = (part: Expression): boolean => at.kind === 'subscript' && part !== at.object;
        pending.push(...expressionParts(at).map(part => ({ at: part, indices: inside, position: position || places(part) })));
      }
    }
  }
}

/** The names that `y[b, o] = …` or `sum[i](…)` binds. */
const indexNames = (subscripts: readonly Subscript[]): readonly string[] => subscripts.flatMap(one =>
  (one.kind === 'each' ? [one.name.text] : one.kind === 'index' && one.value.kind === 'name' ? [one.value.text] : []));
