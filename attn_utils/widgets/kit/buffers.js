// Tensors travel as little-endian float32 bytes: a DataView here, a NumPy array in Python.
export const floatsOf = (view) => {
  if (!view || !view.byteLength) return new Float32Array(0);
  const buffer = view.buffer ?? view;
  const offset = view.byteOffset ?? 0;
  return offset % 4 // a message's buffers need not be aligned
    ? new Float32Array(buffer.slice(offset, offset + view.byteLength))
    : new Float32Array(buffer, offset, view.byteLength / 4);
};
export const viewOf = (numbers) => new DataView(Float32Array.from(numbers).buffer);

// Numbers in half precision: a sign, 5 bits of exponent, 10 of fraction.
export const halvesOf = (view) => {
  const bytes = new DataView(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  return Float32Array.from({ length: view.byteLength / 2 }, (_, k) => {
    const bits = bytes.getUint16(2 * k, true);
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    return (
      (bits >> 15 ? -1 : 1) *
      (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction)
    );
  });
};
