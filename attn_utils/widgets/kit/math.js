// softmax of `scores[from … from + count)` into `weights` at the same place. Double precision
// inside, so that float32 results agree with torch to the last digit or two.
export const softmaxInto = (scores, weights, from = 0, count = scores.length) => {
  let top = -Infinity;
  for (let j = from; j < from + count; j++) if (scores[j] > top) top = scores[j];
  let total = 0;
  for (let j = from; j < from + count; j++) {
    weights[j] = Math.exp(scores[j] - top);
    total += weights[j];
  }
  for (let j = from; j < from + count; j++) weights[j] /= total;
  return weights;
};
