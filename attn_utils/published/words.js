// What the widget says about atoms and heads, for the status line and for screen readers.
import { fixed } from "../widgets/kit/dom.js";
import { labelOf } from "./drawing.js";
import { contradictionsIn, scoreOf } from "./mapping.js";

const atomIn = (molecules, k, side) =>
  `${labelOf(molecules.atoms[k])}, atom ${k + 1} of the ${side}`;

export const pointedAt = ({ product }, k) => atomIn(product, k, "product");

// "S, atom 4 of the product, comes from S, atom 4 of the reactants: 0.92."
export const originInWords = (shown, k, origin, row) => {
  const { product, reactants, tokens } = shown;
  const origins = atomIn(reactants, origin.atom, "reactants");
  const sentence = `${pointedAt(shown, k)}, comes from ${origins}: ${fixed(origin.weight)}.`;
  return [sentence, verdictOn(shown, k, origin), elsewhere(tokens, row, product.atoms[k], origin)]
    .filter((part) => part)
    .join(" ");
};

const verdictOn = ({ truth }, k, { atom }) => {
  const from = truth?.[k] ?? [];
  if (!from.length) return "";
  if (from.includes(atom)) return "This is right.";
  return `This is wrong: it comes from atom ${from.map((right) => right + 1).join(" or ")}.`;
};

// Where most of the attention goes if it does not go to an atom of the reactants.
const elsewhere = (tokens, row, { token }, { weight }) => {
  const top = row.indexOf(Math.max(...row));
  if (row[top] <= weight) return "";
  const name = top === token ? "the atom itself" : `${tokens[top]}, token ${top}`;
  return `More of its attention, ${fixed(row[top])}, goes to ${name}.`;
};

// What can be said about a head's whole map of this reaction.
export const summaryInWords = (shown, origins, { layer, head }) => {
  const who = `Pass ${layer}, head ${head}`;
  if (shown.truth) {
    const { right, known } = scoreOf(origins, shown.truth);
    return `${who}: ${right} of ${known} atoms come from where they should.`;
  }
  const { strange, doubled } = contradictionsIn(origins, shown);
  const faults = [
    strange.length && `${counted(strange.length)} from another element`,
    doubled.length && `${counted(doubled.length)} from where another comes from`,
  ].filter((fault) => fault);
  if (faults.length) return `${who} cannot be right: ${faults.join(", ")}.`;
  return `${who}: nothing speaks against this map, but nobody has checked it.`;
};

const counted = (count) => (count === 1 ? "1 atom comes" : `${count} atoms come`);

export const cellInWords = (tokens, query, key, weight) =>
  `${tokens[query]}, token ${query}, looks at ${tokens[key]}, token ${key}: ${fixed(weight)}`;
