// A written reaction as the widget keeps it: tokens for the model, molecules to draw.
import { moleculesOf } from "./molecule.js";
import { Fault, tokensOf } from "./tokens.js";

export const readReaction = (text, vocabulary, examples) => {
  const { symbols, tokens, ids } = tokensOf(text, vocabulary);
  const arrow = symbols.findIndex((symbol) => symbol.text === ">>");
  // token 0 is [CLS], so symbol k is token k + 1
  const reactants = moleculesOf(symbols.slice(0, arrow), 1);
  const product = moleculesOf(symbols.slice(arrow + 1), arrow + 2);
  if (!reactants.atoms.length) throw new Fault("There is no atom before “>>”.");
  if (!product.atoms.length) throw new Fault("There is no atom behind “>>”.");
  const truth = examples.find(([, reaction]) => reaction === text)?.[2] ?? null;
  return { text, tokens, ids, reactants, product, arrow: arrow + 1, truth };
};
