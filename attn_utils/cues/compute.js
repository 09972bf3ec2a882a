// The arithmetic of the cue explorer (CueExplorer.reference computes the same in torch).
import { softmaxInto } from "../widgets/kit/math.js";

// How many of the asked-for properties a thing has: the dot product q · k_i.
const matchOf = (asked, key) => key.filter((property, n) => property === asked[n]).length;

export const meanUnder = (weights, values) =>
  weights.reduce((sum, weight, i) => sum + weight * values[i], 0);

// The match of each thing, and its score g_s s + g_q q · k.
// A thing is (name, use, colour, shape, …).
export const scoresOf = ({
  use,
  colour,
  shape,
  salience_gain: salienceGain,
  query_gain: queryGain,
  salience,
  _things: things,
}) => {
  const asked = [use, colour, shape];
  const matches = things.map((thing) => matchOf(asked, thing.slice(1, 4)));
  const scores = Float64Array.from(
    matches,
    (match, i) => salienceGain * salience[i] + queryGain * match,
  );
  return { matches, scores };
};

// α = softmax of the scores.
export const compute = (state) => {
  const { scores } = scoresOf(state);
  return { weights: softmaxInto(scores, new Float64Array(scores.length)) };
};
