// A language model in plain JavaScript: attn_utils.LanguageModel with its cache of keys and values.
// Sums are in double precision.
import {
  addTo,
  attention,
  frequenciesOf,
  gelu,
  layerNorm,
  linear,
  turnRows,
} from "../widgets/kit/math.js";

const EPSILON = 1e-5; // nn.LayerNorm's

// A model that remembers what it has read. `tensors` are its parameters by name (tensorsOf).
export const readerOf = (tensors, [depth, heads, context]) => {
  const of = (name) => tensors[name]?.floats ?? null;
  const [vocabulary, width] = tensors["embedding.weight"].shape;
  const layer = (name) => [of(`${name}.weight`), of(`${name}.bias`)];
  const blocks = Array.from({ length: depth }, (_, l) => ({
    norms: [layer(`blocks.${l}.norm1`), layer(`blocks.${l}.norm2`)],
    parts: ["q", "k", "v", "o"].map((part) => layer(`blocks.${l}.attn.W_${part}`)),
    network: [layer(`blocks.${l}.mlp.fc1`), layer(`blocks.${l}.mlp.fc2`)],
    keys: new Float64Array(context * width),
    values: new Float64Array(context * width),
    weights: [], // for each position (heads, position + 1)
  }));
  const ends = { embedding: of("embedding.weight"), norm: layer("norm"), head: layer("head") };
  const omega = frequenciesOf(10000, width / heads);
  const sizes = { width, heads, vocabulary, omega };
  return { ...ends, blocks, sizes, tokens: [], logits: [] };
};

// Reads the tokens (at most as many as the cache holds). What they have in common with those read
// before, from the beginning, is kept. Gives the number of tokens that had to be read.
export const read = (reader, tokens) => {
  let kept = 0;
  while (kept < tokens.length && tokens[kept] === reader.tokens[kept]) kept++;
  const fresh = tokens.slice(kept);
  if (fresh.length) extend(reader, fresh, kept);
  reader.tokens = fresh.length ? tokens : reader.tokens; // what lies behind stays right
  return fresh.length;
};

const extend = (reader, tokens, past) => {
  const { blocks, embedding, norm, head, sizes } = reader;
  const { width, vocabulary } = sizes;
  const rows = tokens.length;
  const x = new Float64Array(rows * width);
  tokens.forEach((token, i) => {
    x.set(embedding.subarray(token * width, (token + 1) * width), i * width);
  });
  for (const block of blocks) {
    const [norm1, norm2] = block.norms;
    const [fc1, fc2] = block.network;
    addTo(x, lookBack(block, layerNorm(x, rows, ...norm1, EPSILON), past, sizes));
    const hidden = linear(layerNorm(x, rows, ...norm2, EPSILON), rows, ...fc1).map(gelu);
    addTo(x, linear(hidden, rows, ...fc2));
  }
  const logits = linear(layerNorm(x, rows, ...norm, EPSILON), rows, ...head);
  for (let i = 0; i < rows; i++)
    reader.logits[past + i] = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
};

// Causal attention of the new rows: their keys and values go behind the cached ones.
const lookBack = (block, x, past, { width, heads, omega }) => {
  const rows = x.length / width;
  const [q, k, v] = block.parts.slice(0, 3).map((part) => linear(x, rows, ...part));
  turnRows(q, width, omega, past);
  turnRows(k, width, omega, past);
  block.keys.set(k, past * width);
  block.values.set(v, past * width);
  const output = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) {
    const keys = past + i + 1;
    const seen = [block.keys, block.values].map((kept) => kept.subarray(0, keys * width));
    const row = q.subarray(i * width, (i + 1) * width);
    const heard = attention(row, ...seen, { queries: 1, keys, heads });
    output.set(heard.output, i * width);
    block.weights[past + i] = heard.weights;
  }
  return linear(output, rows, ...block.parts[3]);
};
