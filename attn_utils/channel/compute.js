import { sigmoid } from "../widgets/kit/math.js";

// The gate lab's arithmetic: the mean of each channel, SE or ECA over the means, the gates, and
// what they let through. In double precision, so that it equals torch's.
export const CHANNELS = 8;
export const SIDE = 8;
export const PIXELS = SIDE * SIDE;

// Which patch a channel shows. The patches stand in a ring: patch 0, the digit, in channel `where`.
export const patchOf = (channel, where) => (channel - (where - 1) + CHANNELS) % CHANNELS;

// The image as the block sees it; `pixels` has a hexadecimal figure for each, in fifteenths.
export const imageOf = ({ pixels, where, volumes }) =>
  Float64Array.from({ length: CHANNELS * PIXELS }, (_, at) => {
    const channel = Math.floor(at / PIXELS);
    const figure = pixels[patchOf(channel, where) * PIXELS + (at % PIXELS)];
    return (parseInt(figure, 16) / 15) * volumes[channel];
  });

// SE has two matrices, each with a line of eight numbers for each hidden unit; ECA has one kernel.
export const weightsOf = ({ block, reduction, kernel, _se, _eca }) => {
  if (block === "SE") return new Map(_se).get(reduction);
  return block === "ECA" ? [new Map(_eca).get(kernel)] : [];
};

const meansOf = (image) =>
  Float64Array.from({ length: CHANNELS }, (_, c) => {
    const channel = image.subarray(c * PIXELS, (c + 1) * PIXELS);
    return channel.reduce((sum, value) => sum + value, 0) / PIXELS;
  });

const squeezeAndExcite = (means, [first, second]) => {
  const hidden = Float64Array.from({ length: first.length / CHANNELS }, (_, h) =>
    Math.max(
      0,
      means.reduce((sum, mean, c) => sum + first[h * CHANNELS + c] * mean, 0),
    ),
  );
  const gates = means.map((_, c) =>
    sigmoid(hidden.reduce((sum, unit, h) => sum + unit * second[h * CHANNELS + c], 0)),
  );
  return { hidden, gates };
};

// Beyond the first and the last channel there are zeros.
const convolve = (means, [kernel]) => {
  const half = kernel.length >> 1;
  const gates = means.map((_, c) =>
    sigmoid(kernel.reduce((sum, weight, j) => sum + weight * (means[c + j - half] ?? 0), 0)),
  );
  return { hidden: new Float64Array(0), gates };
};

export const compute = (state) => {
  const image = imageOf(state);
  const means = meansOf(image);
  const open = { hidden: new Float64Array(0), gates: new Float64Array(CHANNELS).fill(1) };
  const answer = { SE: squeezeAndExcite, ECA: convolve }[state.block];
  const { hidden, gates } = answer ? answer(means, weightsOf(state)) : open;
  const output = image.map((value, at) => value * gates[Math.floor(at / PIXELS)]);
  return { means, hidden, gates, output };
};
