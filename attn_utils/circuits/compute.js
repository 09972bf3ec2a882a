// A model of two layers of attention and nothing else, with heads that can be off and other keys
// for layer 2. CircuitBench.reference computes the same in torch.
import { attention, linear, softmaxInto } from "../widgets/kit/math.js";

export const LENGTH = 32; // of the text
export const HEADS = 4; // of each of two layers
const LETTERS = 26;
const CODE_OF_A = 97;

export const textOf = (pattern) => pattern.repeat(LENGTH).slice(0, LENGTH);

// The parameters by name, from one buffer.
const parametersOf = ({ _floats, _shapes }) => {
  let from = 0;
  return Object.fromEntries(
    _shapes.map(([name, ...shape]) => {
      const size = shape.reduce((product, length) => product * length);
      from += size;
      return [name, _floats.subarray(from - size, from)];
    }),
  );
};

const sumOf = (a, b) => a.map((number, k) => number + b[k]);

const embedded = ({ "embedding.weight": letters, "positions.weight": positions }, tokens, width) =>
  Float64Array.from(
    { length: tokens.length * width },
    (_, k) => letters[tokens[Math.floor(k / width)] * width + (k % width)] + positions[k],
  );

// What a layer adds to the stream, and its weights, (heads, T, T). `isOn` has a number per head.
const attended = (p, layer, [forQueries, forKeys, forValues], isOn) => {
  const part = (name) => p[`layers.${layer}.${name}.weight`];
  const q = linear(forQueries, LENGTH, part("W_q"));
  const k = linear(forKeys, LENGTH, part("W_k"));
  const v = linear(forValues, LENGTH, part("W_v"));
  const width = q.length / LENGTH;
  const joined = new Float64Array(q.length);
  const weights = new Float64Array(HEADS * LENGTH ** 2);
  for (let t = 0; t < LENGTH; t++) {
    const keys = t + 1; // nothing behind the query
    const end = keys * width;
    const seen = { queries: 1, keys, heads: HEADS };
    const row = attention(
      q.subarray(end - width, end),
      k.subarray(0, end),
      v.subarray(0, end),
      seen,
    );
    for (let h = 0; h < HEADS; h++)
      weights.set(row.weights.subarray(h * keys, (h + 1) * keys), (h * LENGTH + t) * LENGTH);
    for (let c = 0; c < width; c++)
      joined[t * width + c] = row.output[c] * isOn[Math.floor((c * HEADS) / width)];
  }
  return { output: linear(joined, LENGTH, part("W_o")), weights };
};

// What layer 2 makes its keys of, by the choice's name; `x` is the stream that it reads.
const streamForKeys = (choice, x, tokens, embed, throughFirst) => {
  if (choice === "without layer 1") return embed(tokens);
  if (choice === "from other letters")
    return throughFirst(tokens.map((letter) => (letter + 1) % LETTERS)).x;
  if (choice === "from one position earlier") {
    const width = x.length / LENGTH;
    const shifted = x.slice();
    shifted.set(x.subarray(0, x.length - width), width);
    return shifted;
  }
  return x;
};

export const compute = (state) => {
  const { pattern, heads, key_source } = state;
  const p = parametersOf(state);
  const width = p["layers.0.W_o.weight"].length ** 0.5;
  const tokens = Array.from(textOf(pattern), (letter) => letter.charCodeAt(0) - CODE_OF_A);
  const embed = (letters) => embedded(p, letters, width);
  const throughFirst = (letters) => {
    const start = embed(letters);
    const { output, weights } = attended(p, 0, [start, start, start], heads.slice(0, HEADS));
    return { x: sumOf(start, output), weights };
  };
  const first = throughFirst(tokens);
  const { x } = first;
  const forKeys = streamForKeys(key_source, x, tokens, embed, throughFirst);
  const second = attended(p, 1, [x, forKeys, x], heads.slice(HEADS));
  const probabilities = linear(sumOf(x, second.output), LENGTH, p["head.weight"]);
  const vocabulary = probabilities.length / LENGTH;
  for (let t = 0; t < LENGTH; t++)
    softmaxInto(probabilities, probabilities, t * vocabulary, vocabulary);
  const weights = new Float64Array(2 * HEADS * LENGTH ** 2);
  weights.set(first.weights);
  weights.set(second.weights, first.weights.length);
  const best = bestOf(probabilities);
  const asked = tokens.slice(pattern.length + 1); // those that follow a letter seen before
  const right = asked.filter((token, i) => best[pattern.length + i] === token).length;
  return { weights, probabilities, accuracy: [right / asked.length] };
};

// The likeliest token after each letter, the first one of a tie.
export const bestOf = (probabilities) => {
  const vocabulary = probabilities.length / LENGTH;
  return Array.from({ length: LENGTH }, (_, t) => {
    const row = probabilities.subarray(t * vocabulary, (t + 1) * vocabulary);
    return row.indexOf(Math.max(...row));
  });
};
