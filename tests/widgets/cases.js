// What the tests call of the kit's arithmetic, and what they check the calling itself with.
import { softmaxInto } from "../../attn_utils/widgets/kit/math.js";

export const compute = ({ scores, extremes = [], back = [] }) => ({
  softmax: softmaxInto(scores, new Float64Array(scores.length)),
  part: softmaxInto(scores, new Float64Array(scores.length), 1, scores.length - 1),
  extremes: extremes.map((numerator) => numerator / 0),
  back,
});
