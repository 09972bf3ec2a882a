// Counts in words: with thousands apart, or with three digits and a unit.
export const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const FLOP_UNITS = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"];

export const grouped = (count) => Math.round(count).toLocaleString("en-GB");

const inUnits = (count, base, units) => {
  let [value, k] = [count, 0];
  while (value >= base && k < units.length - 1) [value, k] = [value / base, k + 1];
  const isWhole = k === 0 && value === Math.round(value);
  return `${value >= 100 || isWhole ? value.toFixed(0) : value.toPrecision(3)} ${units[k]}`;
};
export const inFlop = (count) => inUnits(count, 1000, FLOP_UNITS);
export const inBytes = (count) => inUnits(count, 1024, BYTE_UNITS);

export const inTokens = (n) => {
  if (n < 1000) return String(n);
  return n < 1e6 ? `${n / 1000}k` : `${n / 1e6}M`;
};

// Two digits, but never an exponent.
export const perByte = (flops, bytes) => {
  if (!bytes) return "–";
  const text = (flops / bytes).toPrecision(2);
  return text.includes("e") ? grouped(flops / bytes) : text;
};

export const powerOfTen = (exponent) => {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = [...String(exponent)].map((c) => (c === "-" ? "⁻" : digits[c]));
  return `10${raised.join("")}`;
};
