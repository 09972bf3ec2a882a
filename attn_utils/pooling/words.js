// Numbers as text, and text about them.
import { clamp } from "../widgets/kit/dom.js";

export const short = (v) => {
  if (!Number.isFinite(v)) return "–";
  return Math.abs(v) >= 100 ? v.toFixed(0) : v.toPrecision(3);
};
// As many digits as a thousandth of the axis: what a drag can mean.
export const rounded = (v, { min, max }) => {
  const digits = 3 - Math.floor(Math.log10(max - min));
  return Number(clamp(v, min, max).toFixed(clamp(digits, 0, 12)));
};
