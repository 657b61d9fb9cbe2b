/** The wording of syntax errors: what chevrotain expected and found, said in the words of the language. */
import { EOF, tokenLabel } from 'chevrotain';
import type { IParserErrorMessageProvider, IToken, TokenType } from 'chevrotain';
import type { Diagnostic } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import { tokenEnd } from './lex.ts';
import * as t from './tokens.ts';

/** Makes the texts of chevrotain's exceptions. */
export const errorMessages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, actual, previous, ruleName }) => `expected ${inRule(ruleName, expected)}, found ${found(actual, previous)}`,
  buildNotAllInputParsedMessage: ({ firstRedundant }) => `expected the end of the file, found ${found(firstRedundant, undefined)}`,
  buildNoViableAltMessage: ({ expectedPathsPerAlt, actual, previous, customUserDescription }) =>
    `expected ${customUserDescription ?? either(expectedPathsPerAlt.flat())}, found ${found(actual[0]!, previous)}`,
  buildEarlyExitMessage: ({ expectedIterationPaths, actual, previous, customUserDescription }) =>
    `expected ${customUserDescription ?? either(expectedIterationPaths)}, found ${found(actual[0]!, previous)}`,
};

/** The diagnostic of a mistake at a token. What is missing at the end of a line is shown there, not on the next. */
export function mistake(file: SourceFile, message: string, actual: IToken, previous: IToken | undefined): Diagnostic {
  const end = previous === undefined || previous.tokenType === EOF ? 0 : tokenEnd(previous);
  const span = isMissing(actual, previous) ? { file, start: end, end } : { file, start: actual.startOffset, end: tokenEnd(actual) };
  switch (actual.tokenType) {
    case t.Quantity:
      return { code: 'syntax.number', message: `\`${actual.image}\` is not a number`, span, help: 'a number with a unit is a value of a setting, as in `memory 512MB`' };
    case t.Update:
      return { code: 'syntax.expected', message, span, help: '`<-` updates a state; to compare with a negative number, write `< -`' };
    default: return { code: 'syntax.expected', message, span };
  }
}

/** What stands at a token, for people. */
export function found(token: IToken, previous: IToken | undefined): string {
  if (token.tokenType === EOF) return 'the end of the file';
  if (isMissing(token, previous)) return token.image === '' ? 'the end of the brackets' : 'the end of the line';
  const image = token.image.length > 40 ? `${token.image.slice(0, 40)}…` : token.image;
  return token.tokenType === t.Text ? `the string \`${image}\`` : `\`${image}\``;
}

/** Whether nothing stands where something was expected: the next token is a line end, or on another line. */
function isMissing(actual: IToken, previous: IToken | undefined): boolean {
  return actual.tokenType === EOF || actual.tokenType === t.Newline || actual.image === ''
    || (previous !== undefined && previous.tokenType !== EOF && previous.tokenType !== t.Newline && actual.startLine! > previous.endLine!);
}

/** What a token means where a rule asks for it. */
const meanings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  importItem: { String: 'a path in double quotes, as in `import "layers/attention.model"`' },
  modelItem: { Name: 'the name of the model', 'symbol {': 'the body of the model, `{ … }`' },
  layerItem: { Name: 'the name of the layer' },
  functionItem: { Name: 'the name of the function' },
  derivativeClause: { Name: 'the name of the gradient that arrives', 'symbol (': 'the gradient that arrives, `(g)`' },
  optimizerItem: { Name: 'the name of the optimizer' },
  tensors: { 'symbol (': 'the names of the parameter and its gradient, `(p, g)`' },
  parameters: { 'symbol (': 'a parameter list `( … )`' },
  parameter: { Name: 'the name of a parameter' },
  block: { 'symbol {': 'a block `{ … }`' },
  settings: { 'symbol {': 'a block of settings `{ … }`' },
  type: { Name: 'a type such as `f32[B, 784]`' },
  paramStatement: { 'symbol :': '`:` and a type, as in `param weight: f32[out, In]`' },
  exception: { 'symbol (': 'the changed settings, as in `(weight_decay: 0)`' },
  freezeStatement: { 'symbol =': '`=` and a model, as in `freeze vae = Dvae()`; what a training leaves as it is stands in its `train` block' },
  forStatement: { 'symbol ..': '`..` and the end of the range, as in `for i in 0..layers`' },
};

const inRule = (rule: string, expected: TokenType): string => meanings[rule]?.[expected.name] ?? tokenLabel(expected);

function either(paths: readonly (readonly TokenType[])[]): string {
  const labels = [...new Set(paths.map(path => tokenLabel(path[0]!)))];
  return labels.length === 1 ? labels[0]! : `${labels.slice(0, -1).join(', ')} or ${labels.at(-1)}`;
}
