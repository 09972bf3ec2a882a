// What the heads answer. The task's logits are linear in them, so they follow the faders at once:
// logits = bias + Σ_h fader_h · contribution_h. HeadExplorer.reference is the same in torch.

const logitsOf = ({ _shape, _contributions, _bias, faders }) => {
  const [N, H, , , C] = _shape;
  const logits = new Float64Array(N * C);
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++) {
      let sum = _bias[c];
      for (let h = 0; h < H; h++) sum += faders[h] * _contributions[(n * H + h) * C + c];
      logits[n * C + c] = sum;
    }
  return logits;
};

// The class of the largest logit of each example, the first one of a tie.
const answersOf = (logits, C) =>
  Array.from({ length: logits.length / C }, (_, n) => {
    let best = 0;
    for (let c = 1; c < C; c++) if (logits[n * C + c] > logits[n * C + best]) best = c;
    return best;
  });

export const compute = (state) => {
  const logits = logitsOf(state);
  const predicted = answersOf(logits, state._shape[4]);
  const right = predicted.filter((answer, n) => answer === state._labels[n]).length;
  return { logits, predicted, accuracy: [right / predicted.length] };
};

// What the heads can do without each other, with all faders at 1 but for some: the goals are those
// that the data allow.
export const studyOf = (data) => {
  const heads = Array.from({ length: data._shape[1] }, (_, h) => h);
  const answered = (faderOf) => compute({ ...data, faders: heads.map(faderOf) });
  const accuracyOf = (faderOf) => answered(faderOf).accuracy[0];
  const all = answered(() => 1);
  const isRight = (n) => all.predicted[n] === data._labels[n];
  const breaks = (answers) => answers.some((answer, n) => isRight(n) && answer !== data._labels[n]);
  const pairs = heads.flatMap((a) => heads.slice(a + 1).map((b) => [a, b]));
  return {
    accuracy: all.accuracy[0],
    isRight,
    withoutOne: heads.map((muted) => accuracyOf((h) => (h === muted ? 0 : 1))),
    withTwo:
      heads.length > 2 ? pairs.map((two) => accuracyOf((h) => (two.includes(h) ? 1 : 0))) : [],
    canBreak: heads.some((loud) => breaks(answered((h) => (h === loud ? 2 : 1)).predicted)),
  };
};
