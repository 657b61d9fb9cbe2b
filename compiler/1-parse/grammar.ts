/**
 * The grammar of nabla as a chevrotain parser that builds the syntax tree while it reads. It takes tokens whose brackets are paired
 * and whose line ends all count. A mistake ends the smallest of these that it is in: an expression, a declaration's type, a
 * statement, an item; reading goes on behind it, and a `missing` expression or nothing stands in its place.
 */
import { EmbeddedActionsParser, EOF, isRecognitionException, MismatchedTokenException } from 'chevrotain';
import type { IToken, ParserMethod, TokenType } from 'chevrotain';
import { dtypes } from '../ir/type.ts';
import type { DType } from '../ir/type.ts';
import type { Report } from '../source/diagnostic.ts';
import { suggest } from '../source/suggest.ts';
import type { SourceFile, Span } from '../source/text.ts';
import type {
  Argument, BinaryOperator, DerivativeClause, DimExpression, Expression, File, Import, Item, Name, Parameter, Scan,
  Setting, SettingException, SettingValue,
  Statement, Subscript, TypeExpression,
} from './ast.ts';
import { tokenEnd, tokenSpan } from './lex.ts';
import { errorMessages, found, mistake } from './messages.ts';
import { foldOperators, height } from './operators.ts';
import type { Part } from './operators.ts';
import * as t from './tokens.ts';

/** Blocks and expressions inside each other, and `else if` after `else if`: uses less than half of the default stack. */
const deepest = 128;
/** Nodes on one path through an expression, chains included: later phases recurse over it. */
const highest = 1000;

/** What is read together and what the parser tells while reading. */
export interface Reading {
  readonly file: SourceFile;
  readonly comments: readonly IToken[];
  readonly report: Report;
}

const nothing: Reading = { file: { path: '', text: '', library: false }, comments: [], report: () => {} };

/** What may follow a parameter list. */
const afterHeader: readonly TokenType[] = [t.OpenParen, t.Arrow, t.Where, t.Assign, t.OpenBrace, t.Newline];

interface GrammarError {
  readonly message: string;
  readonly token: IToken;
  readonly previousToken?: IToken;
}

type Rule<T> = ParserMethod<[], T>;

export class Grammar extends EmbeddedActionsParser {
  private reading: Reading = nothing;
  private expressions = 0;
  private alternatives = 0;
  private blocks = 0;
  private inModel = false;

  constructor() {
    super([...t.vocabulary], { recoveryEnabled: false, maxLookahead: 2, errorMessageProvider: errorMessages, skipValidations: true });
    this.performSelfAnalysis();
  }

  /** Reads a whole file. Nothing of it stays behind: a grammar is dear to make (20 ms) and is therefore made once. */
  read(reading: Reading, tokens: IToken[]): File {
    this.input = tokens;
    this.reading = reading;
    this.expressions = this.alternatives = this.blocks = 0;
    this.inModel = false;
    const tree = this.wholeFile();
    for (const { message, token, previousToken } of this.errors as readonly GrammarError[]) {
      reading.report(mistake(reading.file, message, token, previousToken));
    }
    this.input = [];
    this.reading = nothing;
    return tree;
  }

  // ---- items ----

  private readonly wholeFile: Rule<File> = this.RULE('wholeFile', (): File => {
    const imports: Import[] = [];
    const items: Item[] = [];
    this.repeat(() => this.LA(1).tokenType === EOF, () => {
      const item = this.attempt(() => this.SUBRULE(this.item), [t.Newline], () => null);
      this.ACTION(() => {
        if (item?.kind === 'import') imports.push(item);
        else if (item !== null) items.push(item);
      });
      this.endOfStatement();
    });
    const { file } = this.reading;
    return { kind: 'file', imports, items, span: { file, start: 0, end: file.text.length } };
  });

  private readonly item: Rule<Item | Import> = this.RULE('item', (): Item | Import =>
    this.OR<Item | Import>({
      DEF: [
        { ALT: () => this.SUBRULE(this.importItem) },
        { ALT: () => this.SUBRULE(this.modelItem) },
        { ALT: () => this.SUBRULE(this.layerItem) },
        { ALT: () => this.SUBRULE(this.functionItem) },
        { ALT: () => this.SUBRULE(this.optimizerItem) },
        { ALT: () => this.SUBRULE(this.dataBlock) },
        { ALT: () => this.SUBRULE(this.trainBlock) },
        { ALT: () => this.SUBRULE(this.generateBlock) },
        { ALT: () => this.SUBRULE(this.constant) },
      ],
      ERR_MSG: '`model`, `layer`, `fn`, `optimizer`, `data`, `train`, `generate`, `import` or a constant `name = …`',
    }));

  private readonly importItem: Rule<Import> = this.RULE('importItem', (): Import => {
    const first = this.CONSUME(t.Import);
    const path = this.CONSUME(t.Text);
    return { kind: 'import', path: stringValue(path.image), pathSpan: this.at(path), span: this.from(first) };
  });

  private readonly modelItem: Rule<Item> = this.RULE('modelItem', (): Item => {
    const first = this.CONSUME(t.Model);
    const name = this.definitionName(() => this.CONSUME(t.Name));
    let parameters: Parameter[] = [];
    this.OPTION(() => parameters = this.header());
    this.ACTION(() => this.inModel = true);
    const body = this.SUBRULE(this.block);
    this.ACTION(() => this.inModel = false);
    return { kind: 'model', name, doc: this.doc(first), parameters, body, span: this.from(first) };
  });

