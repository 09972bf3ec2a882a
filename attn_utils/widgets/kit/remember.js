// Calls `run` anew only when one of the named entries of the state has changed.
export const remembering = (names, run) => {
  let [key, result] = ["", null];
  return (state) => {
    const now = JSON.stringify(names.map((name) => state[name]));
    if (now !== key) [key, result] = [now, run(state)];
    return result;
  };
};
