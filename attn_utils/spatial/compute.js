import { sigmoid } from "../widgets/kit/math.js";

// CBAM's spatial gate over a scene that the reader rearranges: a small convolutional stem, the
// channel gate, mean and maximum over the channels, one more convolution. In double precision.
export const SIDE = 30; // pixels of the scene
export const BOX = 10; // pixels of an object
const KERNEL = 7; // of the spatial attention

// The objects on a background of faint noise.
export const sceneOf = ({ _noise, _objects, left, top }) => {
  const scene = Float64Array.from(_noise);
  for (const [n, x] of left.entries())
    for (let i = 0; i < BOX; i++)
      for (let j = 0; j < BOX; j++)
        scene[(top[n] + i) * SIDE + x + j] += _objects[(n * BOX + i) * BOX + j];
  return scene;
};

// Adds to `map`, side `to`, what one input channel brings through its kernel; zeros surround it.
const addConvolved = (map, to, input, side, kernel, size, stride) => {
  const half = (size - 1) / 2; // `size` is odd, so the middle stays in place
  for (let u = 0; u < size; u++)
    for (let v = 0; v < size; v++) {
      const weight = kernel[u * size + v];
      const first = Math.max(0, Math.ceil((half - v) / stride));
      for (let i = 0; i < to; i++) {
        const row = i * stride + u - half;
        if (row < 0 || row >= side) continue;
        const from = row * side + v - half;
        for (let j = first; j < to && j * stride + v - half < side; j++)
          map[i * to + j] += weight * input[from + j * stride];
      }
    }
};

// `x` has `channels` maps of side × side; `form` is as the stem's: how many maps come out, how
// many go in, kernel size, stride, whether what is negative becomes 0. Returns the maps and their
// side.
const convolve = (x, side, [out, channels, size, stride, relu], weight, bias = null) => {
  const to = Math.floor((side - 1) / stride) + 1;
  const y = new Float64Array(out * to * to);
  for (let o = 0; o < out; o++) {
    const map = y.subarray(o * to * to, (o + 1) * to * to).fill(bias ? bias[o] : 0);
    for (let c = 0; c < channels; c++) {
      const input = x.subarray(c * side * side, (c + 1) * side * side);
      const at = (o * channels + c) * size * size;
      addConvolved(map, to, input, side, weight.subarray(at, at + size * size), size, stride);
    }
  }
  return [relu ? y.map((value) => Math.max(0, value)) : y, to];
};

// All layers of the stem; `numbers` has the weights and then the biases of each.
const runStem = (scene, form, numbers) => {
  let [x, side, at] = [scene, SIDE, 0];
  for (const shape of form) {
    const [out, channels, size] = shape;
    const biases = at + out * channels * size * size;
    const end = biases + out;
    [x, side] = convolve(
      x,
      side,
      shape,
      numbers.subarray(at, biases),
      numbers.subarray(biases, end),
    );
    at = end;
  }
  return [x, side];
};

// One number for each channel, from its mean and its maximum through the same two layers.
const channelGate = (x, channels, hidden, [first, second]) => {
  const pixels = x.length / channels;
  const maps = Array.from({ length: channels }, (_, c) => x.subarray(c * pixels, (c + 1) * pixels));
  const means = maps.map((map) => map.reduce((sum, value) => sum + value, 0) / pixels);
  const maxima = maps.map((map) => map.reduce((most, value) => Math.max(most, value), -Infinity));
  const scores = new Float64Array(channels);
  for (const descriptor of [means, maxima])
    for (let h = 0; h < hidden; h++) {
      const unit = descriptor.reduce((sum, value, c) => sum + first[h * channels + c] * value, 0);
      if (unit > 0) for (let c = 0; c < channels; c++) scores[c] += second[c * hidden + h] * unit;
    }
  return scores.map(sigmoid);
};

// Mean and maximum over the channels, behind each other as one input of two maps.
const overChannels = (x, channels) => {
  const pixels = x.length / channels;
  const maps = new Float64Array(2 * pixels);
  for (let k = 0; k < pixels; k++) {
    let [sum, most] = [0, -Infinity];
    for (let c = 0; c < channels; c++) {
      sum += x[c * pixels + k];
      most = Math.max(most, x[c * pixels + k]);
    }
    maps[k] = sum / channels;
    maps[pixels + k] = most;
  }
  return maps;
};

// The middle `size` × `size` of both kernels.
const middleOf = (kernels, size) =>
  kernels.filter((_, k) => {
    const [row, column] = [Math.floor((k % KERNEL ** 2) / KERNEL), k % KERNEL];
    return [row, column].every((at) => Math.abs(at - (KERNEL - 1) / 2) <= (size - 1) / 2);
  });

// Where the gate of a pixel stands: each pixel has the gate of its cell.
export const cellOf = (row, column, side) =>
  Math.floor((row * side) / SIDE) * side + Math.floor((column * side) / SIDE);

// How much of the gate's sum over all pixels lies in the box at (left, top).
const shareIn = (gate, side, left, top) => {
  let [inside, all] = [0, 0];
  for (let i = 0; i < SIDE; i++)
    for (let j = 0; j < SIDE; j++) {
      const value = gate[cellOf(i, j, side)];
      all += value;
      if (i >= top && i < top + BOX && j >= left && j < left + BOX) inside += value;
    }
  return inside / all;
};

// `_gates` has the channel attention's two matrices, then the spatial attention's two kernels.
export const compute = (state) => {
  const { _form, _hidden, _stem, _gates, kernel, channel, left, top } = state;
  const [x, side] = runStem(sceneOf(state), _form, _stem);
  const channels = _form.at(-1)[0];
  const matrix = _hidden * channels;
  const layers = [_gates.subarray(0, matrix), _gates.subarray(matrix, 2 * matrix)];
  const byChannel = channel
    ? channelGate(x, channels, _hidden, layers)
    : new Float64Array(channels).fill(1);
  const pixels = side * side;
  const maps = overChannels(
    x.map((value, k) => value * byChannel[Math.floor(k / pixels)]),
    channels,
  );
  const size = Number(kernel);
  const kernels = middleOf(_gates.subarray(2 * matrix), size);
  const [scores] = convolve(maps, side, [1, 2, size, 1, false], kernels);
  const gate = scores.map(sigmoid);
  return {
    mean_map: maps.subarray(0, pixels),
    max_map: maps.subarray(pixels),
    gate,
    channel_gate: byChannel,
    share: [shareIn(gate, side, left[0], top[0])],
  };
};
