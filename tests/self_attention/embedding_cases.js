// What test_compute.py calls: the tokens' vectors.
import { embed, tokensOf } from "../../attn_utils/self_attention/embedding.js";

export const compute = ({ words, _worked: worked }) => ({
  inputs: embed(tokensOf(words), worked),
});
