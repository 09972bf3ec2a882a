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
  const numbers = new Float32Array(view.byteLength / 2);
  for (let k = 0; k < numbers.length; k++) {
    // a loop: `from` takes four times as long
    const bits = bytes.getUint16(2 * k, true);
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    numbers[k] =
      (bits >> 15 ? -1 : 1) *
      (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  }
  return numbers;
};

// The tensors of a safetensors file in half precision: { name: { shape, floats } }.
export const tensorsOf = (view) => {
  const length = Number(view.getBigUint64(0, true));
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const read = ([
    name,
    {
      shape,
      data_offsets: [from, end],
    },
  ]) => {
    const floats = halvesOf(bytes.subarray(8 + length + from, 8 + length + end));
    return [name, { shape, floats }];
  };
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(read),
  );
};
