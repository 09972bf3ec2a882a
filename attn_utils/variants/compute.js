// A language model of two layers whose attention can be changed: fewer heads of keys and values,
// windows, a first word that is always seen, words fetched by an indexer, capped scores.
// VariantLab.reference computes the same in torch.
import {
  addTo,
  frequenciesOf,
  gelu,
  layerNorm,
  linear,
  softmaxInto,
  turnRows,
} from "../widgets/kit/math.js";

const EPSILON = 1e-5; // nn.LayerNorm's
const BYTES = 2; // of a number in half precision
const NEARER = 1e-6; // what a word less of distance counts, to an indexer
const ROTARY_BASE = 10000;

// The parameters by their names, with their sizes: `_floats` holds one after the other.
const tensorsIn = ({ _floats, _shapes }) => {
  const tensors = {};
  let at = 0;
  for (const [name, ...shape] of _shapes) {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors[name] = _floats.subarray(at, at + count);
    at += count;
  }
  return tensors;
};

// The mean of each group of heads, as attn_utils.with_kv_heads makes it.
const meanOfGroups = (weight, heads, groups) => {
  const [count, size] = [heads / groups, weight.length / heads];
  return Float64Array.from({ length: groups * size }, (_, at) => {
    const from = Math.floor(at / size) * count * size + (at % size);
    let sum = 0;
    for (let h = 0; h < count; h++) sum += weight[from + h * size] - weight[from];
    return weight[from] + sum / count;
  });
};

// What the controls make of the models that there are: parameters by name, without the prefix.
const modelOf = (state) => {
  const tensors = tensorsIn(state);
  const [heads] = state._sizes;
  const groups = Number(state.kv_heads);
  const own = state.trained ? groups : heads;
  const of = (name) => tensors[`${own}.model.${name}`];
  const layerOf = (l) => {
    const part = (name) => of(`blocks.${l}.${name}.weight`);
    const pair = (name) => [part(name), of(`blocks.${l}.${name}.bias`)];
    const shared = (name) => (own > groups ? meanOfGroups(part(name), heads, groups) : part(name));
    return {
      ...{ norm1: pair("norm1"), norm2: pair("norm2"), fc1: pair("mlp.fc1"), fc2: pair("mlp.fc2") },
      ...{ q: part("attn.W_q"), k: shared("attn.W_k"), v: shared("attn.W_v") },
      o: part("attn.W_o"),
    };
  };
  return {
    ...{ heads, groups, layers: [layerOf(0), layerOf(1)] },
    embedding: of("embedding.weight"),
    norm: [of("norm.weight"), of("norm.bias")],
    head: [of("head.weight"), of("head.bias")],
    indexer: ["W_q", "W_k"].map((name) => tensors[`${own}.indexer.${name}.weight`]),
  };
};

// 1 where word i may attend to word j: within the window, or to the first word.
const maskOf = (rows, window, first) => {
  const mask = new Uint8Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    for (let j = Math.max(0, i - window + 1); j <= i; j++) mask[i * rows + j] = 1;
    if (first) mask[i * rows] = 1;
  }
  return mask;
};

// Adds to each row of the mask the hidden words with the best scores of the indexer.
const fetchInto = (mask, x, rows, [queries, keys], count) => {
  const [q, k] = [linear(x, rows, queries), linear(x, rows, keys)];
  const d = q.length / rows;
  const scoreOf = (i, j) => {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += q[i * d + c] * k[j * d + c];
    return sum / Math.sqrt(d) - NEARER * (i - j);
  };
  for (let i = 0; i < rows; i++) {
    const hidden = [];
    for (let j = 0; j < i; j++) if (!mask[i * rows + j]) hidden.push([scoreOf(i, j), j]);
    hidden.sort((a, b) => b[0] - a[0]);
    for (const [, j] of hidden.slice(0, count)) mask[i * rows + j] = 1;
  }
};

