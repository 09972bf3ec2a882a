// Tensors travel as little-endian float32 bytes: a DataView here, a NumPy array in Python.
const floatsOf = (view) => {
  if (!view || !view.byteLength) return new Float32Array(0);
  const buffer = view.buffer ?? view;
  const offset = view.byteOffset ?? 0;
  return offset % 4 // a message's buffers need not be aligned
    ? new Float32Array(buffer.slice(offset, offset + view.byteLength))
    : new Float32Array(buffer, offset, view.byteLength / 4);
};
const viewOf = (numbers) => new DataView(Float32Array.from(numbers).buffer);
