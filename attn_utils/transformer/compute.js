// What the model makes of a text: what comes next, where its heads look, how well it predicted.
// LiveWriter.reference computes the same with the model in torch.
import { softmaxInto } from "../widgets/kit/math.js";
import { read } from "./reader.js";

// The characters of the text that the model reads, as its numbers, and their places in the text.
// When the context is full, the older half is forgotten, as if the text had been written letter by
// letter.
export const windowOf = ({ text, _letters, _sizes }) => {
  const context = _sizes[2];
  const places = [];
  const tokens = [];
  Array.from(text).forEach((letter, place) => {
    const token = _letters.indexOf(letter);
    if (token < 0) return;
    tokens.push(token);
    places.push(place);
  });
  const forgotten = Math.floor(context / 2) + 1; // each time
  const first = forgotten * Math.max(0, Math.ceil((tokens.length - context) / forgotten));
  return { tokens: tokens.slice(first), places: places.slice(first) };
};

export const orderOf = (logits) => [...logits.keys()].sort((a, b) => logits[b] - logits[a]);

// softmax(logits / temperature), restricted to the top k and then to the top p.
export const distribution = (logits, { temperature, top_k, top_p }) => {
  const probabilities = new Float64Array(logits.length);
  const order = orderOf(logits);
  if (!order.length) return probabilities;
  if (!temperature) {
    probabilities[order[0]] = 1;
    return probabilities;
  }
  const border = logits[order[top_k - 1]];
  softmaxInto(
    logits.map((z) => (z < border ? -Infinity : z / temperature)),
    probabilities,
  );
  let [before, total] = [0, 0];
  for (const i of order) {
    const share = probabilities[i];
    if (before >= top_p) probabilities[i] = 0;
    before += share;
    total += probabilities[i];
  }
  return probabilities.map((p) => p / total);
};

// −ln p of each letter of the window but the first.
const lossesOf = (logits, tokens) =>
  Float64Array.from(tokens.slice(1), (token, i) => {
    const probabilities = softmaxInto(logits[i], new Float64Array(logits[i].length));
    return -Math.log(probabilities[token]);
  });

export const askingIn = (count, back) => Math.max(0, count - 1 - back);

export const predict = (state) => {
  const { reader, back } = state;
  const { tokens } = windowOf(state);
  read(reader, tokens);
  const asking = askingIn(tokens.length, back);
  const logits = tokens.length ? Float64Array.from(reader.logits[asking]) : new Float64Array(0);
  const weights = tokens.length ? reader.blocks.flatMap((b) => Array.from(b.weights[asking])) : [];
  return {
    logits,
    probabilities: distribution(logits, state),
    weights,
    losses: lossesOf(reader.logits, tokens),
  };
};
