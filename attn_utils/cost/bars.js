import { element } from "../widgets/kit/dom.js";
import { GIB, sum } from "./compute.js";
import { grouped, inBytes, inFlop, perByte } from "./words.js";

// The parts of the block as a table with bars, and the memory as bars against that of the device.
const PARTS = ["projections", "scores", "softmax", "weighted sum", "output", "MLP"];
const COLUMNS = ["part", "operations", "bytes moved", "FLOP per byte"];

const meter = () => {
  const fill = element("span", { className: "aw-fill" });
  const groove = element("span", { className: "aw-groove", ariaHidden: "true" }, fill);
  const show = (share) => {
    fill.style.width = `${100 * Math.min(1, share)}%`;
  };
  return { groove, show };
};

// A cell with a number and its bar.
const meterCell = (className, inWords) => {
  const { groove, show } = meter();
  const number = element("span");
  return {
    node: element("td", { className }, number, groove),
    draw(value, largest) {
      show(value / largest);
      number.textContent = inWords(value);
    },
  };
};

const partRow = (name) => {
  const flopsCell = meterCell("aw-flops", inFlop);
  const movedCell = meterCell("aw-moved", inBytes);
  const ratio = element("td", { className: "aw-ratio" });
  const head = element("th", { scope: "row", textContent: name });
  return {
    node: element("tr", {}, head, flopsCell.node, movedCell.node, ratio),
    draw(flops, moved, most) {
      flopsCell.draw(flops, most.flops);
      movedCell.draw(moved, most.moved);
      ratio.textContent = perByte(flops, moved);
    },
  };
};

const totalRow = () => {
  const cells = [0, 1, 2].map(() => element("td"));
  const head = element("th", { scope: "row", textContent: "together" });
  return {
    node: element("tr", { className: "aw-total" }, head, ...cells),
    draw(flops, moved) {
      const texts = [inFlop(flops), inBytes(moved), perByte(flops, moved)];
      for (const [i, text] of texts.entries()) cells[i].textContent = text;
    },
  };
};

export const partTable = () => {
  const rows = PARTS.map(partRow);
  const total = totalRow();
  const head = COLUMNS.map((textContent) => element("th", { scope: "col", textContent }));
  return {
    node: element(
      "table",
      { className: "aw-parts" },
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map(({ node }) => node), total.node),
    ),
    draw({ now: { flops, moved } }) {
      const most = { flops: Math.max(...flops), moved: Math.max(...moved) };
      for (const [i, row] of rows.entries()) row.draw(flops[i], moved[i], most);
      total.draw(sum(flops), sum(moved));
    },
  };
};

const memoryRow = (name) => {
  const { groove, show } = meter();
  const words = element("span", { className: "aw-number" });
  const node = element("li", {}, element("span", { textContent: name }), groove, words);
  return {
    node,
    draw(bytes, budget, isChosen) {
      const fits = bytes <= budget;
      show(bytes / budget);
      node.classList.toggle("aw-over", !fits);
      node.classList.toggle("aw-chosen", isChosen);
      words.textContent = fits ? inBytes(bytes) : `${inBytes(bytes)}, does not fit`;
    },
  };
};

export const memoryBars = () => {
  const kernels = ["explicit", "fused"];
  const rows = kernels.map(memoryRow);
  const caption = element("p", { className: "aw-hint" });
  const list = element("ul", {}, ...rows.map(({ node }) => node));
  return {
    node: element("div", { className: "aw-memory" }, caption, list),
    draw({ now, state: { memory, kernel } }) {
      const device = `${grouped(memory)} GiB`;
      caption.textContent = `Memory of q, k, v and the attention between them, of ${device}:`;
      for (const [i, row] of rows.entries())
        row.draw(now.peak[i], memory * GIB, kernel === kernels[i]);
    },
  };
};
