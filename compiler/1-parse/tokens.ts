/**
 * The token vocabulary of nabla. Reserved words are tokens of their own; words that matter only in some places (`input`, `loss`,
 * `data`, …) are tokens of the category `Name`, so that the grammar takes them wherever a name may stand.
 */
import { createToken, Lexer } from 'chevrotain';
import type { TokenType } from 'chevrotain';

export const Name = createToken({ name: 'Name', pattern: /[A-Za-z_]\w*/, label: 'a name' });

/** Every infix operator but `|>` and `? :`; `operators.ts` sorts them by precedence. */
export const Infix = createToken({ name: 'Infix', pattern: Lexer.NA, label: 'an operator' });

const reserved = (word: string, categories: TokenType[] = []): TokenType =>
  createToken({ name: `word ${word}`, pattern: word, longer_alt: Name, label: `\`${word}\``, categories });

const soft = (word: string): TokenType => reserved(word, [Name]);

const symbol = (text: string, categories: TokenType[] = []): TokenType =>
  createToken({ name: `symbol ${text}`, pattern: text, label: `\`${text}\``, categories });

export const Model = reserved('model');
export const Layer = reserved('layer');
export const Fn = reserved('fn');
export const Optimizer = reserved('optimizer');
export const If = reserved('if');
export const Else = reserved('else');
export const For = reserved('for');
export const In = reserved('in');
export const Return = reserved('return');
export const Scan = reserved('scan');
export const Yield = reserved('yield');
export const Where = reserved('where');
export const Import = reserved('import');
export const And = reserved('and', [Infix]);
export const Or = reserved('or', [Infix]);
export const Not = reserved('not');
export const True = reserved('true');
export const False = reserved('false');

export const Data = soft('data');
export const Train = soft('train');
export const Generate = soft('generate');
export const Input = soft('input');
export const Param = soft('param');
export const State = soft('state');
export const Loss = soft('loss');
export const Metric = soft('metric');
export const Output = soft('output');
export const Freeze = soft('freeze');
export const Except = soft('except');
export const Derivative = soft('derivative');
export const Along = soft('along');
export const Reversed = soft('reversed');
export const From = soft('from');
export const As = soft('as');

/** Words among the values of a setting, as in `checkpoint every 100 steps keep 3`; elsewhere they are names. */
export const SettingWord = createToken({ name: 'SettingWord', pattern: /(?:every|keep|over|with|epochs|steps|patience)\b/, longer_alt: Name, categories: [Name] });

/** Words that begin an item. */
export const itemWords: ReadonlySet<TokenType> = new Set([Model, Layer, Fn, Optimizer, Import]);
/** Words that begin an item or a statement and are never part of an expression. */
export const statementWords: ReadonlySet<TokenType> = new Set([...itemWords, If, For, Return, Where, Yield]);
/** Words that begin a statement when a name follows. */
export const declarationWords: ReadonlySet<TokenType> = new Set([Param, State, Input, Loss, Metric, Output, Freeze]);

export const Ellipsis = symbol('...');
export const Range = symbol('..');
export const Dot = symbol('.');
export const Comma = symbol(',');
export const Colon = symbol(':');
export const Semicolon = symbol(';');
export const Question = symbol('?');
export const Pipe = symbol('|>');
export const Arrow = symbol('->');
export const Update = symbol('<-');
export const Assign = symbol('=');
export const OpenParen = symbol('(');
export const CloseParen = symbol(')');
export const OpenSquare = symbol('[');
export const CloseSquare = symbol(']');
export const OpenBrace = symbol('{');
export const CloseBrace = symbol('}');
export const Minus = symbol('-', [Infix]);
export const Power = symbol('**', [Infix]);
const Star = symbol('*', [Infix]);
const otherInfix = ['==', '!=', '<=', '>=', '<', '>', '+', '/', '%', '@'].map(text => symbol(text, [Infix]));

/** `encoder.*`, `*.bias`: at most 32 parts, so that a long chain of members costs the lexer linear time. */
export const Pattern = createToken({
  name: 'Pattern',
  pattern: /(?:[A-Za-z_]\w*(?:\.\w+){0,32}\.\*|\*\.\w+)(?:\.(?:\w+|\*)){0,32}/,
  label: 'a pattern such as `encoder.*`',
});

/** `512MB`: a number and a unit without a space. The look-ahead keeps `1e-3` a number. */
export const Quantity = createToken({
  name: 'Quantity',
  pattern: /\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?(?![eE][+-]?\d)[A-Za-z]\w*/,
  label: 'a quantity such as `512MB`',
});
export const NumberLiteral = createToken({ name: 'Number', pattern: /\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?/, label: 'a number' });
export const Text = createToken({ name: 'String', pattern: /"[^"\\\n\r]*(?:\\[^\n\r][^"\\\n\r]*)*"/, label: 'a string in double quotes' });
export const OpenText = createToken({ name: 'unterminated string', pattern: /"[^"\n\r]*/ });

/** Spellings of other languages. `lex.ts` reports each and puts the token it stands for in its place. */
export const Foreign = createToken({
  name: 'Foreign',
  pattern: /&&|\|\||=>|===|!==|:=|(?:[+*\/%@^]|\*\*)=(?!=)|-=(?!=)|[\^~]|!(?!=)|'(?:[^'\\\n\r]|\\[^\n\r]){0,1000}'/,
});
export const ForeignComment = createToken({ name: 'foreign comment', pattern: /#[^\n\r]*|\/\*[^\n\r]*/ });

export const Comment = createToken({ name: 'Comment', pattern: /\/\/[^\n\r]*/, group: 'comments' });
export const Newline = createToken({ name: 'Newline', pattern: /\r?\n/, label: 'the end of the line', line_breaks: true });
const Blank = createToken({ name: 'Blank', pattern: /[ \t\r\f\uFEFF\u00A0]+/, group: Lexer.SKIPPED });

/** In the lexer's order: longer spellings before their beginnings (`input` before `in`, `<-` before `<`). */
export const vocabulary: readonly TokenType[] = [
  Blank, Newline, Comment, ForeignComment,
  Pattern, Quantity, NumberLiteral, Text, OpenText,
  Data, Train, Generate, Input, Param, State, Loss, Metric, Output, Freeze, Except, Derivative, Along, Reversed, From, As, SettingWord,
  Model, Layer, Fn, Optimizer, If, Else, For, In, Return, Where, Scan, Yield, Import, And, Or, Not, True, False,
  Name,
  Foreign,
  Ellipsis, Range, Dot, Comma, Colon, Semicolon, Question, Pipe, Arrow, Update,
  Power, Star, Minus, ...otherInfix, Assign,
  OpenParen, CloseParen, OpenSquare, CloseSquare, OpenBrace, CloseBrace,
  Infix,
];
