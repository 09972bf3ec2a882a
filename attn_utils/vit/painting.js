import { clamp, element } from "../widgets/kit/dom.js";
import { cssColour } from "../widgets/kit/theme.js";

// Patches on canvases: the image with gaps between them, and weights as colours.

// `values` from `from` on, one for each patch, as cells of a small canvas.
export const paintCells = (canvas, { rows, columns, ramp }, values, from, top) => {
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const cells = context.createImageData(columns, rows);
  const words = new Uint32Array(cells.data.buffer);
  for (let k = 0; k < words.length; k++)
    words[k] = ramp[clamp((255 * values[from + k]) / top, 0, 255) | 0];
  context.putImageData(cells, 0, 0);
};

const imageOfPixels = (pixels, width, height) => {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let k = 0; k < width * height; k++)
    image.data.set([pixels[3 * k], pixels[3 * k + 1], pixels[3 * k + 2], 255], 4 * k);
  context.putImageData(image, 0, 0);
  return canvas;
};

export const paintPatches = (canvas, pixels, [height, width], { rows, columns }) => {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = width > 40; // pixels of a digit are to be seen
  context.imageSmoothingQuality = "high";
  context.drawImage(imageOfPixels(pixels, width, height), 0, 0, canvas.width, canvas.height);
  context.fillStyle = `rgb(${cssColour(canvas, "--aw-gap")})`;
  const gap = rows > 10 ? 2 : 4;
  const even = (at) => 2 * Math.round(at / 2); // whole pixels of the page
  for (let i = 1; i < rows; i++)
    context.fillRect(0, even((i * canvas.height) / rows), canvas.width, gap);
  for (let j = 1; j < columns; j++)
    context.fillRect(even((j * canvas.width) / columns), 0, gap, canvas.height);
};

// Colours from none to the largest weight that is shown.
export const colourScale = () => {
  const [high, low] = [element("span"), element("span")];
  const bar = element("canvas", { width: 1, height: 256, className: "aw-colourbar" });
  return {
    node: element("div", { className: "aw-scale", ariaHidden: "true" }, high, bar, low),
    paint(ramp) {
      const context = bar.getContext("2d");
      const strip = context.createImageData(1, 256);
      new Uint32Array(strip.data.buffer).set(ramp.toReversed());
      context.putImageData(strip, 0, 0);
    },
    label(from, to) {
      [low.textContent, high.textContent] = [from, to];
    },
  };
};
