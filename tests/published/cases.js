// What the tests call of the reaction explorer's files. Text travels as its code points.
import { mapOf, nextPass, startRun } from "../../attn_utils/published/compute.js";
import { labelOf } from "../../attn_utils/published/drawing.js";
import { layOut } from "../../attn_utils/published/layout.js";
import { contradictionsIn, isBalanced, originsOf } from "../../attn_utils/published/mapping.js";
import { moleculesOf } from "../../attn_utils/published/molecule.js";
import { readReaction } from "../../attn_utils/published/reading.js";
import { Fault, symbolsOf } from "../../attn_utils/published/tokens.js";

const codes = (text) => Array.from(text, (character) => character.codePointAt(0));
const listed = (numbers) => Object.fromEntries(numbers.map((list, k) => [k, list]));

const faultOf = (text, vocabulary) => {
  try {
    readReaction(text, vocabulary, []);
    return "";
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.message;
  }
};

const CALLS = {
  maps: ({ tensors, runs }) =>
    listed(
      runs.map(({ ids, maps }) => {
        const run = startRun(tensors, ids);
        while (run.passed < Math.max(...maps.map(([layer]) => layer))) nextPass(run);
        return maps.flatMap(([layer, head]) => Array.from(mapOf(run, layer, head)));
      }),
    ),
  // atoms as written and their tokens, bonds with their orders, sizes of rings
  graph: ({ text }) => {
    const { atoms, bonds, rings } = moleculesOf(symbolsOf(text), 0);
    return {
      labels: codes(atoms.map(labelOf).join(" ")),
      tokens: atoms.map(({ token }) => token),
      bonds: bonds.flatMap(({ a, b, order }) => [a, b, order]),
      rings: rings.map((ring) => ring.length),
    };
  },
  places: ({ text, width }) => {
    const molecules = moleculesOf(symbolsOf(text), 0);
    const { places, ...size } = layOut(molecules, width);
    return {
      places: places.flatMap(({ x, y }) => [x, y]),
      bonds: molecules.bonds.flatMap(({ a, b }) => [a, b]),
      size: [size.width, size.height],
    };
  },
  fault: ({ text, vocabulary }) => ({ message: codes(faultOf(text, vocabulary)) }),
  // `weights` from the product's atoms, in rows, to the reactants'
  origins: ({ text, vocabulary, weights }) => {
    const shown = readReaction(text, vocabulary, []);
    const [columns, n] = [shown.reactants.atoms, shown.tokens.length];
    const map = new Float32Array(n * n);
    shown.product.atoms.forEach(({ token }, k) => {
      columns.forEach((atom, r) => {
        map[token * n + atom.token] = weights[k * columns.length + r];
      });
    });
    const origins = originsOf(map, n, shown);
    return {
      atoms: origins.map(({ atom }) => atom),
      ...contradictionsIn(origins, shown),
      balanced: [Number(isBalanced(shown))],
    };
  },
};

export const compute = ({ call, ...state }) => CALLS[call](state);
