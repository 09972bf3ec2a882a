// Many texts for one reader, which keeps what they have in common, as it does while one types.
import { predict } from "../../attn_utils/transformer/compute.js";
import { readerOf } from "../../attn_utils/transformer/reader.js";

export const compute = ({ tensors, states, _letters, _sizes }) => {
  const reader = readerOf(tensors, _sizes);
  const all = { logits: [], probabilities: [], weights: [], losses: [] };
  for (const state of states) {
    const results = predict({ ...state, _letters, _sizes, reader });
    for (const [name, numbers] of Object.entries(results)) all[name].push(...numbers);
  }
  return all;
};