// Attention under a mask. The heads of a group meet the same keys and values. Gives the output, a
// row for each word, and writes the weights of the heads (heads, rows, rows) into `weights`.
const attendUnder = (mask, { q, k, v, rows, heads, groups, cap }, weights) => {
  const width = q.length / rows;
  const [d, shared] = [width / heads, k.length / rows];
  const output = new Float64Array(q.length);
  const scores = new Float64Array(rows);
  const scale = 1 / Math.sqrt(d);
  for (let h = 0; h < heads; h++) {
    const column = Math.floor((h * groups) / heads) * d;
    for (let i = 0; i < rows; i++) {
      const seen = [];
      const from = i * width + h * d;
      for (let j = 0; j <= i; j++) {
        if (!mask[i * rows + j]) continue;
        let score = 0;
        for (let c = 0, b = j * shared + column; c < d; c++) score += q[from + c] * k[b + c];
        score *= scale;
        scores[seen.length] = cap ? cap * Math.tanh(score / cap) : score;
        seen.push(j);
      }
      softmaxInto(scores, scores, 0, seen.length);
      for (let n = 0; n < seen.length; n++) {
        weights[(h * rows + i) * rows + seen[n]] = scores[n];
        for (let c = 0, b = seen[n] * shared + column; c < d; c++)
          output[from + c] += scores[n] * v[b + c];
      }
    }
  }
  return output;
};

// Runs the model on the text without its last word: logits, weights and masks.
const runModel = (model, state, text) => {
  const { heads, groups, embedding, layers } = model;
  const rows = text.length - 1;
  const width = model.norm[0].length;
  const x = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++)
    x.set(embedding.subarray(text[i] * width, (text[i] + 1) * width), i * width);
  const weights = new Float64Array(layers.length * heads * rows * rows);
  const allowed = new Uint8Array(layers.length * rows * rows);
  const omega = frequenciesOf(ROTARY_BASE, width / heads);
  const cap = state.cap === "off" ? 0 : Number(state.cap);
  layers.forEach((layer, l) => {
    const h = layerNorm(x, rows, ...layer.norm1, EPSILON);
    const mask = maskOf(rows, l ? state.window2 : state.window1, state.first);
    if (l && state.fetched) fetchInto(mask, h, rows, model.indexer, state.fetched);
    allowed.set(mask, l * mask.length);
    const [q, k, v] = [layer.q, layer.k, layer.v].map((weight) => linear(h, rows, weight));
    turnRows(q, width, omega);
    turnRows(k, k.length / rows, omega);
    const parts = { q, k, v, rows, heads, groups, cap };
    const own = weights.subarray(l * heads * rows * rows, (l + 1) * heads * rows * rows);
    addTo(x, linear(attendUnder(mask, parts, own), rows, layer.o));
    const hidden = linear(layerNorm(x, rows, ...layer.norm2, EPSILON), rows, ...layer.fc1);
    addTo(x, linear(hidden.map(gelu), rows, ...layer.fc2));
  });
  const logits = linear(layerNorm(x, rows, ...model.norm, EPSILON), rows, ...model.head);
  return { logits, weights, allowed };
};

// −log of the probability of the word after each word.
const lossOf = (logits, text) => {
  const rows = text.length - 1;
  const words = logits.length / rows;
  const probabilities = new Float64Array(words);
  return Float64Array.from({ length: rows }, (_, i) => {
    softmaxInto(logits.subarray(i * words, (i + 1) * words), probabilities);
    return -Math.log(probabilities[text[i + 1]]);
  });
};

const meanAt = (numbers, places) => places.reduce((sum, i) => sum + numbers[i], 0) / places.length;

// Whether there is anything that the indexer could fetch for the last word.
export const isFetching = ({ fetched, window2, first }, rows) =>
  fetched > 0 && window2 < rows - Number(first);

// Bytes in the cache of each layer, and those that are read of it for the next word.
const cacheOf = (state, allowed, rows, word) => {
  const indexBytes = rows * state._sizes[1] * BYTES;
  const fetches = isFetching(state, rows);
  const [kept, read] = [[], []];
  for (let l = 0; l * rows * rows < allowed.length; l++) {
    const last = allowed.subarray(((l + 1) * rows - 1) * rows, (l + 1) * rows * rows);
    const seen = last.reduce((a, b) => a + b, 0);
    const index = l && fetches ? indexBytes : 0;
    kept.push((l && fetches ? rows : seen) * word + index);
    read.push(seen * word + index);
  }
  return { kept, read };
};

export const compute = (state) => {
  const model = modelOf(state);
  const which = Number(state.text) - 1;
  const text = state._texts[which];
  const rows = text.length - 1;
  const { logits, weights, allowed } = runModel(model, state, text);
  const loss = lossOf(logits, text);
  const total = [meanAt(loss, [...loss.keys()]), meanAt(loss, state._known[which])];
  const word = (2 * model.groups * model.norm[0].length * BYTES) / model.heads;
  return { loss, total, ...cacheOf(state, allowed, rows, word), weights, allowed };
};
