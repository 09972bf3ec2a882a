// The key of the colours on the characters read and on the cells of the alignment.
import { element } from "../widgets/kit/dom.js";

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
