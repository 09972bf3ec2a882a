// From a written reaction to the symbols that the model knows. A fault is said in a sentence.

const SYMBOL = /\[[^\]]+\]|Br?|Cl?|[NOSPFIbcnosp]|[().=#\-+\\/:~@?*$]|>>?|%[0-9]{2}|[0-9]/y;
const MOST_TOKENS = 512; // the model has no position for more

// A fault in what the reader wrote, in words for the reader.
export class Fault extends Error {}

// The symbols of a text, each with its place, counted from 1.
export const symbolsOf = (text) => {
  const symbols = [];
  let at = 0;
  while (at < text.length) {
    SYMBOL.lastIndex = at;
    const found = SYMBOL.exec(text);
    if (!found) throw new Fault(`${quoted(text[at])} at place ${at + 1} is no symbol of SMILES.`);
    symbols.push({ text: found[0], place: at + 1 });
    at += found[0].length;
  }
  return symbols;
};

const quoted = (text) => `“${text}”`;
export const named = ({ text, place }) => `${quoted(text)} at place ${place}`;

// What the model reads: its tokens, and their numbers in the vocabulary.
export const tokensOf = (text, vocabulary) => {
  const symbols = symbolsOf(text);
  const count = symbols.filter((symbol) => symbol.text === ">>").length;
  if (count !== 1)
    throw new Fault(
      `A reaction is written “reactants>>product”, with one “>>”; here are ${count}.`,
    );
  const number = new Map(vocabulary.map((token, k) => [token, k]));
  const unknown = symbols.find((symbol) => !number.has(symbol.text));
  if (unknown) throw new Fault(`The model does not know ${named(unknown)}.${hintFor(unknown)}`);
  const tokens = ["[CLS]", ...symbols.map((symbol) => symbol.text), "[SEP]"];
  if (tokens.length > MOST_TOKENS)
    throw new Fault(
      `The model reads at most ${MOST_TOKENS} tokens, with [CLS] and [SEP]; this reaction has ` +
        `${tokens.length}.`,
    );
  return { symbols, tokens, ids: tokens.map((token) => number.get(token)) };
};

const hintFor = ({ text }) => {
  if (/:\d+\]$/.test(text)) return " It was trained without the numbers behind a colon.";
  if (text === ">") return " Write the helpers in the middle among the reactants.";
  return "";
};
