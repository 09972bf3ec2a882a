// What the tests call of the kit's layers, by name.
import {
  attention,
  gelu,
  gruStep,
  layerNorm,
  linear,
  sigmoid,
} from "../../attn_utils/widgets/kit/math.js";

export const compute = ({ layer, x, rows, weight, bias, ...rest }) => {
  switch (layer) {
    case "sigmoid":
      return { y: Float64Array.from(x, sigmoid) };
    case "gelu":
      return { y: Float64Array.from(x, gelu) };
    case "linear":
      return { y: linear(x, rows, weight, bias) };
    case "layerNorm":
      return { y: layerNorm(x, rows, weight, bias) };
    case "attention":
      return attention(rest.q, rest.k, rest.v, rest);
    case "gruStep":
      return { y: gruStep(rest, x, Float64Array.from(rest.h)) };
    default:
      throw new Error(`${layer}: no such layer`);
  }
};
