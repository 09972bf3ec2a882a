// Building elements. Text always goes in as text: nothing that a user passes is read as HTML.
export const setAll = (node, properties) => {
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && !(node instanceof SVGElement)) node[name] = value;
    else node.setAttribute(name, value);
  }
  return node;
};
export const element = (tag, properties = {}, ...children) => {
  const node = setAll(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
export const svg = (tag, attributes = {}, ...children) => {
  const node = setAll(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
  node.append(...children);
  return node;
};
export const freshId = (() => {
  let count = 0; // one counter per joined module; the prefix keeps modules of one page apart
  const prefix = Math.random().toString(36).slice(2, 8);
  return () => `aw-${prefix}-${++count}`;
})();

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const fixed = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits) : "–");

// A finger that starts here drags and does not scroll: inside an SVG, touch-action alone is not
// enough.
export const holdTouch = (node) =>
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });

// One call per animation frame, however many events ask for it.
export const oncePerFrame = (run) => {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      run();
    });
  };
};
