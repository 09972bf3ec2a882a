import { clamp } from "./dom.js";

// Colours come from CSS variables (kit.css), which follow the page's or JupyterLab's theme.
export const cssColour = (node, name) => {
  const text = getComputedStyle(node).getPropertyValue(name).trim();
  const hex = text.match(/^#([0-9a-f]{6})$/i);
  if (!hex) throw new Error(`${name} should be #rrggbb, is "${text}"`);
  return [0, 2, 4].map((at) => parseInt(hex[1].slice(at, at + 2), 16));
};

// 256 colours from light to strong as little-endian RGBA words, ready for ImageData.
const rampThrough = (stops) =>
  Uint32Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (stops.length - 1);
    const k = Math.min(stops.length - 2, Math.floor(at));
    const [r, g, b] = [0, 1, 2].map((c) =>
      Math.round(stops[k][c] + (at - k) * (stops[k + 1][c] - stops[k][c])),
    );
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });

const rampOfVariables = (node, name, count) =>
  rampThrough(Array.from({ length: count }, (_, i) => cssColour(node, `--aw-${name}-${i}`)));
export const colourRamp = (node) => rampOfVariables(node, "ramp", 4);

// Weights from 0 to 1 as colours of texts and their grounds.
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

// For signed numbers: from strong negative by way of the neutral middle to strong positive.
export const signedRamp = (node) => rampOfVariables(node, "signed", 5);

export const onThemeChange = (run, signal) => {
  const observer = new MutationObserver(run);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  observer.observe(document.body, {
    attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"],
  });
  signal?.addEventListener("abort", () => observer.disconnect());
};
