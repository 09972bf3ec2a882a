// What the model sees of a drawing, what it answers and where it looks. DigitReader.reference
// computes the same with the model in torch.
import { softmaxInto } from "../widgets/kit/math.js";
import { countsOf, DOTS, fitted, unpack } from "./ink.js";
import { rolloutOf, runVisionTransformer } from "./model.js";

export const compute = (state) => {
  const bits = unpack(state.drawing);
  const seen = countsOf(state.fit ? fitted(bits) : bits);
  const run = runVisionTransformer(
    state,
    seen.map((count) => count / DOTS ** 2),
  );
  const { logits, weights } = run;
  const probabilities = softmaxInto(logits, new Float64Array(logits.length));
  return { seen, logits, probabilities, weights, rollout: rolloutOf(run) };
};
