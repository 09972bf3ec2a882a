// Weights as colours: on the characters read, on the cells of the alignment, and their key.
import { clamp, element } from "../widgets/kit/dom.js";
import { colourRamp } from "../widgets/kit/theme.js";

const hexOf = (word) => {
  const bytes = [0, 8, 16].map((shift) => (word >>> shift) & 255);
  return `#${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
};

export const shadesOf = (box) => {
  const ramp = colourRamp(box);
  const texts = Array.from(ramp, hexOf);
  return {
    ramp,
    of: (weight) => texts[clamp(weight * 255, 0, 255) | 0],
    // letters on a shade: whichever of the ramp's ends is farther away
    inkOn: (weight) => texts[weight > 0.5 ? 0 : 255],
  };
};

export const colourKey = () => {
  const bar = element("canvas", { width: 256, height: 1 });
  const text = "1 · columns: characters read (keys), rows: characters written (queries)";
  const ends = ["weight 0", text].map((textContent) => element("span", { textContent }));
  const properties = { className: "aw-al-key", ariaHidden: "true" };
  return {
    node: element("div", properties, ends[0], bar, ends[1]),
    draw({ ramp }) {
      const context = bar.getContext("2d");
      const strip = context.createImageData(256, 1);
      new Uint32Array(strip.data.buffer).set(ramp);
      context.putImageData(strip, 0, 0);
    },
  };
};
