// Lines of equal value through a grid of numbers, as an SVG path.

// In the cell between four neighbours a straight piece joins the two places where the level is
// crossed; each side is [from, to, y, x, dy, dx], clockwise from the upper left corner.
const pieceIn = ([a, b, c, e], level, toPoint) => {
  const sides = [
    [a, b, 0, 0, 0, 1],
    [b, c, 0, 1, 1, 0],
    [c, e, 1, 1, 0, -1],
    [e, a, 1, 0, -1, 0],
  ];
  let [d, pen] = ["", "M"];
  for (const [from, to, y, x, dy, dx] of sides) {
    if (from < level === to < level) continue;
    const t = (level - from) / (to - from);
    d += pen + toPoint(y + t * dy, x + t * dx);
    pen = pen === "M" ? "L" : "M";
  }
  return d;
};

// `toPoint(row, column)` writes a place of the grid as "x,y".
export const contours = (values, grid, levels, toPoint) => {
  let d = "";
  for (let i = 0; i + 1 < grid; i++)
    for (let j = 0; j + 1 < grid; j++) {
      const k = i * grid + j;
      const [a, b, c, e] = [values[k], values[k + 1], values[k + grid + 1], values[k + grid]];
      const [low, high] = [Math.min(a, b, c, e), Math.max(a, b, c, e)];
      for (const level of levels)
        if (level > low && level <= high)
          d += pieceIn([a, b, c, e], level, (y, x) => toPoint(i + y, j + x));
    }
  return d;
};