  private readonly layerItem: Rule<Item> = this.RULE('layerItem', (): Item => {
    const first = this.CONSUME(t.Layer);
    const name = this.definitionName(() => this.CONSUME(t.Name));
    const parameters = this.header();
    const inputs = this.attempt(() => this.SUBRULE(this.inputs), afterHeader, () => []);
    const result = this.SUBRULE(this.resultType);
    const where = this.attempt(() => this.SUBRULE(this.conditions), [t.OpenBrace, t.Assign, t.Newline], () => []);
    const body = this.SUBRULE(this.block);
    return { kind: 'layer', name, doc: this.doc(first), parameters, inputs, result, where, body, span: this.from(first) };
  });

  private readonly functionItem: Rule<Item> = this.RULE('functionItem', (): Item => {
    const first = this.CONSUME(t.Fn);
    const name = this.definitionName(() => this.CONSUME(t.Name));
    const parameters = this.header();
    const result = this.SUBRULE(this.resultType);
    const where = this.attempt(() => this.SUBRULE(this.conditions), [t.OpenBrace, t.Assign, t.Newline], () => []);
    let short = false;
    const body = this.OR<Statement[]>({
      DEF: [
        { ALT: () => {
          this.CONSUME(t.Assign);
          short = true;
          const value = this.value();
          return this.ACTION(() => [{ kind: 'return' as const, value, span: value.span }]);
        } },
        { ALT: () => this.SUBRULE(this.block) },
      ],
      ERR_MSG: '`= expression` or a block `{ … }`',
    });
    let derivative: DerivativeClause | null = null;
    this.OPTION(() => derivative = this.SUBRULE(this.derivativeClause));
    return { kind: 'fn', name, doc: this.doc(first), parameters, result, where, body, short, derivative, span: this.from(first) };
  });

