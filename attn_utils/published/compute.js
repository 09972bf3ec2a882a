// The model in plain JavaScript: the maps of all passes and heads, as ReactionReader computes them.
import { addTo, attention, gelu, layerNorm, linear } from "../widgets/kit/math.js";

export const PASSES = 12;
export const HEADS = 8;
const EPS = 1e-12;

// The tensors of a file as tensorsOf (kit/buffers.js) reads it, in the precision of the sums: else
// each product of matrices would convert all its numbers anew.
export const inDoubles = (tensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { floats }]) => [name, Float64Array.from(floats)]),
  );

// A run over the tokens `ids`: first the embedding, then `nextPass` twelve times. Its `maps` hold
// passes × heads × tokens × tokens weights.
export const startRun = (tensors, ids) => {
  const n = ids.length;
  return {
    tensors,
    tokens: n,
    passed: 0,
    x: embed(tensors, ids),
    maps: new Float32Array(PASSES * HEADS * n * n),
  };
};

const layer = (tensors, name) => [tensors[`${name}.weight`], tensors[`${name}.bias`]];

const embed = (tensors, ids) => {
  const { "embedding.weight": symbols, "positions.weight": positions } = tensors;
  const width = tensors["norm.bias"].length;
  const x = new Float64Array(ids.length * width);
  ids.forEach((id, i) => {
    for (let k = 0; k < width; k++)
      x[i * width + k] = symbols[id * width + k] + positions[i * width + k];
  });
  const normed = layerNorm(x, ids.length, ...layer(tensors, "norm"), EPS);
  return linear(normed, ids.length, ...layer(tensors, "widen"));
};

// x ← block(x), post-norm. The same block in every pass; behind the last one nobody reads x.
export const nextPass = (run) => {
  const { tensors, tokens, x } = run;
  const of = (name) => layer(tensors, `block.${name}`);
  const [q, k, v] = ["W_q", "W_k", "W_v"].map((name) => linear(x, tokens, ...of(`attn.${name}`)));
  const heard = attention(q, k, v, { queries: tokens, keys: tokens, heads: HEADS });
  run.maps.set(heard.weights, run.passed * heard.weights.length);
  run.passed += 1;
  if (run.passed === PASSES) return;
  const mixed = linear(heard.output, tokens, ...of("attn.W_o"));
  addTo(mixed, x);
  const y = layerNorm(mixed, tokens, ...of("norm1"), EPS);
  const hidden = linear(y, tokens, ...of("mlp.fc1")).map(gelu);
  const out = linear(hidden, tokens, ...of("mlp.fc2"));
  addTo(out, y);
  run.x = layerNorm(out, tokens, ...of("norm2"), EPS);
};

// One head's map, tokens × tokens; passes and heads count from 1.
export const mapOf = ({ maps, tokens }, pass, head) => {
  const from = ((pass - 1) * HEADS + head - 1) * tokens * tokens;
  return maps.subarray(from, from + tokens * tokens);
};
