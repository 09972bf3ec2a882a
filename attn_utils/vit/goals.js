import { spreadOf } from "./compute.js";

// What to find out with the patch explorer. Goals look at the state, the attention and the reading.
const showsOneHead = ({ state }) => state.view === "one head";
const showsWholeRollout = ({ state, attention }) =>
  state.view === "rollout" && state.layer === attention.L;

// Of a row: at least half on one other token; spread over nine tenths of all tokens.
const isElsewhere = (row, token) => row.some((weight, t) => t !== token && weight >= 0.5);
const isEverywhere = (row) => spreadOf(row) >= 0.9 * row.length;

// Rows of all images, layers and heads of a model, to see what there is to be found.
const rowsOf = ({ data: { _weights }, attention: { T } }) =>
  Array.from({ length: _weights.length / T }, (_, k) => _weights.subarray(k * T, (k + 1) * T));

const goalsOfModel = (view) => {
  const rows = rowsOf(view);
  const goals = [
    {
      text: "Let the class token ask, and show its rollout through all layers.",
      reached: () => view.token < view.attention.P && showsWholeRollout(view),
    },
  ];
  if (rows.some((row, k) => isElsewhere(row, k % row.length)))
    goals.push({
      text: "Find a head that puts at least half of its attention on one other token.",
      reached: () => showsOneHead(view) && isElsewhere(view.now.row, view.token),
    });
  if (rows.some(isEverywhere))
    goals.push({
      text: "Find a head that looks almost everywhere: spread over nine tenths of the tokens.",
      reached: () => showsOneHead(view) && isEverywhere(view.now.row),
    });
  return goals;
};

// Whether the asking patch has moved since the fourth head, which does not ask, was first shown.
const movesUnderFourthHead = (view) => {
  let first = null;
  return () => {
    if (!showsOneHead(view) || view.state.head !== 4) first = null;
    else first ??= view.token;
    return first !== null && first !== view.token;
  };
};

const goalsOfPhotographs = (view) => [
  {
    text: "Cut the image so that fewer than 60 tokens are left.",
    reached: () => view.now.counts[0] < 60,
  },
  {
    text: "Choose patches so small that one head needs more than 60,000 weights.",
    reached: () => view.now.counts[4] > 60000,
  },
  {
    text: "Find the head that does not care who asks: move the asking patch, and its map stays.",
    reached: movesUnderFourthHead(view),
  },
  {
    text: "With patches of 16, spread one row over more than 150 patches.",
    reached: () => view.attention.size === 16 && view.now.patches_used[0] > 150,
  },
  {
    text:
      "Show a rollout through all three layers in which the asking patch keeps " +
      "less than a fifth.",
    reached: () =>
      showsWholeRollout(view) && view.attention.rows > 2 && view.now.row[view.token] < 0.2,
  },
];

// Only what is left to find in the state that the page opens with.
export const goalsOf = (view) => {
  const goals = view.isTrained ? goalsOfModel(view) : goalsOfPhotographs(view);
  return goals.filter((goal) => !goal.reached());
};
