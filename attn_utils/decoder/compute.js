// Two GRU encoder–decoders read a date and write it anew, one with attention and one without, in
// double precision. AlignmentExplorer.reference computes the same in torch.
import { gruStep, linear, softmaxInto } from "../widgets/kit/math.js";

export const STEPS = 10; // characters of a date such as 2019-03-03

// The characters of a text that the models know, in small letters.
const readable = (text, known) =>
  [...text.toLowerCase()].filter((character) => known.includes(character));

// The two models from one buffer: `_shapes` holds [name, ...sizes] in the buffer's order. A model
// is its parameters, by their names in the state_dict.
const modelsOf = ({ _floats, _shapes }) => {
  const models = { attention: {}, fixed: {} };
  let at = 0;
  for (const [path, ...sizes] of _shapes) {
    const [kind, ...name] = path.split(".");
    const count = sizes.reduce((a, b) => a * b, 1);
    models[kind][name.join(".")] = _floats.subarray(at, at + count);
    at += count;
  }
  return models;
};

const GRU_PARTS = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
const gruOf = (model, path, suffix) =>
  Object.fromEntries(GRU_PARTS.map((part) => [part, model[`${path}.${part}_l0${suffix}`]]));

// Row i of an embedding that feeds a GRU: as long as the GRU's inputs.
const embeddingOf = (model, path, gru, i) => {
  const width = gru.weight_ih.length / gru.bias_ih.length;
  return model[`${path}.embedding.weight`].subarray(i * width, (i + 1) * width);
};

const joinedVectors = (a, b) => {
  const both = new Float64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

const indexOfLargest = (numbers) =>
  numbers.reduce((top, number, i) => (number > numbers[top] ? i : top), 0);

// The states of both directions side by side, a row for each token, and the two last ones.
const encode = (model, tokens) => {
  const forward = statesOf(model, "", tokens);
  const backward = statesOf(model, "_reverse", tokens.toReversed()).toReversed();
  const hidden = forward[0].length;
  const rows = new Float64Array(tokens.length * 2 * hidden);
  forward.forEach((state, s) => {
    rows.set(joinedVectors(state, backward[s]), s * 2 * hidden);
  });
  return { rows, summary: joinedVectors(forward.at(-1), backward[0]) };
};

const statesOf = (model, suffix, tokens) => {
  const gru = gruOf(model, "encoder.gru", suffix);
  let state = new Float64Array(gru.bias_hh.length / 3);
  return tokens.map((token) => {
    state = gruStep(gru, embeddingOf(model, "encoder", gru, token), state);
    return state;
  });
};

// Additive attention of one state: Σ_k w_v[k] · tanh(q[k] + keys[s][k]), its softmax over s, and
// the mean of the rows under it.
const lookAt = (model, keys, rows, state) => {
  const w = model["decoder.attention.w_v.weight"];
  const q = linear(state, 1, model["decoder.attention.W_q.weight"]);
  const weights = new Float64Array(keys.length / q.length);
  for (let s = 0; s < weights.length; s++)
    for (let k = 0; k < q.length; k++)
      weights[s] += w[k] * Math.tanh(q[k] + keys[s * q.length + k]);
  softmaxInto(weights, weights);
  const width = rows.length / weights.length;
  const context = new Float64Array(width);
  for (let s = 0; s < weights.length; s++)
    for (let k = 0; k < width; k++) context[k] += weights[s] * rows[s * width + k];
  return { weights, context };
};

// Greedy decoding: the logits (10 × classes), their softmax, the classes that are written, and
// with attention the weights (10 × S). Tokens count from 1; without any, nothing is written.
const decode = (model, tokens) => {
  const [S, classes] = [tokens.length, model["decoder.output.bias"].length];
  const hasAttention = "decoder.attention.w_v.weight" in model;
  const result = {
    logits: new Float64Array(STEPS * classes),
    probabilities: new Float64Array(STEPS * classes),
    weights: new Float64Array(hasAttention ? STEPS * S : 0),
    written: [],
  };
  if (!S) return result;
  const layer = (name, x, rows = 1) =>
    linear(x, rows, model[`decoder.${name}.weight`], model[`decoder.${name}.bias`]);
  const gru = gruOf(model, "decoder.gru", "");
  const { rows, summary } = encode(model, tokens);
  const keys = hasAttention ? layer("attention.W_k", rows, S) : null;
  let state = layer("first_state", summary).map(Math.tanh);
  let previous = classes; // the start token
  for (let t = 0; t < STEPS; t++) {
    state = gruStep(gru, embeddingOf(model, "decoder", gru, previous), state);
    let context = summary;
    if (hasAttention) {
      const look = lookAt(model, keys, rows, state);
      result.weights.set(look.weights, t * S);
      context = look.context;
    }
    const combined = layer("combine", joinedVectors(state, context)).map(Math.tanh);
    const logits = layer("output", combined);
    result.logits.set(logits, t * classes);
    softmaxInto(result.logits, result.probabilities, t * classes, classes);
    previous = indexOfLargest(logits);
    result.written.push(previous);
  }
  return result;
};

// The characters that are read, and what both models make of them.
export const readText = (state) => {
  const models = modelsOf(state);
  const known = state._characters[0];
  const read = readable(state.text, known);
  const tokens = read.map((character) => known.indexOf(character) + 1);
  return { read, own: decode(models.attention, tokens), fixedOne: decode(models.fixed, tokens) };
};

export const resultsOf = ({ own, fixedOne }) => ({
  weights: own.weights,
  logits: own.logits,
  probabilities: own.probabilities,
  fixed_logits: fixedOne.logits,
  fixed_probabilities: fixedOne.probabilities,
});

export const compute = (state) => resultsOf(readText(state));
