import { gelu, layerNorm, linear, softmaxInto } from "../widgets/kit/math.js";

// A small Vision Transformer in plain JavaScript: the forward pass of attn_utils.VisionTransformer,
// with all its attention weights, and the rollout. Sums are in double precision, so that the
// results agree with torch's float32 to five digits and more.

const addTo = (x, y) => {
  for (let k = 0; k < y.length; k++) x[k] += y[k];
};

// Multi-head attention of all tokens; `qkv` holds their queries, keys and values side by side. The
// weights, (heads, tokens, tokens), go into `weights` from `at` on; what comes back is not projected yet.
const attend = (qkv, tokens, heads, weights, at) => {
  const width = qkv.length / tokens / 3;
  const d = width / heads;
  const out = new Float64Array(tokens * width);
  const scores = new Float64Array(tokens);
  const row = new Float64Array(tokens);
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < tokens; i++) {
      const q = i * 3 * width + h * d;
      for (let j = 0; j < tokens; j++) {
        let sum = 0;
        for (let c = 0, k = j * 3 * width + width + h * d; c < d; c++)
          sum += qkv[q + c] * qkv[k + c];
        scores[j] = sum / Math.sqrt(d);
      }
      softmaxInto(scores, row);
      weights.set(row, at + (h * tokens + i) * tokens);
      for (let j = 0; j < tokens; j++)
        for (let c = 0, v = j * 3 * width + 2 * width + h * d; c < d; c++)
          out[i * width + h * d + c] += row[j] * qkv[v + c];
    }
  return out;
};

// `floats` holds the parameters one after the other, `shapes` their names and shapes as in the
// state_dict. The model that comes back maps an image, row by row, to logits and weights.
export const openVisionTransformer = (floats, shapes, heads) => {
  const p = {};
  let at = 0;
  for (const [name, ...shape] of shapes)
    p[name] = floats.subarray(at, (at += shape.reduce((a, b) => a * b, 1)));
  const shapeOf = Object.fromEntries(shapes.map(([name, ...shape]) => [name, shape]));
  const [, , high, wide] = shapeOf["patch_embed.proj.weight"];
  const [, tokens, width] = shapeOf.pos_embed;
  const layers = shapes.filter(([name]) => /^blocks\.\d+\.norm1\.weight$/.test(name)).length;

  const run = (image, size) => {
    const [across, patches] = [size / wide, tokens - 1];
    const pixels = new Float64Array(patches * high * wide); // a row for each patch
    for (let n = 0, k = 0; n < patches; n++)
      for (let r = 0; r < high; r++)
        for (let c = 0; c < wide; c++)
          pixels[k++] = image[(Math.floor(n / across) * high + r) * size + (n % across) * wide + c];
    let x = new Float64Array(tokens * width);
    x.set(p.cls_token);
    x.set(linear(pixels, patches, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"]), width);
    addTo(x, p.pos_embed);
    const weights = new Float64Array(layers * heads * tokens * tokens);
    for (let l = 0; l < layers; l++) {
      const of = (name) => [p[`blocks.${l}.${name}.weight`], p[`blocks.${l}.${name}.bias`]];
      const qkv = linear(layerNorm(x, tokens, ...of("norm1")), tokens, ...of("attn.qkv"));
      let heard = attend(qkv, tokens, heads, weights, l * heads * tokens * tokens);
      let rows = tokens;
      if (l === layers - 1) [x, heard, rows] = [x.slice(0, width), heard.slice(0, width), 1]; // only the class token is read
      addTo(x, linear(heard, rows, ...of("attn.proj")));
      const hidden = linear(layerNorm(x, rows, ...of("norm2")), rows, ...of("mlp.fc1")).map(gelu);
      addTo(x, linear(hidden, rows, ...of("mlp.fc2")));
    }
    const logits = linear(
      layerNorm(x, 1, p["norm.weight"], p["norm.bias"]),
      1,
      p["head.weight"],
      p["head.bias"],
    );
    return { logits, weights };
  };
  return { run, layers, heads, tokens };
};

// Attention rollout: the mean over the heads, half of it replaced by the identity for the residual
// branch, and the product over the layers, the last one on the left.
export const rolloutOf = (weights, { layers, heads, tokens }) => {
  const square = tokens * tokens;
  let product = Float64Array.from({ length: square }, (_, k) => (k % (tokens + 1) === 0 ? 1 : 0));
  for (let l = 0; l < layers; l++) {
    const next = new Float64Array(square);
    for (let i = 0; i < tokens; i++)
      for (let j = 0; j < tokens; j++) {
        let share = i === j ? 0.5 : 0;
        for (let h = 0; h < heads; h++)
          share += weights[(l * heads + h) * square + i * tokens + j] / (2 * heads);
        for (let k = 0; k < tokens; k++) next[i * tokens + k] += share * product[j * tokens + k];
      }
    product = next;
  }
  return product;
};
