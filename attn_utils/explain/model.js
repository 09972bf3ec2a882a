// A small Vision Transformer in plain JavaScript: the forward pass of attn_utils.VisionTransformer,
// with all its attention weights, and the rollout. Sums are in double precision, so that the
// results agree with torch's float32 to five digits and more.
import { addTo, attention, gelu, layerNorm, linear } from "../widgets/kit/math.js";

// `_floats` holds the parameters one after the other, `_shapes` their names and shapes as in the
// state_dict.
const parametersOf = ({ _floats, _shapes }) => {
  const parameters = {};
  let at = 0;
  for (const [name, ...shape] of _shapes) {
    const count = shape.reduce((a, b) => a * b, 1);
    parameters[name] = _floats.subarray(at, at + count);
    at += count;
  }
  return parameters;
};

// Columns [from, from + count) of x, which has rows of `width`.
const columnsOf = (x, width, from, count) => {
  const part = new Float64Array((x.length / width) * count);
  for (let i = 0; i * width < x.length; i++)
    part.set(x.subarray(i * width + from, i * width + from + count), i * count);
  return part;
};

// A row of pixels for each patch of a square image with `size` pixels a side.
const patchesOf = (image, size, high, wide) => {
  const across = size / wide;
  const pixels = new Float64Array(image.length);
  for (let at = 0; at < image.length; at++) {
    const [n, k] = [Math.floor(at / (high * wide)), at % (high * wide)];
    const row = Math.floor(n / across) * high + Math.floor(k / wide);
    pixels[at] = image[row * size + (n % across) * wide + (k % wide)];
  }
  return pixels;
};

const embed = (p, shapes, image) => {
  const [, , high, wide] = shapes["patch_embed.proj.weight"];
  const [, tokens, width] = shapes.pos_embed;
  const pixels = patchesOf(image, Math.sqrt(image.length), high, wide);
  const { "patch_embed.proj.weight": weight, "patch_embed.proj.bias": bias } = p;
  const x = new Float64Array(tokens * width);
  x.set(p.cls_token);
  x.set(linear(pixels, tokens - 1, weight, bias), width);
  addTo(x, p.pos_embed);
  return x;
};

// Runs the model on an image, row by row: its logits, and its weights (layers, heads, S, S).
export const runVisionTransformer = (model, image) => {
  const p = parametersOf(model);
  const shapes = Object.fromEntries(model._shapes.map(([name, ...shape]) => [name, shape]));
  const [, tokens, width] = shapes.pos_embed;
  const heads = model._sizes[2];
  const layers = Object.keys(p).filter((name) => /^blocks\.\d+\.norm1\.weight$/.test(name)).length;
  const weights = new Float64Array(layers * heads * tokens * tokens);
  let x = embed(p, shapes, image);
  for (let l = 0; l < layers; l++) {
    const of = (name) => [p[`blocks.${l}.${name}.weight`], p[`blocks.${l}.${name}.bias`]];
    const qkv = linear(layerNorm(x, tokens, ...of("norm1")), tokens, ...of("attn.qkv"));
    const [q, k, v] = [0, 1, 2].map((part) => columnsOf(qkv, 3 * width, part * width, width));
    const heard = attention(q, k, v, { queries: tokens, keys: tokens, heads });
    weights.set(heard.weights, l * heard.weights.length);
    // behind the last layer only the class token is read
    const rows = l === layers - 1 ? 1 : tokens;
    x = x.slice(0, rows * width);
    addTo(x, linear(heard.output.subarray(0, rows * width), rows, ...of("attn.proj")));
    const hidden = linear(layerNorm(x, rows, ...of("norm2")), rows, ...of("mlp.fc1")).map(gelu);
    addTo(x, linear(hidden, rows, ...of("mlp.fc2")));
  }
  const last = layerNorm(x, 1, p["norm.weight"], p["norm.bias"]);
  return { logits: linear(last, 1, p["head.weight"], p["head.bias"]), weights, tokens, heads };
};

// Attention rollout: the mean over the heads, half of it replaced by the identity for the residual
// branch, and the product over the layers, the last one on the left.
export const rolloutOf = ({ weights, tokens, heads }) => {
  const square = tokens * tokens;
  let product = Float64Array.from({ length: square }, (_, k) => (k % (tokens + 1) ? 0 : 1));
  for (let from = 0; from < weights.length; from += heads * square) {
    const next = new Float64Array(square);
    for (let i = 0; i < tokens; i++)
      for (let j = 0; j < tokens; j++) {
        let share = i === j ? 0.5 : 0;
        for (let h = 0; h < heads; h++)
          share += weights[from + h * square + i * tokens + j] / (2 * heads);
        for (let k = 0; k < tokens; k++) next[i * tokens + k] += share * product[j * tokens + k];
      }
    product = next;
  }
  return product;
};