  private readonly derivativeClause: Rule<DerivativeClause> = this.RULE('derivativeClause', (): DerivativeClause => {
    const first = this.CONSUME(t.Derivative);
    this.CONSUME(t.OpenParen);
    const gradient = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.CloseParen);
    const body = this.SUBRULE(this.block);
    return { gradient, body, span: this.from(first) };
  });

  private readonly optimizerItem: Rule<Item> = this.RULE('optimizerItem', (): Item => {
    const first = this.CONSUME(t.Optimizer);
    const name = this.definitionName(() => this.CONSUME(t.Name));
    const parameters = this.header();
    const inputs = this.attempt(() => this.SUBRULE(this.tensors), afterHeader, () => []);
    const body = this.SUBRULE(this.block);
    return { kind: 'optimizer', name, doc: this.doc(first), parameters, inputs, body, span: this.from(first) };
  });

  /** `(p, g)` */
  private readonly tensors: Rule<Name[]> = this.RULE('tensors', (): Name[] => {
    const result: Name[] = [];
    this.CONSUME(t.OpenParen);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => result.push(this.name(this.CONSUME(t.Name))), ERR_MSG: 'the names of the parameter and its gradient, `(p, g)`' });
    this.CONSUME(t.CloseParen);
    return result;
  });

  private readonly constant: Rule<Item> = this.RULE('constant', (): Item => {
    const first = this.CONSUME(t.Name);
    this.CONSUME(t.Assign);
    const value = this.value();
    return { kind: 'constant', name: this.name(first), doc: this.doc(first), value, span: this.from(first) };
  });

  private readonly dataBlock: Rule<Item> = this.RULE('dataBlock', (): Item => {
    const first = this.CONSUME(t.Data);
    const settings = this.SUBRULE(this.settings);
    return { kind: 'data', settings, span: this.from(first) };
  });

  private readonly trainBlock: Rule<Item> = this.RULE('trainBlock', (): Item => {
    const first = this.CONSUME(t.Train);
    let name: Name | null = null;
    this.OPTION(() => name = this.name(this.CONSUME(t.Name)));
    const settings = this.SUBRULE(this.settings);
    return { kind: 'train', name, settings, span: this.from(first) };
  });

  private readonly generateBlock: Rule<Item> = this.RULE('generateBlock', (): Item => {
    const first = this.CONSUME(t.Generate);
    const settings = this.SUBRULE(this.settings);
    return { kind: 'generate', settings, span: this.from(first) };
  });

  // ---- headers ----

  /** A definition without its name is still read; its name is then empty. */
  private definitionName(consume: () => IToken): Name {
    return this.attempt(() => this.name(consume()), afterHeader, span => ({ text: '', span }));
  }

  private header(): Parameter[] {
    return this.attempt(() => this.SUBRULE(this.parameters), afterHeader, () => []);
  }

  private readonly parameters: Rule<Parameter[]> = this.RULE('parameters', (): Parameter[] => {
    const result: Parameter[] = [];
    this.CONSUME(t.OpenParen);
    this.separated(t.CloseParen, 'the name of a parameter', () => {
      const parameter = this.attempt(() => this.SUBRULE(this.parameter), [t.Comma], () => null);
      this.ACTION(() => parameter !== null && result.push(parameter));
    });
    this.CONSUME(t.CloseParen);
    return result;
  });

  /** The second list of a layer. */
  private readonly inputs: Rule<Parameter[]> = this.RULE('inputs', (): Parameter[] => {
    this.ACTION(() => {
      if (this.LA(1).tokenType !== t.OpenParen) {
        this.fail(`expected the inputs of the layer, as in \`layer name(hyperparameters) (x: f32[B, D])\`, found ${found(this.LA(1), this.LA(0))}`);
      }
    });
    return this.SUBRULE(this.parameters);
  });

  private readonly parameter: Rule<Parameter> = this.RULE('parameter', (): Parameter => {
    const name = this.CONSUME(t.Name);
    let type: TypeExpression | null = null;
    let value: Expression | null = null;
    this.OPTION(() => {
      this.CONSUME(t.Colon);
      type = this.SUBRULE(this.type);
    });
    this.OPTION2(() => {
      this.CONSUME(t.Assign);
      value = this.SUBRULE(this.expression);
    });
    return { name: this.name(name), type, default: value, span: this.from(name) };
  });

  private readonly resultType: Rule<TypeExpression | null> = this.RULE('resultType', (): TypeExpression | null => {
    let type: TypeExpression | null = null;
    this.OPTION(() => {
      this.CONSUME(t.Arrow);
      type = this.attempt(() => this.SUBRULE(this.type), [t.OpenBrace, t.Where, t.Assign, t.Newline], () => null);
    });
    return type;
  });

  private readonly conditions: Rule<Expression[]> = this.RULE('conditions', (): Expression[] => {
    const result: Expression[] = [];
    this.OPTION(() => {
      this.CONSUME(t.Where);
      this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => {
        const condition = this.SUBRULE(this.expression);
        this.ACTION(() => result.push(condition));
      }, ERR_MSG: 'a condition such as `D % heads == 0`' });
    });
    return result;
  });

  private readonly type: Rule<TypeExpression> = this.RULE('type', (): TypeExpression => {
    const name = this.CONSUME(t.Name);
    const dims: DimExpression[] = [];
    this.ACTION(() => {
      if (this.LA(1).tokenType === t.OpenParen) this.fail(`expected a dimension list such as \`[B, 784]\` after \`${name.image}\``);
    });
    this.OPTION(() => {
      this.CONSUME(t.OpenSquare);
      this.separated(t.CloseSquare, 'a dimension', () => {
        const dim = this.OR<DimExpression>([
          { ALT: () => {
            const token = this.CONSUME(t.Ellipsis);
            return { kind: 'ellipsis' as const, span: this.at(token) };
          } },
          { ALT: () => this.SUBRULE(this.expression) },
        ]);
        this.ACTION(() => dims.push(dim));
      });
      this.CONSUME(t.CloseSquare);
    });
    return this.ACTION(() => ({ kind: 'type', dtype: this.dtype(name), dims, span: this.from(name) }));
  });

  // ---- statements ----

  private readonly block: Rule<Statement[]> = this.RULE('block', (): Statement[] => {
    const result: Statement[] = [];
    const open = this.CONSUME(t.OpenBrace);
    this.ACTION(() => this.limit(open));
    this.blocks++;
    this.repeat(() => this.LA(1).tokenType === t.CloseBrace, () => {
      const statement = this.attempt(() => this.SUBRULE(this.statement), [t.Newline, t.Semicolon], () => null);
      this.ACTION(() => statement !== null && result.push(statement));
      this.endOfStatement();
    });
    this.blocks--;
    this.CONSUME(t.CloseBrace);
    return result;
  });

  private readonly statement: Rule<Statement> = this.RULE('statement', (): Statement =>
    this.OR<Statement>({
      DEF: [
        { ALT: () => this.SUBRULE(this.paramStatement) },
        { ALT: () => this.SUBRULE(this.stateStatement) },
        { ALT: () => this.SUBRULE(this.inputStatement) },
        { ALT: () => this.SUBRULE(this.namedResult) },
        { ALT: () => this.SUBRULE(this.freezeStatement) },
        { ALT: () => this.SUBRULE(this.indexedStatement) },
        { ALT: () => this.SUBRULE(this.binding) },
        { ALT: () => this.SUBRULE(this.forStatement) },
        { ALT: () => this.SUBRULE(this.ifStatement) },
        { ALT: () => this.SUBRULE(this.whereStatement) },
        { ALT: () => this.SUBRULE(this.returnStatement) },
        { ALT: () => this.SUBRULE(this.scanStatement) },
        { ALT: () => this.SUBRULE(this.yieldStatement) },
      ],
      ERR_MSG: 'a statement such as `name = expression`',
      IGNORE_AMBIGUITIES: true,
    }));

  private readonly paramStatement: Rule<Statement> = this.RULE('paramStatement', (): Statement => {
    const first = this.CONSUME(t.Param);
    const name = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.Colon);
    const type = this.SUBRULE(this.type);
    let value: Expression | null = null;
    this.OPTION(() => {
      this.CONSUME(t.Assign);
      value = this.value();
    });
    return { kind: 'param', name, type, value, span: this.from(first) };
  });

  private readonly stateStatement: Rule<Statement> = this.RULE('stateStatement', (): Statement => {
    const first = this.CONSUME(t.State);
    const name = this.name(this.CONSUME(t.Name));
    let type: TypeExpression | null = null;
    this.OPTION(() => {
      this.CONSUME(t.Colon);
      type = this.SUBRULE(this.type);
    });
    this.CONSUME(t.Assign);
    const value = this.value();
    return { kind: 'state', name, type, value, span: this.from(first) };
  });

  private readonly inputStatement: Rule<Statement> = this.RULE('inputStatement', (): Statement => {
    const first = this.CONSUME(t.Input);
    const name = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.Colon);
    const type = this.SUBRULE(this.type);
    return { kind: 'input', name, type, span: this.from(first) };
  });

  private readonly namedResult: Rule<Statement> = this.RULE('namedResult', (): Statement => {
    const first = this.OR([
      { ALT: () => this.CONSUME(t.Loss) },
      { ALT: () => this.CONSUME(t.Metric) },
      { ALT: () => this.CONSUME(t.Output) },
    ]);
    const name = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.Assign);
    const value = this.value();
    const role = first.image as 'loss' | 'metric' | 'output';
    let image = false;
    this.OPTION(() => image = this.SUBRULE(this.shownAs, { ARGS: [role === 'output'] }));
    return { kind: 'result', role, name, value, image, span: this.from(first) };
  });

  /** `as image` */
  private readonly shownAs = this.RULE('shownAs', (isOutput: boolean): boolean => {
    const as = this.CONSUME(t.As);
    const form = this.CONSUME(t.Name);
    this.ACTION(() => {
      if (!isOutput) {
        this.reading.report({ code: 'syntax.expected', message: 'only an `output` is shown `as image`', span: this.at(as) });
      } else if (form.image !== 'image') {
        this.reading.report({ code: 'syntax.expected', message: `expected \`image\` after \`as\`, found ${found(form, as)}`, span: this.at(form) });
      }
    });
    return true;
  });

  /** `freeze vae = Dvae()` */
  private readonly freezeStatement: Rule<Statement> = this.RULE('freezeStatement', (): Statement => {
    const first = this.CONSUME(t.Freeze);
    const name = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.Assign);
    const value = this.value();
    return { kind: 'freeze', name, value, span: this.from(first) };
  });

  /** `x = …`, `a, b = …`, `mean <- …`, and in a model `loss = …`. */
  private readonly binding: Rule<Statement> = this.RULE('binding', (): Statement => {
    const first = this.LA(1);
    const targets: Name[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => targets.push(this.name(this.CONSUME(t.Name))) });
    const operator = this.OR({
      DEF: [{ ALT: () => this.CONSUME(t.Assign) }, { ALT: () => this.CONSUME(t.Update) }],
      ERR_MSG: '`=` and an expression',
    });
    const value = this.value();
    const span = this.from(first);
    this.OPTION(() => this.SUBRULE(this.shownAs, { ARGS: [false] }));
    return this.ACTION((): Statement => {
      if (this.inModel && first.tokenType === t.Loss && targets.length === 1 && operator.tokenType === t.Assign) {
        return { kind: 'result', role: 'loss', name: null, value, image: false, span };
      }
      if (operator.tokenType === t.Assign) return { kind: 'bind', targets, value, span };
      if (targets.length > 1) this.reading.report({ code: 'syntax.expected', message: '`<-` updates one state at a time', span: this.at(operator) });
      return { kind: 'update', name: targets[0]!, value, span };
    });
  });

  /** `y[b, o] = …` */
  private readonly indexedStatement: Rule<Statement> = this.RULE('indexedStatement', (): Statement => {
    const first = this.CONSUME(t.Name);
    const indices = this.SUBRULE(this.subscripts);
    this.CONSUME(t.Assign);
    const value = this.value();
    return { kind: 'indexed', name: this.name(first), indices, value, span: this.from(first) };
  });

  private readonly forStatement: Rule<Statement> = this.RULE('forStatement', (): Statement => {
    const first = this.CONSUME(t.For);
    const variable = this.name(this.CONSUME(t.Name));
    this.CONSUME(t.In);
    const from = this.attempt(() => this.SUBRULE1(this.expression), [t.Range, t.OpenBrace, t.Newline], span => this.missing(span));
    this.CONSUME(t.Range);
    const to = this.attempt(() => this.SUBRULE2(this.expression), [t.OpenBrace, t.Newline], span => this.missing(span));
    const body = this.SUBRULE(this.block);
    return { kind: 'for', variable, from, to, body, span: this.from(first) };
  });

  private readonly ifStatement: Rule<Statement> = this.RULE('ifStatement', (): Statement => {
    const first = this.CONSUME(t.If);
    const condition = this.attempt(() => this.SUBRULE(this.condition), [t.OpenBrace, t.Newline], span => this.missing(span));
    const then = this.SUBRULE(this.block);
    let otherwise: Statement[] | null = null;
    this.OPTION(() => {
      this.CONSUME(t.Else);
      otherwise = this.OR<Statement[]>([
        { ALT: () => [this.alternative(first)] },
        { ALT: () => this.SUBRULE2(this.block) },
      ]);
    });
    return { kind: 'if', condition, then, otherwise, span: this.from(first) };
  });

  private readonly condition: Rule<Expression> = this.RULE('condition', (): Expression => {
    const value = this.SUBRULE(this.expression);
    this.ACTION(() => {
      if (this.LA(1).tokenType === t.Assign) this.fail('`=` does not compare');
    });
    return value;
  });

  private readonly whereStatement: Rule<Statement> = this.RULE('whereStatement', (): Statement => {
    const first = this.CONSUME(t.Where);
    const condition = this.value();
    return { kind: 'where', condition, span: this.from(first) };
  });

  private readonly returnStatement: Rule<Statement> = this.RULE('returnStatement', (): Statement => {
    const first = this.CONSUME(t.Return);
    const value = this.value();
    return { kind: 'return', value, span: this.from(first) };
  });

  private readonly scanStatement: Rule<Statement> = this.RULE('scanStatement', (): Statement => {
    const loop = this.SUBRULE(this.scan);
    return { kind: 'scan', loop, span: loop?.span };
  });

  private readonly yieldStatement: Rule<Statement> = this.RULE('yieldStatement', (): Statement => {
    const first = this.CONSUME(t.Yield);
    const value = this.value();
    return { kind: 'yield', value, span: this.from(first) };
  });

  private readonly scan: Rule<Scan> = this.RULE('scan', (): Scan => {
    const first = this.CONSUME(t.Scan);
    const variable = this.name(this.CONSUME1(t.Name));
    this.CONSUME(t.Along);
    const dimension = this.attempt(() => this.SUBRULE1(this.expression), [t.Reversed, t.From, t.OpenBrace, t.Newline], span => this.missing(span));
    let reversed = false;
    this.OPTION1(() => {
      this.CONSUME(t.Reversed);
      reversed = true;
    });
    const carries: { readonly name: Name; readonly value: Expression }[] = [];
    this.OPTION2(() => {
      this.CONSUME(t.From);
      this.AT_LEAST_ONE_SEP({ SEP: t.Comma, ERR_MSG: 'a carried value such as `h = zeros([B, units])`', DEF: () => {
        const name = this.name(this.CONSUME2(t.Name));
        this.CONSUME(t.Assign);
        const value = this.attempt(() => this.SUBRULE2(this.expression), [t.Comma, t.OpenBrace, t.Newline], span => this.missing(span));
        this.ACTION(() => carries.push({ name, value }));
      } });
    });
    const body = this.SUBRULE(this.block);
    return { kind: 'scan', variable, dimension, reversed, carries, body, span: this.from(first) };
  });

  // ---- settings ----

  private readonly settings: Rule<Setting[]> = this.RULE('settings', (): Setting[] => {
    const result: Setting[] = [];
    this.CONSUME(t.OpenBrace);
    this.repeat(() => this.LA(1).tokenType === t.CloseBrace, () => {
      const setting = this.attempt(() => this.SUBRULE(this.setting), [t.Newline, t.Semicolon], () => null);
      this.ACTION(() => setting !== null && result.push(setting));
      this.endOfSetting();
    });
    this.CONSUME(t.CloseBrace);
    return result;
  });

  private readonly setting: Rule<Setting> = this.RULE('setting', (): Setting => {
    const first = this.OR({
      DEF: [
        { ALT: () => this.CONSUME(t.Name) },
        { ALT: () => this.CONSUME(t.Optimizer) },
        { ALT: () => this.CONSUME(t.Model) },
      ],
      ERR_MSG: 'a setting such as `batch 64`',
    });
    const values: SettingValue[] = [];
    const exceptions: SettingException[] = [];
    let assigned = false;
    let body: Statement[] | null = null;
    this.OR2([
      { ALT: () => {
        this.CONSUME(t.Assign);
        assigned = true;
        const source = this.attempt(() => this.SUBRULE(this.source), [t.Newline, t.Semicolon], span => ({ value: this.missing(span), body: null }));
        this.ACTION(() => {
          values.push(source.value);
          ({ body } = source);
        });
      } },
      { ALT: () => {
        this.MANY({
          GATE: () => this.LA(1).tokenType !== t.Except,
          DEF: () => {
            const value = this.SUBRULE(this.settingValue);
            this.ACTION(() => values.push(value));
          },
        });
        this.MANY2(() => {
          const exception = this.SUBRULE(this.exception);
          this.ACTION(() => exceptions.push(exception));
        });
      } },
    ]);
    return { name: this.name(first), assigned, values, body, exceptions, span: this.from(first) };
  });

  /** `csv(…)`, or `synthetic(…) { … }`. */
  private readonly source: Rule<{ readonly value: Expression; readonly body: Statement[] | null }> = this.RULE('source', () => {
    const value = this.SUBRULE(this.expression);
    let body: Statement[] | null = null;
    this.OPTION(() => body = this.SUBRULE(this.block));
    this.endsHere();
    return { value, body };
  });

  private readonly settingValue: Rule<SettingValue> = this.RULE('settingValue', (): SettingValue =>
    this.OR<SettingValue>({
      DEF: [
        { ALT: () => {
          const token = this.CONSUME(t.SettingWord);
          return { kind: 'word' as const, text: token.image, span: this.at(token) };
        } },
        { ALT: () => {
          const token = this.CONSUME(t.Quantity);
          const digits = /^[\d_.]*(?:[eE][+-]?\d+)?/.exec(token.image)?.[0] ?? '';
          return { kind: 'quantity' as const, value: numberValue(digits), unit: token.image.slice(digits.length), span: this.at(token) };
        } },
        { ALT: () => {
          const token = this.CONSUME(t.Pattern);
          return { kind: 'pattern' as const, text: token.image, span: this.at(token) };
        } },
        { ALT: () => this.SUBRULE(this.expression) },
      ],
      IGNORE_AMBIGUITIES: true,
    }));

  private readonly exception: Rule<SettingException> = this.RULE('exception', (): SettingException => {
    const first = this.CONSUME(t.Except);
    const patterns: Name[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => {
      const token = this.CONSUME(t.Text);
      patterns.push({ text: stringValue(token.image), span: this.at(token) });
    }, ERR_MSG: 'a pattern in double quotes such as `"*.bias"`' });
    this.CONSUME(t.OpenParen);
    const values: Argument[] = [];
    this.separated(t.CloseParen, 'an argument', () => {
      const argument = this.SUBRULE(this.argument);
      this.ACTION(() => values.push(argument));
    });
    this.CONSUME(t.CloseParen);
    return { patterns, arguments: values, span: this.from(first) };
  });

  // ---- expressions ----

  /** Operands and operators in a row; `operators.ts` makes the tree. */
  private readonly expression: Rule<Expression> = this.RULE('expression', (): Expression => {
    const first = this.LA(1);
    const parts: Part[] = [];
    this.ACTION(() => this.limit(first));
    this.expressions++;
    try {
      this.SUBRULE1(this.operand, { ARGS: [parts] });
      this.MANY(() => {
        this.OR([
          { ALT: () => {
            const token = this.CONSUME(t.Infix);
            parts.push({ kind: 'infix', operator: token.image as BinaryOperator, span: this.at(token) });
          } },
          { ALT: () => parts.push({ kind: 'pipe', span: this.at(this.CONSUME(t.Pipe)) }) },
          { ALT: () => {
            const token = this.CONSUME(t.Question);
            const then = this.SUBRULE(this.expression);
            this.CONSUME(t.Colon);
            parts.push({ kind: 'choice', then, span: this.at(token) });
          } },
        ]);
        this.SUBRULE2(this.operand, { ARGS: [parts] });
      });
      return this.ACTION(() => {
        const { value, span } = foldOperators(parts, this.reading.report);
        if (this.expressions > 1 || height(value) <= highest) return value;
        this.reading.report({ code: 'syntax.size', message: `the expression is too long (more than ${highest} operators in a chain)`,
          span: { ...span, end: Math.min(span.end, span.start + 40) }, help: 'bind parts of it to names' });
        return this.missing(span);
      });
    } finally {
      this.expressions--;
    }
  });

  private readonly operand: ParserMethod<[Part[]], void> = this.RULE('operand', (parts: Part[]) => {
    this.MANY(() => this.OR([
      { ALT: () => this.prefix(parts, this.CONSUME(t.Minus), '-') },
      { ALT: () => this.prefix(parts, this.CONSUME(t.Not), 'not') },
    ]));
    const first = this.LA(1);
    let value: Expression = this.OR2<Expression>({
      DEF: [
        { ALT: () => {
          const token = this.CONSUME(t.NumberLiteral);
          return { kind: 'number' as const, value: numberValue(token.image), text: token.image, span: this.at(token) };
        } },
        { ALT: () => {
          const token = this.CONSUME(t.Text);
          return { kind: 'string' as const, value: stringValue(token.image), span: this.at(token) };
        } },
        { ALT: () => ({ kind: 'boolean' as const, value: true, span: this.at(this.CONSUME(t.True)) }) },
        { ALT: () => ({ kind: 'boolean' as const, value: false, span: this.at(this.CONSUME(t.False)) }) },
        { ALT: () => {
          const token = this.CONSUME1(t.Name);
          return { kind: 'name' as const, text: token.image, span: this.at(token) };
        } },
        { ALT: () => {
          this.CONSUME1(t.OpenParen);
          const inner = this.SUBRULE1(this.expression);
          this.CONSUME1(t.CloseParen);
          return inner;
        } },
        { ALT: () => {
          const elements: Expression[] = [];
          this.CONSUME1(t.OpenSquare);
          this.MANY2(() => {
            const element = this.SUBRULE2(this.expression);
            this.ACTION(() => elements.push(element));
            this.comma(1, t.CloseSquare);
          });
          this.closes(t.CloseSquare, 'an expression');
          this.CONSUME1(t.CloseSquare);
          return { kind: 'list' as const, elements, span: this.from(first) };
        } },
      ],
      ERR_MSG: 'an expression',
    });
    this.MANY3(() => {
      value = this.OR3<Expression>([
        { ALT: () => {
          this.CONSUME(t.Dot);
          const member = this.name(this.CONSUME2(t.Name));
          return { kind: 'member' as const, object: value, member, span: this.from(first) };
        } },
        { ALT: () => {
          const values: Argument[] = [];
          this.CONSUME2(t.OpenParen);
          this.MANY4(() => {
            const argument = this.SUBRULE(this.argument);
            this.ACTION(() => values.push(argument));
            this.comma(2, t.CloseParen);
          });
          this.closes(t.CloseParen, 'an argument');
          this.CONSUME2(t.CloseParen);
          return { kind: 'call' as const, callee: value, arguments: values, span: this.from(first) };
        } },
        { ALT: () => {
          const subscripts = this.SUBRULE(this.subscripts);
          return { kind: 'subscript' as const, object: value, subscripts, span: this.from(first) };
        } },
      ]);
    });
    this.ACTION(() => parts.push({ kind: 'operand', value, span: this.from(first) }));
  });

  private readonly argument: Rule<Argument> = this.RULE('argument', (): Argument => {
    const first = this.LA(1);
    let name: Name | null = null;
    this.OPTION(() => {
      const token = this.CONSUME(t.Name);
      name = this.name(token);
      this.OR([
        { ALT: () => this.CONSUME(t.Colon) },
        { ALT: () => this.namedWithEquals(token, this.CONSUME(t.Assign)) },
      ]);
    });
    const value = this.SUBRULE(this.expression);
    return { name, value, span: this.from(first) };
  });

  private readonly subscripts: Rule<Subscript[]> = this.RULE('subscripts', (): Subscript[] => {
    const result: Subscript[] = [];
    this.CONSUME(t.OpenSquare);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, ERR_MSG: 'an index', DEF: () => {
      const subscript = this.SUBRULE(this.subscript);
      this.ACTION(() => result.push(subscript));
    } });
    this.CONSUME(t.CloseSquare);
    return result;
  });

  private readonly subscript: Rule<Subscript> = this.RULE('subscript', (): Subscript => {
    const first = this.LA(1);
    let from: Expression | null = null;
    let to: Expression | null = null;
    let step: Expression | null = null;
    let range = false;
    const whole = this.OR<Subscript | null>({ ERR_MSG: 'an index', DEF: [
      { ALT: () => {
        const token = this.CONSUME(t.Ellipsis);
        return { kind: 'ellipsis' as const, span: this.at(token) };
      } },
      { ALT: () => {
        const name = this.name(this.CONSUME(t.Name));
        this.CONSUME(t.In);
        const start = this.SUBRULE6(this.expression);
        this.CONSUME(t.Range);
        const end = this.SUBRULE7(this.expression);
        return { kind: 'each' as const, name, from: start, to: end, span: this.from(first) };
      } },
      { ALT: () => {
        from = this.SUBRULE1(this.expression);
        this.OPTION1(() => {
          range = true;
          this.CONSUME1(t.Colon);
          this.OPTION2(() => to = this.SUBRULE2(this.expression));
          this.OPTION3(() => {
            this.CONSUME2(t.Colon);
            this.OPTION4(() => step = this.SUBRULE3(this.expression));
          });
        });
        return null;
      } },
      { ALT: () => {
        range = true;
        this.CONSUME3(t.Colon);
        this.OPTION5(() => to = this.SUBRULE4(this.expression));
        this.OPTION6(() => {
          this.CONSUME4(t.Colon);
          this.OPTION7(() => step = this.SUBRULE5(this.expression));
        });
        return null;
      } },
    ] });
    const span = this.from(first);
    if (whole !== null) return whole;
    return range ? { kind: 'range', from, to, step, span } : { kind: 'index', value: from!, span };
  });

  // ---- helpers ----

  /** An expression up to the end of its statement; on a mistake, `missing`. */
  private value(): Expression {
    return this.attempt(() => this.SUBRULE(this.wholeExpression), [t.Newline, t.Semicolon, t.As], span => this.missing(span));
  }

  private readonly wholeExpression: Rule<Expression> = this.RULE('wholeExpression', (): Expression => {
    const value = this.OR<Expression>({
      DEF: [
        { ALT: () => this.SUBRULE(this.scan) },
        { ALT: () => this.SUBRULE(this.expression) },
      ],
      ERR_MSG: 'an expression',
    });
    this.endsHere();
    return value;
  });

  private endsHere(): void {
    this.ACTION(() => {
      if (!this.atEnd()) this.fail(`expected an operator or the end of the line, found ${found(this.LA(1), this.LA(0))}`);
    });
  }

  private atEnd(): boolean {
    const { tokenType } = this.LA(1);
    return tokenType === t.Newline || tokenType === t.Semicolon || tokenType === t.CloseBrace || tokenType === t.As || tokenType === EOF;
  }

  private endOfStatement(): void {
    this.ACTION(() => {
      const next = this.LA(1);
      if (next.tokenType === t.Semicolon) {
        this.reading.report({ code: 'syntax.semicolon', message: 'a statement ends with its line, without `;`', span: this.at(next),
          help: 'remove the `;`, or put the next statement on a line of its own' });
      }
      this.endOfSetting();
    });
  }

  private endOfSetting(): void {
    this.ACTION(() => {
      if (!this.atEnd()) {
        this.reading.report(mistake(this.reading.file, `expected the end of the line, found ${found(this.LA(1), this.LA(0))}`, this.LA(1), this.LA(0)));
        this.skip([t.Newline, t.Semicolon], this.around());
      }
      while (this.LA(1).tokenType === t.Newline || this.LA(1).tokenType === t.Semicolon) this.SKIP_TOKEN();
    });
  }

  /** Reads until `end` holds. A turn that reads nothing skips a token, so that the loop ends on any input. */
  private repeat(end: () => boolean, turn: () => void): void {
    if (this.RECORDING_PHASE) return turn();
    while (!end() && this.LA(1).tokenType !== EOF) {
      const before = this.LA(1);
      turn();
      if (this.LA(1) === before) this.SKIP_TOKEN();
    }
  }

  /** Elements with commas between them; one may follow the last. */
  private separated(close: TokenType, what: string, element: () => void): void {
    this.many(9, () => {
      element();
      this.comma(9, close);
    });
    this.closes(close, what);
  }

  private closes(close: TokenType, what: string): void {
    this.ACTION(() => {
      if (this.LA(1).tokenType !== close) this.fail(`expected ${what} or ${close.LABEL}, found ${found(this.LA(1), this.LA(0))}`);
    });
  }

  private comma(occurrence: number, close: TokenType): void {
    if (!this.RECORDING_PHASE && this.LA(1).tokenType === close) return;
    this.ACTION(() => {
      if (this.LA(1).tokenType !== t.Comma) this.fail(`expected \`,\` or ${close.LABEL}, found ${found(this.LA(1), this.LA(0))}`);
    });
    this.consume(occurrence, t.Comma);
  }

  /** Runs a rule; after a mistake in it, goes on at the next of `stops` or before the bracket that closes around it. */
  private attempt<T>(rule: () => T, stops: readonly TokenType[], fallback: (span: Span) => T): T {
    const first = this.LA(1);
    const depth = this.around();
    const { expressions, alternatives, blocks } = this;
    try {
      return rule();
    } catch (error) {
      if (!isRecognitionException(error as Error)) throw error;
      this.expressions = expressions;
      this.alternatives = alternatives;
      this.blocks = blocks;
      this.skip(stops, depth);
      return fallback(this.LA(1) === first ? { file: this.reading.file, start: first.startOffset, end: first.startOffset } : this.from(first));
    }
  }

  private skip(stops: readonly TokenType[], depth: number): void {
    for (let next = this.LA(1); next.tokenType !== EOF; next = this.SKIP_TOKEN()) {
      if (next.payload < depth || (next.payload === depth && stops.includes(next.tokenType))) return;
    }
  }

  /** The number of brackets around the next token. */
  private around(): number {
    const next = this.LA(1);
    if (next.tokenType === EOF) return 0;
    const closes = next.tokenType === t.CloseBrace || next.tokenType === t.CloseParen || next.tokenType === t.CloseSquare;
    return Number(next.payload) + (closes ? 1 : 0);
  }

  private namedWithEquals(name: IToken, equals: IToken): void {
    this.ACTION(() => this.reading.report({ code: 'syntax.assignment', message: `named arguments are written \`${name.image}: …\``, span: this.at(equals), help: 'write `:` for `=`' }));
  }

  private alternative(first: IToken): Statement {
    this.ACTION(() => this.limit(first));
    this.alternatives++;
    const statement = this.SUBRULE(this.ifStatement);
    this.alternatives--;
    return statement;
  }

  /** Blocks, `else if` and expressions count together: what matters is the depth of the stack. */
  private limit(at: IToken): void {
    if (this.expressions + this.alternatives + this.blocks <= deepest) return;
    this.reading.report({ code: 'syntax.depth', message: `this is nested too deeply (the limit is ${deepest})`, span: this.at(at), help: 'bind parts of it to names' });
    throw new MismatchedTokenException('reported', at, at);
  }

  private fail(message: string): never {
    const diagnostic = mistake(this.reading.file, message, this.LA(1), this.LA(0));
    if (this.LA(1).tokenType !== t.Assign) this.reading.report(diagnostic);
    else this.reading.report({ ...diagnostic, code: 'syntax.assignment', help: '`=` binds a name at the beginning of a line; `==` compares' });
    throw new MismatchedTokenException('reported', this.LA(1), this.LA(0));
  }

  private prefix(parts: Part[], token: IToken, operator: '-' | 'not'): void {
    this.ACTION(() => parts.push({ kind: 'prefix', operator, span: this.at(token) }));
  }

  private dtype(token: IToken): DType {
    const known = dtypes.find(dtype => dtype === token.image);
    if (known !== undefined) return known;
    const near = foreignTypes[token.image] ?? suggest(token.image, dtypes);
    this.reading.report({ code: 'syntax.type', message: `\`${token.image}\` is not a type`, span: this.at(token),
      help: near === null ? `the types are ${dtypes.map(dtype => `\`${dtype}\``).join(', ')}` : `did you mean \`${near}\`?` });
    return 'f32';
  }

  private name = (token: IToken): Name => ({ text: token.image, span: this.at(token) });

  private at = (token: IToken): Span => this.ACTION(() => tokenSpan(this.reading.file, token));

  /** From a token to the last one read. */
  private from(first: IToken): Span {
    return this.ACTION(() => ({ file: this.reading.file, start: first.startOffset, end: tokenEnd(this.LA(0)) }));
  }

  private missing = (span: Span): Expression => ({ kind: 'missing', span });

  /** The `///` lines directly above a definition. */
  private doc(first: IToken): string {
    return this.ACTION(() => {
      const { comments, file } = this.reading;
      let low = 0;
      for (let high = comments.length; low < high;) {
        const middle = (low + high) >> 1;
        if (comments[middle]!.startOffset < first.startOffset) low = middle + 1;
        else high = middle;
      }
      const lines: string[] = [];
      for (let line = first.startLine! - 1, i = low - 1; i >= 0; i--, line--) {
        const comment = comments[i]!;
        const before = file.text.slice(comment.startOffset - comment.startColumn! + 1, comment.startOffset);
        if (comment.startLine !== line || !comment.image.startsWith('///') || before.trim() !== '') break;
        lines.unshift(comment.image.slice(3).replace(/^ /, '').trimEnd());
      }
      return lines.join('\n');
    });
  }
}

const foreignTypes: Readonly<Record<string, DType | undefined>> = {
  float: 'f32', float32: 'f32', f64: 'f32', float16: 'f16', half: 'f16', bfloat16: 'bf16',
  int: 'i32', int32: 'i32', i64: 'i32', byte: 'u8', uint8: 'u8', boolean: 'bool',
};

const numberValue = (text: string): number => Number(text.replaceAll('_', ''));

/** The characters that a literal stands for; an unterminated one has no closing quote. */
function stringValue(literal: string): string {
  const inner = literal.slice(1, literal.length > 1 && literal.endsWith('"') ? -1 : undefined);
  return inner.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}
