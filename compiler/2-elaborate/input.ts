/** The inputs of a model. The first dimension, when its name is no constant, is the batch: its extent is the train block's `batch`. */
import type { Statement } from '../1-parse/ast.ts';
import { leaf } from '../ir/graph.ts';
import { dim, tensor } from '../ir/type.ts';
import { fail, type Context } from './context.ts';
import { declaredDims, matchArgument } from './dims.ts';
import { resolveName } from './expression.ts';
import { number, tensorItem } from './item.ts';
import type { Scope } from './scope.ts';
import { checkSize } from './tensors.ts';

export function declareInput(context: Context, statement: Extract<Statement, { kind: 'input' }>, scope: Scope): void {
  const { model, instance } = scope.body.kind === 'layer' ? scope.body : { model: null, instance: null };
  const name = statement.name.text;
  if (model === null || instance === null) return fail(context, {
    code: 'model.place', message: '`input` stands only in a model',
    help: "a layer's inputs are its second list of parameters: `layer f(…) (x: f32[…])`",
  });
  if (model.inputs.has(name)) fail(context, { code: 'model.twice', message: `the input \`${name}\` is declared twice` });
  const { dims: written, dtype } = statement.type;
  written.forEach((expression, axis) => {
    if (expression.kind === 'ellipsis') fail(context, {
      code: 'type.ellipsis', message: 'the dimensions of an input are all written out', span: expression.span,
    });
    if (expression.kind !== 'name' || resolveName(context, expression.text, scope) !== null) return;
    if (axis === 0 && context.batchName === null) {
      context.batchName = expression.text;
      const batch = dim(context.batch, expression.text);
      scope.names.set(expression.text, number(context.batch, batch));
      return;
    }
    const parameter = `model ${instance.definition.name.text}(${expression.text} = 64)`;
    fail(context, {
      code: 'name.dimension', message: `the dimension \`${expression.text}\` is not known`, span: expression.span,
      help: axis === 0 && context.batchName !== null ? `the batch dimension is called \`${context.batchName}\`; name it so, or make \`${expression.text}\` a hyperparameter: \`${parameter}\`` : `make it a hyperparameter: \`${parameter}\``,
    });
  });
  const type = tensor(dtype, declaredDims(context, written, scope));
  checkSize(context, type.dims);
  const value = leaf('input', name, type, { span: statement.span, scope: [], phase: 'forward' });
  model.inputs.set(name, value);
  const given = model.given?.get(name);
  const item = given === undefined ? tensorItem(value) : matchArgument(context, given.item, statement.type, scope, `\`${name}\``, given.span);
  scope.names.set(name, item);
}
